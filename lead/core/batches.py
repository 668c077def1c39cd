"""The kinds of batch that training sees."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class _Batch:
    """Tensors and what belongs to them."""

    def to(self, device) -> "_Batch":
        """The same batch on another device."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "_Batch":
        """In memory that a GPU fetches from without anyone waiting, unless it is there already."""
        return self._changed(lambda tensor: tensor if tensor.is_cuda else tensor.pin_memory())

    def _changed(self, change: Callable[[Tensor], Tensor]) -> "_Batch":
        held = {name: one for name, one in vars(self).items() if isinstance(one, Tensor)}
        return replace(self, **{name: change(tensor) for name, tensor in held.items()})


@dataclass
class MotionBatch(_Batch):
    """Padded, normalised motions."""

    x: Float[Tensor, "batch frames features"]
    mask: Bool[Tensor, "batch frames"]
    ids: list[str]


@dataclass
class LatentBatch(_Batch):
    """Cached posteriors with the text embedding of one caption each.

    Latents of whole clips have one size, and captions are their pooled vectors: masks are None, all
    is real. Latents that keep time are zero past each motion's own, and have no spread (a
    log-variance of minus infinity); captions are the pooled vector, then the words. ``longest`` is
    how many latents the longest motion of all has: random numbers are drawn for so many.
    """

    mu: Float[Tensor, "batch tokens *rest"]
    logvar: Float[Tensor, "batch tokens *rest"]
    text: Float[Tensor, "batch words text_dim"]
    null_text: Float[Tensor, "one words text_dim"]
    ids: list[str]
    mask: Bool[Tensor, "batch tokens"] | None = None
    word_mask: Bool[Tensor, "batch words"] | None = None
    null_mask: Bool[Tensor, "one words"] | None = None
    longest: int | None = None
    sentence: Float[Tensor, "batch latents size"] | None = None  # latents of the captions

    @property
    def masks(self) -> dict[str, Tensor]:
        """The options of a network that say what is real; none where all is."""
        return {} if self.mask is None else {"mask": self.mask, "word_mask": self.word_mask}

    @property
    def both(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Texts and masks of all rows with the empty sentence, then of all with their own."""
        text = torch.cat([self.null_text.expand_as(self.text), self.text])
        if self.mask is None:
            return text, {}
        words = torch.cat([self.null_mask.expand_as(self.word_mask), self.word_mask])
        return text, {"mask": torch.cat([self.mask, self.mask]), "word_mask": words}

    def without_captions(self, dropped: Bool[Tensor, " batch"]) -> "LatentBatch":
        """The same with the empty sentence in some rows."""
        text = torch.where(dropped[:, None, None], self.null_text, self.text)
        if self.mask is None:
            return replace(self, text=text)
        words = torch.where(dropped[:, None], self.null_mask, self.word_mask)
        return replace(self, text=text, word_mask=words)
