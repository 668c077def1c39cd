"""A made-up collection with styles and contents that can be told apart at a glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from lead.data.source import Caption, Item, LoadedClip, Rejected

HEIGHTS = {"low": 0.6, "middle": 0.9, "elderly": 1.2}
SPEEDS = {"bow": 0.0, "walk": 0.1, "run": 0.2}
FORWARD, HEIGHT = 2, 3  # columns of the features


@dataclass(frozen=True)
class StyledSource:
    """Clips whose style is the height of the root and whose content is its speed.

    Style ``elderly`` is held out; every split but it has the other two.
    """

    clips: int = 6  # of each style, content and split

    name: ClassVar[str] = "styled"
    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = 20.0
    licence: ClassVar[str] = "none"
    min_frames: ClassVar[int] = 12
    max_frames: ClassVar[int] = 199
    long_clips: ClassVar[str] = "drop"

    def list_items(self) -> list[Item]:
        splits = {"train": self.clips, "val": 2, "test": 2}
        wanted = [
            (split, style, content, number)
            for style in HEIGHTS
            for content in SPEEDS
            for split, count in ({"heldout": self.clips} if style == "elderly" else splits).items()
            for number in range(count)
        ]
        return [
            Item(
                *(f"{split}_{content}_{style}_{number}", Path(), split),
                *((Caption(f"a {style} person can {content}"),), {"style": style}),
            )
            for split, style, content, number in wanted
        ]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        return [self._clip(item) for item in items]

    def _clip(self, item: Item) -> LoadedClip:
        _, content, style, number = item.id.split("_")
        rng = np.random.default_rng([len(item.id), int(number), len(style), len(content)])
        features = rng.normal(0, 0.01, (52 + 4 * int(number), 263)).astype(np.float32)
        features[:, HEIGHT] += HEIGHTS[style]
        features[:, FORWARD] += SPEEDS[content]
        labels = {"style": style, "content": content}
        return LoadedClip(item.id, item.split, features, item.captions, labels)

    def statistics(self) -> tuple[np.ndarray, np.ndarray] | None:
        return None

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        return {"motions": len(items)}
