"""HumanML3D (Guo et al., CVPR 2022) in its official folder layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from lead.data.source import Item, LoadedClip, Rejected
from lead.data.sources.official_layout import OfficialLayout, check_options

_NOT_FINITE = "known to hold NaN in the official build: skipped"


@dataclass(frozen=True)
class HumanML3DSource:
    """22 joints, 263 features, metres, 20 fps; clips of 40 to 199 frames.

    ``source`` is the folder with new_joint_vecs, texts, Mean.npy, Std.npy and the split lists.
    Mirrored clips (ids that start with M) are in those lists.
    """

    source: Path | str | None
    splits: Sequence[str] = ("train", "val", "test")
    min_frames: int = 40
    max_frames: int = 199
    long_clips: str = "drop"

    name: ClassVar[str] = "humanml3d"
    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = 20.0
    licence: ClassVar[str] = (
        "texts: MIT; motions: the terms of AMASS and HumanAct12, not to be passed on"
    )
    known_bad: ClassVar[Mapping[str, str]] = {"007975": _NOT_FINITE, "M007975": _NOT_FINITE}

    def __post_init__(self) -> None:
        limits = (self.min_frames, self.max_frames, self.long_clips)
        check_options(self.source, self.splits, *limits)

    @property
    def layout(self) -> OfficialLayout:
        """The folder, with this data set's rules."""
        return OfficialLayout(
            *(Path(self.source), self.skeleton, self.min_frames, self.max_frames),
            drop_long=self.long_clips == "drop",
            known_bad=self.known_bad,
        )

    def list_items(self) -> list[Item]:
        """Every clip of the split lists, with its captions."""
        return self.layout.list_items(self.splits)

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """One result per item, in order."""
        layout = self.layout
        return [layout.load(item) for item in items]

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """The official Mean.npy and Std.npy."""
        return self.layout.statistics()

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """Counts, captions, segments, unit, frame rate and skeleton."""
        return {**self.layout.describe(items), "licence": self.licence}
