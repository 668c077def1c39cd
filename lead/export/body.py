"""Which joints a stick figure connects, and which limb is on which side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lead.core.errors import RequestError
from lead.representation.skeletons import HUMANML3D, SKELETONS


@dataclass(frozen=True)
class Body:
    """Bones as (parent, joint) pairs, a side per joint ("left", "right", "middle"), the head."""

    parents: tuple[int, ...]
    sides: tuple[str, ...]
    head: int | None

    @property
    def bones(self) -> list[tuple[int, int]]:
        """(parent, joint) of every joint that has a parent."""
        return [(parent, joint) for joint, parent in enumerate(self.parents) if parent >= 0]

    def bone_length(self, joints: np.ndarray) -> float:
        """Mean length of the bones in metres: the unit for widths and margins."""
        parents, children = zip(*self.bones, strict=True)
        joints = joints.astype(np.float64)
        lengths = np.linalg.norm(joints[:, list(children)] - joints[:, list(parents)], axis=-1)
        return max(float(np.median(lengths, axis=0).mean()), 1e-3)


def body_of(parents: Sequence[int] | None) -> Body:
    """The body of a joint tree (-1 = root; None = HumanML3D's 22 joints).

    Sides and head come from the joint names of the known skeleton with the same tree; in any other
    tree every limb counts as "middle". Raises RequestError where ``parents`` is not a tree.
    """
    return _body_of(HUMANML3D.parents if parents is None else tuple(int(p) for p in parents))


@lru_cache
def _body_of(parents: tuple[int, ...]) -> Body:
    _check_tree(parents)
    for skeleton in SKELETONS.values():
        if skeleton.parents == parents:
            names = skeleton.joint_names
            sides = (name.partition("_")[0] for name in names)
            sides = tuple(side if side in ("left", "right") else "middle" for side in sides)
            return Body(parents, sides, names.index("head") if "head" in names else None)
    return Body(parents, ("middle",) * len(parents), None)


def _check_tree(parents: tuple[int, ...]) -> None:
    for joint, parent in enumerate(parents):
        seen = {joint}
        while 0 <= parent < len(parents) and parent not in seen:
            seen.add(parent)
            parent = parents[parent]
        if parent != -1:
            raise RequestError(
                f"parents are not a tree at joint {joint}: each chain must end in a root (-1)"
            )
    if len(parents) < 2:
        raise RequestError(f"a figure needs at least 2 joints, parents name {len(parents)}")
