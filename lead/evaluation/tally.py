"""Physical measures of motions that come one at a time and are not kept."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.physical import COLUMNS, measure
from lead.evaluation.table import format_table
from lead.representation import Skeleton, features_to_joints

GROUPED = ("foot_skating_ratio", "toe_skating_ratio", "jitter", "path_error")
"""Measures whose mean over all clips hides what some of them do."""

LENGTHS = (2.5, 3.5, 5.0, 7.0)  # seconds that bound the groups by length
LABELS = ("part", "captions", "content")  # of a clip, where its data set has them
GROUP_LEAST = 5  # clips of a group that is shown; records have all

Grouped = dict[str, dict[str, dict[str, dict[str, Estimate]]]]
"""Kind of group -> row -> group -> measure -> its mean."""


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
        self,
        motions: Sequence[np.ndarray],
        groups: Sequence[Mapping[str, str]],
        references: Sequence[np.ndarray] | None = None,
    ) -> None:
        """``add`` for each of several motions, its groups and the real one at the same places."""
        for place, motion in enumerate(motions):
            self.add(motion, references[place] if references else None, groups[place])

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


def groups_of(labels: Mapping[str, str], seconds: float) -> dict[str, str]:
    """The groups of a motion by kind: its length, and what the labels of its clip say."""
    place = bisect_left(LENGTHS, seconds)
    if place == 0:
        length = f"up to {LENGTHS[0]:g} s"
    elif place == len(LENGTHS):
        length = f"above {LENGTHS[-1]:g} s"
    else:
        length = f"{LENGTHS[place - 1]:g} to {LENGTHS[place]:g} s"
    return {"length": length} | {kind: labels[kind] for kind in LABELS if kind in labels}


def grouped(tallies: Mapping[str, PhysicalTally]) -> Grouped:
    """Means by group of every row, for each kind that some clip has."""
    kinds = dict.fromkeys(
        kind for tally in tallies.values() for clip in tally.clips for kind in clip.groups
    )
    return {kind: {name: tally.by_group(kind) for name, tally in tallies.items()} for kind in kinds}


def format_grouped(groups: Grouped) -> str:
    """A table for each kind, the rows of a group beside one another."""
    columns = [column for column in COLUMNS if column.key in GROUPED]
    tables = []
    for kind, rows in groups.items():
        first = next(iter(rows.values()))
        lines = {
            f"{group}: {name}": own[group]
            for group in sorted(first)
            for name, own in rows.items()
            if group in own and own[group]["jitter"].count >= GROUP_LEAST
        }
        if lines:
            tables.append(f"By {kind}, groups of {GROUP_LEAST} clips and more\n")
            tables.append(format_table(lines, columns))
    return "\n".join(tables)


def _means(clips: Sequence[Clip], names: Sequence[str] | None = None) -> dict[str, Estimate]:
    columns: dict[str, list[float]] = {}
    for clip in clips:
        for name, value in clip.values.items():
            if names is None or name in names:
                columns.setdefault(name, []).append(value)
    return {name: estimate(column) for name, column in columns.items()}
