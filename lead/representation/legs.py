"""Legs as two bones and a foot: which joints they are, and bending one so that its ankle moves."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lead.representation.skeletons import Skeleton

STRETCH = 0.999  # of the whole length; a leg is never made straighter, its knee would snap
STRAIGHT = 1e-6  # m; a knee nearer to the line from hip to ankle does not say where it bends


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


def missing_reach(
    hip: Float[np.ndarray, "frames 3"],
    target: Float[np.ndarray, "frames 3"],
    reach: Float[np.ndarray, " frames"],
) -> Float[np.ndarray, " frames"]:
    """How far a hip has to come straight down to be within ``reach`` of a target below it, metres.

    Where the target is too far aside for that, the hip comes down to the target's height.
    """
    across = np.hypot(hip[:, 0] - target[:, 0], hip[:, 2] - target[:, 2])
    height = np.sqrt(np.maximum(reach**2 - across**2, 0.0))
    return np.maximum(hip[:, 1] - target[:, 1] - height, 0.0)


def bend_leg(
    hip: Float[np.ndarray, "frames 3"],
    knee: Float[np.ndarray, "frames 3"],
    ankle: Float[np.ndarray, "frames 3"],
    new_hip: Float[np.ndarray, "frames 3"],
    target: Float[np.ndarray, "frames 3"],
    forward: Float[np.ndarray, "frames 3"],
) -> tuple[Float[np.ndarray, "frames 3"], Float[np.ndarray, "frames 3"]]:
    """New knee and ankle of a leg that hangs from ``new_hip`` and stretches towards ``target``.

    Both bones keep the length they have in each frame, and the plane in which the knee bends turns
    as little as it can (two-bone inverse kinematics by the law of cosines). A straight leg bends
    to ``forward``. A target out of reach is approached along its direction.
    """
    thigh, shin = _length(knee - hip), _length(ankle - knee)
    axis, new_axis = _unit(ankle - hip), _unit(target - new_hip)
    side = _turned(_across(knee - hip, axis), axis, new_axis)
    straight = _length(side) < STRAIGHT
    side = _unit(np.where(straight, _across(forward, new_axis), side))
    longest = np.maximum(STRETCH * (thigh + shin), _length(ankle - hip))
    distance = np.clip(_length(target - new_hip), np.abs(thigh - shin) + STRAIGHT, longest)
    distance = np.maximum(distance, 1e-9)
    along = (thigh**2 - shin**2 + distance**2) / (2 * distance)
    aside = np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
    return new_hip + along * new_axis + aside * side, new_hip + distance * new_axis


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(_length(vectors), 1e-12)


def _across(vectors: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The part of each vector at right angles to a unit axis."""
    return vectors - (vectors * axis).sum(-1, keepdims=True) * axis


def _turned(vectors: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Each vector turned by the shortest rotation that takes unit ``start`` to unit ``end``.

    v + n x v + n x (n x v) / (1 + start . end) with n = start x end (Rodrigues); the two directions
    of one leg are never opposite.
    """
    normal = np.cross(start, end)
    once = np.cross(normal, vectors)
    cosine = (start * end).sum(-1, keepdims=True)
    return vectors + once + np.cross(normal, once) / np.maximum(1 + cosine, 1e-9)
