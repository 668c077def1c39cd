"""A trained denoiser over a whole sampling run: what stays the same is computed once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lead.models.denoiser import NoisePredictor


class Timeline:
    """The distinct timesteps of a sampling run; tables are computed with one row for each."""

    def __init__(self, timesteps: Sequence[int], device: torch.device):
        self.values = torch.tensor(sorted(set(map(int, timesteps))), device=device)
        self._places = torch.zeros(int(max(timesteps)) + 1, dtype=torch.long, device=device)
        self._places[self.values] = torch.arange(len(self.values), device=device)

    def place(self, timestep: Tensor) -> Tensor:
        """Row (1,) of the timestep that all rows of a batch have; asks the device for nothing."""
        return self._places[timestep[:1]]


class FastDenoiser(nn.Module, ABC):
    """A denoiser prepared for inference."""

    keeps_time = False

    def __init__(self, denoiser: NoisePredictor):
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
        """Predicted noise; the arguments and errors are those of the trained module."""
        return self.denoiser(z_t, timestep, text_embedding, guidance_scale).to(z_t.dtype)

    def bind(
        self,
        text_embedding: Tensor,
        timesteps: Sequence[int],
        tokens: int,
        guidance_scale: float | None = None,
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Noise prediction (z_t, timestep) for these sentences, timesteps and latent tokens.

        What they alone determine is computed here, once. All rows of a call have the same timestep.
        """
        timeline = Timeline(timesteps, text_embedding.device)
        scale = None
        if guidance_scale is not None:
            scale = torch.full_like(timeline.values, guidance_scale, dtype=torch.float32)
        time = self.denoiser.time_condition(timeline.values, text_embedding, scale)
        return self._bound(text_embedding, timeline, time, tokens)

    @abstractmethod
    def _bound(
        self, text_embedding: Tensor, timeline: Timeline, time: Tensor, tokens: int
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """The prediction, with ``time`` (timesteps, width) the conditions of the timeline."""
