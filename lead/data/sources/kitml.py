"""KIT-ML (Plappert et al., 2016) in the folder layout that came with HumanML3D."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from lead.data.source import Item, LoadedClip, Rejected
from lead.data.sources.official_layout import OfficialLayout, check_options


@dataclass(frozen=True)
class KitMlSource:
    """21 joints, 251 features, millimetres, 12.5 fps; clips of 24 to 199 frames.

    ``source`` is the folder with new_joint_vecs, texts, Mean.npy, Std.npy and the split lists.
    Features and statistics stay in millimetres, as published; joint positions recovered with the
    skeleton ``kit`` are metres.
    """

    source: Path | str | None
    splits: Sequence[str] = ("train", "val", "test")
    min_frames: int = 24
    max_frames: int = 199
    long_clips: str = "drop"

    name: ClassVar[str] = "kitml"
    skeleton: ClassVar[str] = "kit"
    fps: ClassVar[float] = 12.5
    licence: ClassVar[str] = "KIT Motion-Language Dataset, its own terms: not to be passed on"

    def __post_init__(self) -> None:
        limits = (self.min_frames, self.max_frames, self.long_clips)
        check_options(self.source, self.splits, *limits)

    @property
    def layout(self) -> OfficialLayout:
        """The folder, with this data set's rules."""
        return OfficialLayout(
            *(Path(self.source), self.skeleton, self.min_frames, self.max_frames),
            drop_long=self.long_clips == "drop",
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
