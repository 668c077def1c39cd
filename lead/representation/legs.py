"""Legs as two bones and a foot: which joints they are, and how long."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lead.representation.skeletons import Skeleton


@dataclass(frozen=True)
class Leg:
    """Joints of one leg, from the hip down; ``toe`` is the last of the ``foot`` joints."""

    hip: int
    knee: int
    ankle: int
    foot: tuple[int, ...]  # what hangs from the ankle

    @property
    def toe(self) -> int:
        """The joint that stands on the floor."""
        return self.foot[-1]


def legs_of(skeleton: Skeleton) -> tuple[Leg, Leg]:
    """Left and right leg."""
    legs = []
    for _, toe in (skeleton.left_foot, skeleton.right_foot):
        (chain,) = (chain for chain in skeleton.chains if chain[-1] == toe)
        _, hip, knee, ankle, *foot = chain
        legs.append(Leg(hip, knee, ankle, tuple(foot)))
    return legs[0], legs[1]


def leg_length(joints: Float[np.ndarray, "frames joints 3"], legs: tuple[Leg, Leg]) -> float:
    """Thigh and shin together, median over frames and legs, metres."""
    paths = joints[:, [[leg.hip, leg.knee, leg.ankle] for leg in legs]]
    return float(np.median(np.linalg.norm(np.diff(paths, axis=2), axis=-1).sum(axis=2)))
