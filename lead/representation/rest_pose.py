"""The T-pose: which way each bone points when a figure stands upright, arms out, facing +Z."""

import torch
from jaxtyping import Float
from torch import Tensor

from lead.representation.skeletons import Skeleton

Triple = tuple[float | int, float | int, float | int]

# Left side and middle, by joint name without its side; the right side mirrors x. Hips, collars,
# neck and head lean about as in SMPL's template, so that a clip's pelvis and chest stand upright.
_DIRECTIONS: dict[str, Triple] = {
    **dict.fromkeys(("pelvis", "root"), (0, 0, 0)),
    **dict.fromkeys(("spine1", "spine2", "spine3", "torso", "chest"), (0, 1, 0)),
    **{"neck": (0, 1, -0.1), "head": (0, 1, 0.3)},
    **{"hip": (1, -0.6, 0), "knee": (0, -1, 0), "ankle": (0, -1, 0)},
    **dict.fromkeys(("foot", "toes"), (0, -0.45, 1)),
    **{"collar": (0.6, 1, -0.1), "shoulder": (1, 0.3, 0), "elbow": (1, 0, 0), "wrist": (1, 0, 0)},
}

_TIPS: dict[str, Triple] = {
    **{"head": (0, 0.2, 0.02), "wrist": (0.2, 0, 0)},
    **dict.fromkeys(("foot", "toes"), (0, 0, 0.08)),
}
"""From the last joint of a chain to the end of the body, in leg lengths (hip to ankle)."""


def t_pose_directions(skeleton: Skeleton) -> Float[Tensor, "joints 3"]:
    """Unit vector from each joint's parent to the joint in the T-pose; zero for the root."""
    rows = [_by_name(_DIRECTIONS, name) for name in skeleton.joint_names]
    return torch.nn.functional.normalize(torch.stack(rows), dim=-1)


def t_pose_tips(skeleton: Skeleton) -> dict[int, Float[Tensor, "3"]]:
    """From each joint without children to the tip of the head, hand or foot, in leg lengths."""
    parents = skeleton.parents
    return {
        joint: _by_name(_TIPS, name)
        for joint, name in enumerate(skeleton.joint_names)
        if joint not in parents
    }


def _by_name(table: dict[str, Triple], name: str) -> Float[Tensor, "3"]:
    side, _, part = name.partition("_")
    x, y, z = table[part or side]
    return torch.tensor([-x if side == "right" else x, y, z], dtype=torch.float64)
