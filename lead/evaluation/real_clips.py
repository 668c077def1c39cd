"""The real motions of a split, as a protocol draws on them."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lead.core.errors import RequestError
from lead.data.packed import PackedDataset
from lead.representation import Skeleton

LENGTHS = (2.5, 3.5, 5.0, 7.0)  # seconds that bound the groups by length
LABELS = ("part", "captions", "content")
"""Labels of clips that physical measures are told by, where a data set has them."""


@dataclass(frozen=True)
class RealClips:
    """Motions with their captions, in a fixed order. Features are un-normalised, each (frames, F).

    ``tokens`` are the data set's ``word/TAG`` of each caption, empty where it has none. ``whole``
    says whether these are all clips of the split.
    """

    dataset: str
    split: str
    data_hash: str
    skeleton: Skeleton
    fps: float
    ids: Sequence[str]
    features: Sequence[np.ndarray]
    captions: Sequence[Sequence[str]]
    tokens: Sequence[Sequence[str]]
    whole: bool = True
    labels: Sequence[Mapping[str, str]] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of groups that physical measures are told by; see ``groups``."""
        known = [kind for kind in LABELS if any(kind in labels for labels in self.labels)]
        return ("length", *known)

    def groups(self, clip: int, frames: int) -> dict[str, str]:
        """The groups of a part of a clip, by kind: its length, and what labels say it shows."""
        labels = self.labels[clip] if self.labels else {}
        known = {kind: labels[kind] for kind in LABELS if kind in labels}
        return {"length": _length(frames / self.fps), **known}


def _length(seconds: float) -> str:
    """The group by length: ``up to 2.5 s``, ``2.5 to 3.5 s``, ..., ``above 7 s``."""
    place = bisect_left(LENGTHS, seconds)
    if place == 0:
        return f"up to {LENGTHS[0]:g} s"
    if place == len(LENGTHS):
        return f"above {LENGTHS[-1]:g} s"
    return f"{LENGTHS[place - 1]:g} to {LENGTHS[place]:g} s"


def real_clips(
    dataset: PackedDataset, split: str, places: Sequence[int] | None = None
) -> RealClips:
    """The clips of a split, or those at ``places``; features stay in the memory-mapped file.

    Raises RequestError for an unknown split and where a clip has no caption.
    """
    packed = dataset.split(split)
    chosen = range(len(packed)) if places is None else places
    for place in chosen:
        if not packed.captions[place]:
            raise RequestError(
                f"{dataset.folder} {split}: clip {packed.ids[place]} has no caption, the protocol "
                "needs one for each: prepare the data set with captions"
            )
    return RealClips(
        dataset.manifest.name,
        split,
        dataset.data_hash,
        dataset.skeleton,
        dataset.fps,
        [packed.ids[place] for place in chosen],
        [packed.clip(place) for place in chosen],
        [packed.captions[place] for place in chosen],
        [packed.tokens[place] for place in chosen],
        whole=len(chosen) == len(packed),
        labels=[packed.labels[place] for place in chosen],
    )
