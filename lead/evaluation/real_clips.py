"""The real motions of a split, as a protocol draws on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lead.data.packed import PackedDataset
from lead.evaluation.tally import groups_of
from lead.representation import Skeleton


@dataclass(frozen=True)
class Crop:
    """A part of a real clip: its place among the clips, first frame and number of frames."""

    clip: int
    start: int
    frames: int


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

    def groups(self, crop: Crop) -> dict[str, str]:
        """The groups of a part of a clip, by kind."""
        return groups_of(self.labels[crop.clip] if self.labels else {}, crop.frames / self.fps)


def real_clips(
    dataset: PackedDataset, split: str, places: Sequence[int] | None = None
) -> RealClips:
    """The clips of a split, or those at ``places``; features stay in the memory-mapped file.

    Raises RequestError for an unknown split.
    """
    packed = dataset.split(split)
    chosen = range(len(packed)) if places is None else places
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
