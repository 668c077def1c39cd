"""Motions <-> latents, whatever the network between: what every motion model stands on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lead.core.masks import lengths_to_mask
from lead.data.clips import length_sorted_batches, padded_batches
from lead.representation import Skeleton

DECODED_ON_CPU = 8  # motions decoded at once: what they need stays in the cache
REBUILT = 32  # motions through the auto-encoder at once: of nearly equal lengths


LatentMap = Callable[[Tensor, Sequence[int]], Tensor]
"""From latents of motions of so many frames to others of the same shape."""


@dataclass(frozen=True, kw_only=True)
class MotionCoder(ABC):
    """Motions <-> latents; ``code`` is how tables call it.

    Latents are (batch, tokens, ...) with a row a motion; where longer motions have more tokens, a
    row is zero past its own, and more zeros change nothing.
    """

    code: ClassVar[str] = ""
    skeleton: Skeleton

    @abstractmethod
    def decode_batch(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Un-normalised features (batch, frames, F) of a mask (batch, frames), on its device."""

    @abstractmethod
    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents of un-normalised features (batch, frames, F)."""

    def prepared(self, precision: str = "fp32", compiled: bool = False) -> "MotionCoder":
        """The same, rebuilt for inference on its device where that makes it faster."""
        return self

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        parts = reversed(self.modules())  # a text encoder comes first, and may be elsewhere
        tensors = (t for part in parts for t in chain(part.buffers(), part.parameters()))
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    def modules(self) -> list[nn.Module]:
        """Networks and statistics, and those of a coder that it holds."""
        values = [getattr(self, own.name) for own in fields(self)]
        held = [part for one in values if isinstance(one, MotionCoder) for part in one.modules()]
        return [*(value for value in values if isinstance(value, nn.Module)), *held]

    def to(self, device: torch.device | str) -> "MotionCoder":
        """Move every network to a device, in place."""
        for part in self.modules():
            part.to(device)
        return self

    @torch.no_grad()
    def decode(self, latents: Tensor, frames: Sequence[int]) -> Tensor:
        """Un-normalised features (batch, longest, F) on the CPU, zero past each length.

        Motions of nearly equal lengths are decoded together, so that little padding is computed.
        """
        together = DECODED_ON_CPU if latents.device.type == "cpu" else len(frames)
        motions = torch.zeros(len(frames), max(frames), self.skeleton.features)
        for rows in length_sorted_batches(frames, together):
            mask = lengths_to_mask(torch.tensor([frames[row] for row in rows]).to(latents.device))
            x = self.decode_batch(latents[rows], mask)
            motions[rows, : mask.shape[1]] = (x * mask[..., None]).cpu()
        return motions

    @torch.no_grad()
    def rebuild(
        self, motions: Sequence[np.ndarray], change: LatentMap | None = None
    ) -> list[np.ndarray]:
        """Encode (posterior mean) and decode features (frames, F), un-normalised on either side.

        ``change`` is applied to the latents between, such as ``project``.
        """
        rebuilt: list = [None] * len(motions)
        for rows, batch in padded_batches(motions, REBUILT, self.device):
            z, _ = self.posterior(batch.x, batch.mask)
            if change is not None:
                z = change(z, [len(motions[row]) for row in rows])
            features = self.decode_batch(z, batch.mask).cpu()
            for place, row in enumerate(rows):
                rebuilt[row] = features[place, : len(motions[row])].numpy().copy()
        return rebuilt


def joined(latents: Sequence[Tensor]) -> Tensor:
    """Batches of latents as one; zeros make the rows as long as the longest of all."""
    longest = max(part.shape[1] for part in latents)
    if any(part.shape[1] < longest for part in latents):
        return pad_sequence([row for part in latents for row in part], batch_first=True)
    return torch.cat([*latents])
