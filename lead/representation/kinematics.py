"""Inverse and forward kinematics of HumanML3D's rotation convention.

Each bone is turned from its rest direction by the shortest rotation (no twist), so these rotations
reproduce joint positions and nothing else; they are not SMPL pose parameters.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.representation.rotations import (
    quaternion_between,
    quaternion_inverse,
    quaternion_multiply,
)
from lead.representation.skeletons import Skeleton, get_skeleton

NO_LENGTH = 1e-6  # metres; a shorter bone has no direction


@cache
def reference_offsets(
    skeleton: str, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "joints 3"]:
    """The rest pose's bone vectors; sent to each device once."""
    with torch.inference_mode(False):  # what is kept also serves training
        return get_skeleton(skeleton).reference_offsets().to(device, dtype)


def bone_vectors(joints: Float[Tensor, "*shape joints 3"], skeleton: Skeleton) -> Tensor:
    """Vector from each joint's parent to the joint; zero for the root."""
    parents = torch.tensor((0, *skeleton.parents[1:]), device=joints.device)
    return joints - joints.index_select(-2, parents)


def bone_rotations(joints: Float[Tensor, "*shape joints 3"], skeleton: Skeleton) -> Tensor:
    """Shortest rotation from each bone's rest direction to where it points (global, quaternion)."""
    rest = torch.tensor(skeleton.directions, dtype=joints.dtype, device=joints.device)
    return quaternion_between(rest[1:], bone_vectors(joints, skeleton)[..., 1:, :])


def inverse_kinematics(
    joints: Float[Tensor, "*shape joints 3"],
    root_rotation: Float[Tensor, "*shape 4"],
    skeleton: Skeleton,
) -> Float[Tensor, "*shape joints 4"]:
    """Local rotations: the root's, then each bone's relative to the bone before it in its chain."""
    rotations = torch.cat([root_rotation[..., None, :], bone_rotations(joints, skeleton)], dim=-2)
    parents = torch.tensor(skeleton.rotation_parents[1:], device=joints.device)
    before = rotations.index_select(-2, parents)
    local = quaternion_multiply(quaternion_inverse(before), rotations[..., 1:, :])
    return torch.cat([root_rotation[..., None, :], local], dim=-2)


def constant_bones(joints, skeleton: str = "humanml3d"):
    """Joints (..., J, 3) in metres whose bones have the lengths of the skeleton.

    The root and the direction of every bone are kept; a bone of no length points as in the rest
    pose. What a network puts out goes through this before anything draws, writes, measures or
    judges it; motion of that skeleton comes back as it was. NumPy in, NumPy out; differentiable.
    Raises RequestError for another number of joints.
    """
    shape = get_skeleton(skeleton)
    places = torch.as_tensor(joints)
    if places.ndim < 2 or tuple(places.shape[-2:]) != (shape.joints, 3):
        raise RequestError(
            f"joints must be (..., {shape.joints}, 3) for skeleton '{skeleton}', "
            f"got {tuple(places.shape)}"
        )
    bones = bone_vectors(places, shape)
    rest = reference_offsets(skeleton, places.device, places.dtype)
    # Where a bone has no length, so has its gradient none; sqrt(0) would make it NaN.
    squared = (bones * bones).sum(-1, keepdim=True)
    gone = squared < NO_LENGTH**2
    lengths = torch.where(gone, torch.ones_like(squared), squared).sqrt()
    bones = torch.where(gone, rest, bones * (rest.norm(dim=-1, keepdim=True) / lengths))
    held = _chained(places[..., 0, :], bones, shape)
    return held.numpy() if isinstance(joints, np.ndarray) else held


def retarget(
    joints: Float[Tensor, "batch frames joints 3"],
    skeleton: Skeleton,
) -> Float[Tensor, "batch frames joints 3"]:
    """Give each clip the bone lengths of the reference skeleton, keeping every bone's direction.

    The root's path is scaled by the ratio of leg lengths, taken from each clip's first frame.
    """
    bones = bone_vectors(joints, skeleton)
    reference = skeleton.reference_offsets().norm(dim=-1).to(joints)
    legs = list(skeleton.scale_joints)
    scale = reference[legs].sum() / bones[:, 0, legs].norm(dim=-1).sum(-1).clamp(min=1e-8)
    lengths = bones.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    bones = bones * (reference[:, None] / lengths)
    return _chained(joints[:, :, 0] * scale[:, None, None], bones, skeleton)


def _chained(root: Tensor, bones: Tensor, skeleton: Skeleton) -> Tensor:
    """Positions (..., J, 3) from the root's and the vector of each bone, along the chains."""
    positions: list[Tensor] = [root] * skeleton.joints
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            positions[joint] = positions[parent] + bones[..., joint, :]
    return torch.stack(positions, dim=-2)
