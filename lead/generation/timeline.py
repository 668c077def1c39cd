"""One motion of many sentences, longer than a network has seen: windows of it, blended.

Each sentence has a window of the latents, its own and a few of its neighbours' on either side; a
sentence that is too long for the network has several. At each step of the sampler the network sees
all windows beside each other, each with its own sentence, and what it says of a latent that stands
in several windows is their weighted mean (MultiDiffusion, Bar-Tal et al. 2023, along time).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead.core.errors import RequestError

Velocity = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Windows:
    """Windows of one motion: the latents that each sees, and how much it has to say of them.

    ``places`` of padding are those of real latents, with a ``share`` of zero. The shares of each
    latent sum to one over all windows.
    """

    sentences: list[int]  # of each window
    places: Int[Tensor, "windows tokens"]
    mask: Bool[Tensor, "windows tokens"]
    share: Float[Tensor, "windows tokens"]

    def blend(self, velocity: Velocity) -> Velocity:
        """The velocity of the whole motion (1, tokens, ...) by that of its windows."""

        def whole(z: Tensor, time: Tensor) -> Tensor:
            each = velocity(z[0, self.places], time.expand(len(self.places)))
            weight = self.share.reshape(*self.share.shape, *[1] * (each.ndim - 2)).to(each)
            places, said = self.places.flatten(), (weight * each).flatten(0, 1)
            return torch.zeros_like(z[0], dtype=each.dtype).index_add(0, places, said)[None]

        return whole

    def to(self, device: torch.device) -> "Windows":
        """The same on a device."""
        tensors = (each.to(device) for each in (self.places, self.mask, self.share))
        return Windows(self.sentences, *tensors)


def plan_windows(tokens: Sequence[int], longest: int, overlap: int) -> Windows:
    """Windows of at most ``longest`` latents for sentences of so many latents each.

    A window reaches ``overlap`` latents into its neighbours (less where ``longest`` is short); over
    those on both sides of a seam its share rises or falls evenly.
    """
    overlap = max(1, min(overlap, (longest - 1) // 3))
    seams = [0, *accumulate(tokens)]
    whole = seams[-1]
    parts = [
        (sentence, *part)
        for sentence, (first, end) in enumerate(pairwise(seams))
        for part in _parts(first, end, longest, overlap * ((first > 0) + (end < whole)), overlap)
    ]
    place = torch.arange(whole)
    ramps = []
    for _, first, end in parts:
        rise = (place - first + overlap + 0.5) / (2 * overlap) if first else torch.ones(whole)
        fall = (end + overlap - place - 0.5) / (2 * overlap) if end < whole else torch.ones(whole)
        ramps.append(torch.minimum(rise, fall).clamp(0, 1))
    shares = torch.stack(ramps) / torch.stack(ramps).sum(0)
    spans = [(max(0, first - overlap), min(whole, end + overlap)) for _, first, end in parts]
    width = max(end - first for first, end in spans)
    places = torch.tensor([first for first, _ in spans])[:, None] + torch.arange(width)
    mask = places < torch.tensor([end for _, end in spans])[:, None]
    places = places.clamp(max=whole - 1)
    sentences = [sentence for sentence, *_ in parts]
    return Windows(sentences, places, mask, shares.gather(1, places) * mask)


def _parts(first: int, end: int, longest: int, around: int, overlap: int) -> list[tuple[int, int]]:
    """A span in nearly equal parts: one where it fits with what is ``around`` it."""
    length = end - first
    count = 1 if length + around <= longest else -(-length // (longest - 2 * overlap))
    return [*pairwise(first + length * part // count for part in range(count + 1))]


def seam_frames(frames: Sequence[int], patch: int, shortest: int) -> list[tuple[int, int]]:
    """First frame, and the one behind the last, of each sentence of so many frames.

    Seams stand between two latents, the nearest ones. Raises RequestError for a sentence that is
    shorter than any motion that the network has seen.
    """
    for number, length in enumerate(frames, start=1):
        if length < shortest:
            raise RequestError(
                f"sentence {number} of the timeline has {length} frames, {shortest} are the fewest "
                "that were trained: give it more seconds"
            )
    whole, ends = sum(frames), [*accumulate(frames)]
    return [*pairwise([0, *(round(end / patch) * patch for end in ends[:-1]), whole])]
