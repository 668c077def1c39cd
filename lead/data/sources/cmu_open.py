"""The hour of the CMU database that comes with lead: nothing to fetch, people and their words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from lead.data.bvh.loading import loaded_clips
from lead.data.caption_kinds import count_kinds, table_lines
from lead.data.cmu_open import read_index, read_joints
from lead.data.source import Item, LoadedClip, Rejected, Source
from lead.data.sources.cmu import CmuSource


@dataclass(frozen=True)
class CmuOpenSource(Source):
    """What ``data=cmu`` makes of the trials that may be passed on, joints to half a millimetre.

    ``clips`` takes about that many, spread evenly over every split; None takes all.
    """

    clips: Annotated[int, Field(ge=1)] | None = None

    name: ClassVar[str] = "cmu_open"
    skeleton: ClassVar[str] = CmuSource.skeleton
    fps: ClassVar[float] = CmuSource.fps
    licence: ClassVar[str] = CmuSource.licence
    long_clips: ClassVar[str] = "drop"
    min_frames: ClassVar[int] = 20
    max_frames: ClassVar[int] = 199

    def list_items(self) -> list[Item]:
        """The clips by name, of every split at least one."""
        items = read_index()
        if self.clips is None or self.clips >= len(items):
            return items
        splits: dict[str, list[Item]] = {}
        for item in items:
            splits.setdefault(item.split, []).append(item)
        share = self.clips / len(items)
        return [
            group[place]
            for group in splits.values()
            for count in [max(1, round(share * len(group)))]
            for place in np.linspace(0, len(group) - 1, count).astype(int)
        ]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """The features of some clips, in their order."""
        joints = dict(read_joints({item.id for item in items}))
        return loaded_clips(items, [joints[item.id] for item in items])

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """Clips by split, and clips, sentences and hours by kind and split."""
        lengths = {name: len(joints) for name, joints in read_joints({item.id for item in items})}
        counts = count_kinds(
            (item.labels, item.split, len(item.captions), lengths[item.id] / self.fps)
            for item in items
        )
        return {
            "clips": dict(Counter(item.split for item in items)),
            "kinds": "\n".join(["", *table_lines(counts)]),
            "licence": self.licence,
        }
