"""Physical measures of motions that come one at a time and are not kept."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.physical import measure
from lead.representation import Skeleton, features_to_joints

GROUPED = ("foot_skating_ratio", "jitter", "path_error")
"""Measures whose mean over all clips hides what some of them do."""


class Clip(NamedTuple):
    """What was measured of one clip, and the groups that it belongs to, by kind."""

    values: dict[str, float]
    groups: Mapping[str, str]


class PhysicalTally:
    """The measures of ``lead.evaluation.physical``, clip by clip."""

    def __init__(self, fps: float, skeleton: Skeleton):
        self.fps, self.skeleton = fps, skeleton
        self.clips: list[Clip] = []

    def add(
        self,
        features: np.ndarray,
        reference: np.ndarray | None = None,
        groups: Mapping[str, str] | None = None,
    ) -> None:
        """Measure one motion, and its errors where the real one is given; both as features."""
        joints, real = (
            None if given is None else features_to_joints(given, self.skeleton.name)
            for given in (features, reference)
        )
        self.clips.append(Clip(measure(joints, self.fps, self.skeleton, real), groups or {}))

    def add_all(
        self, motions: Sequence[np.ndarray], references: Sequence[np.ndarray] | None = None
    ) -> None:
        """``add`` for each of several motions, and the real ones at the same places."""
        for place, motion in enumerate(motions):
            self.add(motion, None if references is None else references[place])

    def estimates(self) -> dict[str, Estimate]:
        """Means over the motions so far."""
        return _means(self.clips)

    def by_group(self, kind: str) -> dict[str, dict[str, Estimate]]:
        """Means of the GROUPED measures over the motions of each group, in order of appearance."""
        groups = dict.fromkeys(clip.groups[kind] for clip in self.clips if kind in clip.groups)
        return {
            group: _means([clip for clip in self.clips if clip.groups.get(kind) == group], GROUPED)
            for group in groups
        }


def _means(clips: Sequence[Clip], names: Sequence[str] | None = None) -> dict[str, Estimate]:
    columns: dict[str, list[float]] = {}
    for clip in clips:
        for name, value in clip.values.items():
            if names is None or name in names:
                columns.setdefault(name, []).append(value)
    return {name: estimate(column) for name, column in columns.items()}
