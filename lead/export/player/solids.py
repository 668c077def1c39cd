"""The player's figure: rounded cones between joints, thick enough to be read from any side."""

from collections.abc import Iterator
from dataclasses import dataclass

from lead.representation.skeletons import Skeleton

# Radii in leg lengths at a bone's start and end, by the joint at its end.
_BONES: dict[str, tuple[float, float]] = {
    **{"spine1": (0.125, 0.125), "spine2": (0.125, 0.13), "spine3": (0.13, 0.13)},
    **{"torso": (0.125, 0.125), "chest": (0.125, 0.13), "neck": (0.12, 0.06)},
    **{"knee": (0.1, 0.068), "ankle": (0.068, 0.045), "foot": (0.048, 0.042)},
    **{"toes": (0.045, 0.042), "elbow": (0.062, 0.05), "wrist": (0.05, 0.036)},
}
# Further ones: from joint, to joint, where they begin and end on the way (1 = at the second joint,
# more is beyond it), radii.
_EXTRAS: tuple[tuple[str, str, float, float, float, float], ...] = (
    ("left_hip", "right_hip", 0.0, 1.0, 0.105, 0.105),
    ("left_shoulder", "right_shoulder", 0.0, 1.0, 0.078, 0.078),
    ("left_hip", "left_shoulder", 0.05, 0.9, 0.095, 0.11),  # the sides of the trunk
    ("right_hip", "right_shoulder", 0.05, 0.9, 0.095, 0.11),
    ("left_elbow", "left_wrist", 1.1, 1.4, 0.043, 0.03),
    ("right_elbow", "right_wrist", 1.1, 1.4, 0.043, 0.03),
)
_HEADS = {  # by skeleton: HumanML3D's head joint is at the base of the skull, KIT's inside it
    "humanml3d": ("neck", "head", 0.95, 1.7, 0.09, 0.118),
    "kit": ("neck", "head", 1.0, 2.6, 0.1, 0.118),
}


@dataclass(frozen=True)
class Solid:
    """A cone with round ends between two places on the line through two joints."""

    start_joint: int
    end_joint: int
    start: float  # share of the way from the first joint to the second
    end: float
    start_radius: float  # leg lengths
    end_radius: float
    side: str  # left, right or middle


def solids_of(skeleton: Skeleton) -> list[Solid]:
    """All solids of a skeleton's figure."""
    return list(_bones(skeleton)) + list(_extras(skeleton))


def _bones(skeleton: Skeleton) -> Iterator[Solid]:
    for joint, parent in enumerate(skeleton.parents):
        side, part = _split(skeleton.joint_names[joint])
        if parent >= 0 and part in _BONES:
            yield Solid(parent, joint, 0.0, 1.0, *_BONES[part], side)


def _extras(skeleton: Skeleton) -> Iterator[Solid]:
    place = skeleton.joint_names.index
    for first, second, start, end, *radii in (*_EXTRAS, _HEADS[skeleton.name]):
        side = _split(first)[0] if _split(second)[1] == "wrist" else "middle"
        yield Solid(place(first), place(second), start, end, *radii, side)


def _split(name: str) -> tuple[str, str]:
    """Side and body part of a joint's name."""
    side, _, part = name.rpartition("_")
    return side or "middle", part
