"""The kinds of batch that training sees."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass
class MotionBatch:
    """Padded, normalised motions."""

    x: Float[Tensor, "batch frames features"]
    mask: Bool[Tensor, "batch frames"]
    ids: list[str]

    def to(self, device) -> "MotionBatch":
        """The same batch on another device."""
        return MotionBatch(
            self.x.to(device, non_blocking=True), self.mask.to(device, non_blocking=True), self.ids
        )

    def pin_memory(self) -> "MotionBatch":
        """In memory that a GPU fetches from without anyone waiting; DataLoader asks for it."""
        return MotionBatch(self.x.pin_memory(), self.mask.pin_memory(), self.ids)


@dataclass
class LatentBatch:
    """Cached posteriors with the text embedding of one caption each."""

    mu: Float[Tensor, "batch tokens dim"]
    logvar: Float[Tensor, "batch tokens dim"]
    text: Float[Tensor, "batch words text_dim"]
    null_text: Float[Tensor, "one words text_dim"]
    ids: list[str]
    generated: Float[Tensor, "batch tokens dim"] | None = None  # what the diffusion makes of them

    def to(self, device) -> "LatentBatch":
        """The same batch on another device."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "LatentBatch":
        """In memory that a GPU fetches from without anyone waiting, unless it is there already."""
        return self if self.mu.is_cuda else self._changed(Tensor.pin_memory)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> "LatentBatch":
        tensors = (self.mu, self.logvar, self.text, self.null_text)
        generated = None if self.generated is None else change(self.generated)
        return LatentBatch(*map(change, tensors), self.ids, generated)


@dataclass
class FlowBatch:
    """Latents of joints with one caption each: its pooled vector, then its words."""

    z: Float[Tensor, "batch tokens joints channels"]
    mask: Bool[Tensor, "batch tokens"]
    text: Float[Tensor, "batch words text_dim"]
    word_mask: Bool[Tensor, "batch words"]
    ids: list[str]

    def to(self, device) -> "FlowBatch":
        """The same batch on another device."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "FlowBatch":
        """In memory that a GPU fetches from without anyone waiting."""
        return self._changed(Tensor.pin_memory)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> "FlowBatch":
        changed = {k: change(v) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **changed)


@dataclass
class MotionTextBatch(FlowBatch):
    """The same with the latents of the captions."""

    sentence: Float[Tensor, "batch sentence_tokens dim"]
