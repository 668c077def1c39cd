"""MLD's denoiser over a whole sampling run."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lead.models.denoiser import MldDenoiser
from lead.models.inference.timeline import Timeline


class FastMldDenoiser(nn.Module):
    """An MldDenoiser whose layers were prepared for inference."""

    def __init__(self, denoiser: MldDenoiser):
        super().__init__()
        self.denoiser = denoiser

    @property
    def embeds_guidance(self) -> bool:
        """Whether the guidance scale is an input."""
        return self.denoiser.embeds_guidance

    def forward(
        self,
        z_t: Tensor,
        timestep: Tensor,
        text_embedding: Tensor,
        guidance_scale: Tensor | None = None,
    ) -> Tensor:
        """Predicted noise; the arguments and errors are those of MldDenoiser."""
        return self.denoiser(z_t, timestep, text_embedding, guidance_scale).to(z_t.dtype)

    def bind(
        self,
        text_embedding: Tensor,
        timesteps: Sequence[int],
        tokens: int,
        guidance_scale: float | None = None,
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Noise prediction (z_t, timestep) for these sentences, timesteps and latent tokens.

        Time and text tokens are computed here, once. All rows of a call have the same timestep. The
        last layer computes the latent tokens alone, because nothing else is read.
        """
        own, timeline = self.denoiser, Timeline(timesteps, text_embedding.device)
        scale = None
        if guidance_scale is not None:
            scale = torch.full_like(timeline.values, guidance_scale, dtype=torch.float32)
        time = own.time_tokens(timeline.values, text_embedding, scale)
        words = own.text_tokens(text_embedding)
        positions = own.positions(time.new_zeros(1, tokens + 1 + words.shape[1], time.shape[1]))[0]
        dtype = own.encoder.dtype
        first, middle = positions[:tokens], (time + positions[tokens]).to(dtype)
        words = (words + positions[tokens + 1 :]).to(dtype)

        def predict(z_t: Tensor, timestep: Tensor) -> Tensor:
            moment = middle[timeline.place(timestep)].expand(len(z_t), 1, -1)
            latent = (own.input_layer(z_t) + first).to(dtype)
            out = own.encoder(torch.cat([latent, moment, words], dim=1), kept=tokens)
            return own.output_layer(out).to(z_t.dtype)

        return predict
