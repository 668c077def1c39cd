"""Physical measures of motions that come one at a time and are not kept."""

from collections.abc import Mapping, Sequence

import numpy as np

from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.physical import measure
from lead.representation import Skeleton, features_to_joints


class PhysicalTally:
    """The measures of ``lead.evaluation.physical``, clip by clip."""

    def __init__(self, fps: float, skeleton: Skeleton):
        self.fps, self.skeleton = fps, skeleton
        self.values: dict[str, list[float]] = {}

    def add(self, features: np.ndarray, reference: np.ndarray | None = None) -> None:
        """Measure one motion, and its errors where the real one is given; both as features."""
        joints, real = (
            None if given is None else features_to_joints(given, self.skeleton.name)
            for given in (features, reference)
        )
        for name, value in measure(joints, self.fps, self.skeleton, real).items():
            self.values.setdefault(name, []).append(value)

    def add_all(
        self, motions: Sequence[np.ndarray], references: Sequence[np.ndarray] | None = None
    ) -> None:
        """``add`` for each of several motions, and the real ones at the same places."""
        for place, motion in enumerate(motions):
            self.add(motion, None if references is None else references[place])

    def add_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """What another tally measured, after what this one has."""
        for name, column in values.items():
            self.values.setdefault(name, []).extend(column)

    def estimates(self) -> dict[str, Estimate]:
        """Means over the motions so far."""
        return {name: estimate(column) for name, column in self.values.items()}
