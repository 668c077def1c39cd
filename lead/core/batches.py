"""The two kinds of batch that training sees."""

from dataclasses import dataclass

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
        moved = (
            tensor.to(device, non_blocking=True)
            for tensor in (self.mu, self.logvar, self.text, self.null_text)
        )
        generated = None
        if self.generated is not None:
            generated = self.generated.to(device, non_blocking=True)
        return LatentBatch(*moved, self.ids, generated)
