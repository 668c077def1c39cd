"""What a learned word is to achieve: distances between true and predicted, one number a row.

All three compare a clean latent (or its noise) with what the denoiser makes of it under a sentence
with the word. ``F`` is the estimate of the clean latent from a noise prediction (LEAD eq. 10); of
the true noise it is the clean latent itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.masks import row_means
from lead.diffusion.forward import add_noise, predict_clean_from_noise
from lead.diffusion.schedules import NoiseSchedule
from lead.models.projector import Projector

Rows = Float[Tensor, " batch"]


@dataclass(frozen=True)
class Noised:
    """A batch of clean latents on their way through the diffusion."""

    clean: Float[Tensor, "batch tokens *dims"]
    noise: Float[Tensor, "batch tokens *dims"]
    timestep: Int[Tensor, " batch"]
    mask: Bool[Tensor, "batch frames"]  # real frames of the motion behind each latent
    real: Bool[Tensor, "batch tokens"] | None = None  # real latents, where they keep time


@dataclass(frozen=True)
class FrozenParts:
    """What an objective looks through; ``projector`` None for plain MLD.

    ``decode`` makes normalised features of latents, and of a mask of frames.
    """

    decode: Callable[[Tensor, Tensor], Tensor]
    denoiser: Callable[..., Tensor]
    projector: Projector | None
    schedule: NoiseSchedule


def realigned_distance(parts: FrozenParts, batch: Noised, predicted: Tensor) -> Rows:
    """|E_proj(F(eps)) - E_proj(F(eps_theta))|^2 (LEAD eq. 9), mean over the realigned space."""
    if parts.projector is None:
        raise RequestError(
            "objective 'lead' needs a projector: name a projector run, or take inversion=mld"
        )
    with torch.no_grad():
        wanted = parts.projector.encode(batch.clean, batch.real)
    made = parts.projector.encode(_clean(parts, batch, predicted), batch.real)
    return _mean_square(made - wanted, batch)


def noise_distance(parts: FrozenParts, batch: Noised, predicted: Tensor) -> Rows:  # noqa: ARG001
    """|eps - eps_theta|^2, the loss that MLD was trained with, mean over the latent."""
    return _mean_square(predicted - batch.noise, batch)


def feature_distance(parts: FrozenParts, batch: Noised, predicted: Tensor) -> Rows:
    """|D_vae(F(eps)) - D_vae(F(eps_theta))|^2, mean over real frames and (normalised) features."""
    with torch.no_grad():
        wanted = parts.decode(batch.clean, batch.mask)
    made = parts.decode(_clean(parts, batch, predicted), batch.mask)  # zero on padding
    count = batch.mask.sum(dim=1) * made.shape[-1]
    return ((made - wanted) ** 2).sum(dim=(1, 2)) / count


OBJECTIVES: dict[str, Callable[[FrozenParts, Noised, Tensor], Tensor]] = {
    "lead": realigned_distance,
    "mld": noise_distance,
    "feat": feature_distance,
}


def word_loss(
    parts: FrozenParts,
    batch: Noised,
    text_embedding: Float[Tensor, "batch words text_dim"],
    objective: str,
    weighting: str = "none",
    word_mask: Bool[Tensor, "batch words"] | None = None,
) -> Rows:
    """The objective of each row under its sentence, weighted by its timestep."""
    masks = {} if batch.real is None else {"mask": batch.real, "word_mask": word_mask}
    z_t = add_noise(batch.clean, batch.noise, batch.timestep, parts.schedule)
    predicted = parts.denoiser(z_t, batch.timestep, text_embedding, **masks).float()
    distance = OBJECTIVES[objective](parts, batch, predicted)
    level = parts.schedule.alphas_cumprod[batch.timestep.to(parts.schedule.alphas_cumprod.device)]
    return distance * WEIGHTINGS[weighting](level).to(distance)


def check_own_loss(objective: str) -> None:
    """RequestError for an objective of LEAD's, for a model that has its own loss alone."""
    if objective != "mld":
        raise RequestError(
            f"objective '{objective}' is for diffusion and projector runs: take "
            "inversion=mld, the loss that the model was trained with"
        )


WEIGHTINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": torch.ones_like,
    "alpha_bar": lambda level: level,
    "snr": lambda level: level / (1 - level),
}
"""Weight of a timestep as a function of alpha-bar, the share of signal variance that is left."""


def _clean(parts: FrozenParts, batch: Noised, predicted: Tensor) -> Tensor:
    z_t = add_noise(batch.clean, batch.noise, batch.timestep, parts.schedule)
    return predict_clean_from_noise(z_t, predicted, batch.timestep, parts.schedule)


def _mean_square(difference: Float[Tensor, "batch tokens dim"], batch: Noised) -> Rows:
    """Over the real latents of each row."""
    return row_means((difference**2).mean(dim=2), batch.real)
