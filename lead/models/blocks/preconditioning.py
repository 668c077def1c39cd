"""What a Gaussian knows about the noise, so that the network learns only the rest."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Preconditioning(nn.Module):
    """Exact noise prediction for Gaussian latents, around a network that corrects it.

    Preconditioning of Karras et al. 2022 (EDM), written for a variance-preserving schedule and
    noise prediction, with one mean and variance per latent dimension. With v the variance of the
    clean latents and a the share of signal, z_t has variance s = a v + 1 - a. The network sees
    (z_t - sqrt(a) mean) / sqrt(s) and the predicted noise is

        sqrt(1 - a) (z_t - sqrt(a) mean) / s  +  sqrt(a v / s) network,

    so that the network's target has variance one at every timestep and in every dimension.
    """

    alphas_cumprod: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, timesteps: int, latent_dim: int):
        super().__init__()
        self.register_buffer("alphas_cumprod", torch.ones(timesteps))
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("variance", torch.ones(latent_dim))

    def fit(
        self,
        mu: Float[Tensor, "clips tokens dim"],
        logvar: Float[Tensor, "clips tokens dim"],
        alphas_cumprod: Float[Tensor, " timesteps"],
    ) -> None:
        """Take the moments of the training latents and the noise schedule, before training."""
        mu, spread = mu.double().flatten(0, 1), logvar.double().exp().flatten(0, 1)
        self.mean.copy_(mu.mean(0))
        self.variance.copy_(mu.var(0, unbiased=False) + spread.mean(0))
        self.alphas_cumprod.copy_(alphas_cumprod)

    def scale(
        self, z_t: Float[Tensor, "batch tokens dim"], timestep: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Noised latents with mean zero and variance one, for the network."""
        _, centred, total = self._moments(z_t, timestep)
        return centred / total.sqrt()

    def noise(
        self,
        correction: Float[Tensor, "batch tokens dim"],
        z_t: Float[Tensor, "batch tokens dim"],
        timestep: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch tokens dim"]:
        """Predicted noise from the network's output."""
        signal, centred, total = self._moments(z_t, timestep)
        linear = (1 - signal).sqrt() * centred / total
        return linear + (signal * self.variance / total).sqrt() * correction

    def _moments(self, z_t: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        signal = self.alphas_cumprod[timestep][:, None, None]
        total = signal * self.variance + 1 - signal
        return signal, z_t - signal.sqrt() * self.mean, total
