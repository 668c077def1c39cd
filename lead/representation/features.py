"""The redundant motion features of HumanML3D (263) and KIT-ML (251), both ways.

Layout for J joints, one row a frame (Guo et al., CVPR 2022, "Generating diverse and natural 3D
human motions from text"):

====================  ===========  ==============================================================
part                  width        meaning
====================  ===========  ==============================================================
root yaw velocity     1            half the turn about y to the next frame, positive to the right
root x, z velocity    2            in the next frame's facing, per frame
root height           1            above the floor
local positions       3 (J - 1)    joints relative to the root's ground point, facing +Z
local rotations       6 (J - 1)    twist-free inverse kinematics, continuous 6-D
local velocities      3 J          per frame, turned into the present frame's facing
foot contacts         4            left ankle, left toe, right ankle, right toe
====================  ===========  ==============================================================

The last input frame gives velocities only, so n frames of joints make n - 1 rows.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask, without_padding
from lead.representation.kinematics import constant_bones, inverse_kinematics, retarget
from lead.representation.rotations import (
    minus,
    plus,
    quaternion_inverse,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_to_rotation_6d,
)
from lead.representation.skeletons import Skeleton, get_skeleton

SMOOTHING_SIGMA = 20.0  # frames; HumanML3D smooths the facing direction over time
SMOOTHING_RADIUS = 80  # frames; four sigma


def joints_to_features(joints, skeleton: str = "humanml3d", *, shortest_turn: bool = False):
    """Motion features of one clip: joints (frames, J, 3) in metres -> (frames - 1, F).

    The clip is retargeted to the reference skeleton, put on the floor with its first frame at the
    origin facing +Z. The result is un-normalised, in the dataset's own unit (metres for HumanML3D,
    millimetres for KIT-ML). NumPy in, NumPy out; torch in, torch out.

    Published features negate the yaw velocity in the one frame where the facing passes -Z, so that
    their path goes astray there. The default does the same; ``shortest_turn`` mends it.

    Raises RequestError where the shape is wrong, a value is not finite or there is but one frame.
    """
    shape = get_skeleton(skeleton)
    tensor = _as_float_tensor(joints, "joints")
    if tensor.ndim != 3 or tuple(tensor.shape[1:]) != (shape.joints, 3):
        raise RequestError(
            f"joints must be (frames, {shape.joints}, 3) for skeleton '{skeleton}', "
            f"got {tuple(tensor.shape)}"
        )
    if len(tensor) < 2:
        raise RequestError(f"a motion needs at least 2 frames, got {len(tensor)}")
    if not torch.isfinite(tensor).all():
        frame = int((~torch.isfinite(tensor)).flatten(1).any(1).nonzero()[0])
        raise RequestError(f"joints hold a value that is not finite, first in frame {frame}")
    lengths = torch.tensor([len(tensor)], device=tensor.device)
    features = joints_to_features_batch(
        tensor[None], lengths, skeleton, shortest_turn=shortest_turn
    )[0]
    return features.numpy() if isinstance(joints, np.ndarray) else features


def joints_to_features_batch(
    joints: Float[Tensor, "batch frames joints 3"],
    lengths: Int[Tensor, " batch"],
    skeleton: str = "humanml3d",
    *,
    shortest_turn: bool = False,
) -> Float[Tensor, "batch frames_minus_1 features"]:
    """Motion features of a padded batch of clips, in metres; rows past ``lengths - 1`` are zero.

    Values past a clip's length do not matter. See joints_to_features.
    """
    shape = get_skeleton(skeleton)
    frames = joints.shape[1]
    mask = lengths_to_mask(lengths, frames)
    whole = without_padding(mask)
    if not whole:
        last = (lengths - 1)[:, None].clamp(min=0)
        held = torch.minimum(torch.arange(frames, device=joints.device)[None], last)
        clips = torch.arange(len(joints), device=joints.device)[:, None]
        joints = joints[clips, held]  # the last frame stands on
    joints = _canonicalise(retarget(joints, shape), shape)
    if shape.metres_per_unit != 1:
        joints = joints / shape.metres_per_unit
    facing = _smoothed_facing_rotation(joints, shape)
    rotations = inverse_kinematics(joints[:, :-1], facing[:, :-1], shape)
    rows = torch.cat(
        [
            _root_features(joints, facing, shortest_turn),
            _local_positions(joints[:, :-1], facing[:, :-1]).flatten(2),
            quaternion_to_rotation_6d(rotations[:, :, 1:]).flatten(2),
            _turn(facing[:, :-1, None], joints[:, 1:] - joints[:, :-1]).flatten(2),
            _foot_contacts(joints, shape),
        ],
        dim=-1,
    )
    return rows if whole else rows.mul_(mask[:, 1:, None])


def features_to_joints(features, skeleton: str = "humanml3d"):
    """Joint positions of un-normalised features: (..., frames, F) -> (..., frames, J, 3) in metres.

    Integrates the root's yaw and path; positions come from the local positions, not from the
    rotations. NumPy in, NumPy out. Raises RequestError where the width is wrong.
    """
    shape = get_skeleton(skeleton)
    tensor = _as_float_tensor(features, "features")
    if tensor.ndim < 2 or tensor.shape[-1] != shape.features:
        raise RequestError(
            f"features must be (..., frames, {shape.features}) for skeleton '{skeleton}', "
            f"got {tuple(tensor.shape)}"
        )
    yaw, path = _root_trajectory(tensor)
    to_world = quaternion_inverse(yaw)
    width = 3 * (shape.joints - 1)
    local = tensor[..., 4 : 4 + width].unflatten(-1, (shape.joints - 1, 3))
    others = quaternion_rotate(to_world[..., None, :], local)
    ground = path * path.new_tensor([1.0, 0.0, 1.0])
    joints = torch.cat([path[..., None, :], others + ground[..., None, :]], dim=-2)
    joints = joints * shape.metres_per_unit
    return joints.numpy() if isinstance(features, np.ndarray) else joints


def with_constant_bones(features, skeleton: str = "humanml3d"):
    """Features (frames, F) of the same motion with the bones of the skeleton (constant_bones)."""
    joints = constant_bones(features_to_joints(features, skeleton), skeleton)
    return replace_joints(features, joints, skeleton)


def replace_joints(features, joints, skeleton: str = "humanml3d"):
    """Features of an edited clip: (frames, F) and its new joints (frames, J, 3) -> (frames, F).

    ``joints`` are those of features_to_joints, moved; the facing of ``features`` is kept, so that
    features_to_joints gives the new joints (with the first root at x = z = 0 as ever). What the
    last frame says of the one after it, velocities and contacts, is kept too. NumPy in, NumPy out.
    """
    shape = get_skeleton(skeleton)
    old, moved = _as_float_tensor(features, "features"), _as_float_tensor(joints, "joints")
    if old.ndim != 2 or old.shape[1] != shape.features or len(old) == 0:
        raise RequestError(f"features must be (frames, {shape.features}), got {tuple(old.shape)}")
    if tuple(moved.shape) != (len(old), shape.joints, 3):
        raise RequestError(
            f"joints must be ({len(old)}, {shape.joints}, 3), got {tuple(moved.shape)}"
        )
    moved = (moved.to(old.dtype) / shape.metres_per_unit)[None]
    facing = _root_trajectory(old)[0][None]
    rotations = quaternion_to_rotation_6d(inverse_kinematics(moved, facing, shape)[:, :, 1:])
    steps = quaternion_rotate(facing[:, :-1, None], moved[:, 1:] - moved[:, :-1])
    positions, turns = 4 + 3 * (shape.joints - 1), 4 + 9 * (shape.joints - 1)
    new = old.clone()
    new[:-1, 1:3] = _root_features(moved, facing, shortest_turn=True)[0, :, 1:3]
    new[:, 3] = moved[0, :, 0, 1]
    new[:, 4:positions] = _local_positions(moved, facing)[0].flatten(1)
    new[:, positions:turns] = rotations[0].flatten(1)
    new[:-1, turns:-4] = steps[0].flatten(1)
    new[:-1, -4:] = _foot_contacts(moved, shape)[0]
    return new.numpy() if isinstance(features, np.ndarray) else new


def complete_features(
    features: Float[Tensor, "batch frames features"],
    mask: Bool[Tensor, "batch frames"],
    skeleton: str = "humanml3d",
) -> Float[Tensor, "batch frames features"]:
    """Un-normalised features whose rotations, velocities and contacts follow from the positions.

    The root's velocities and height and the local positions are kept, whatever else is given does
    not matter, nor do values where ``mask`` is false. The last real frame, whose successor nobody
    knows, moves as the one before it did; a clip of one frame stands still.
    """
    shape = get_skeleton(skeleton)
    facing, joints = _root_trajectory(features)[0], features_to_joints(features, skeleton)
    joints = joints / shape.metres_per_unit
    rotations = quaternion_to_rotation_6d(inverse_kinematics(joints, facing, shape)[:, :, 1:])
    before = (mask.sum(1, keepdim=True) - 2).clamp(min=-1)  # the last frame whose step is known
    places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    places = places.minimum(before)
    still = (places < 0)[..., None, None]
    here = places.clamp(min=0)[..., None, None].expand_as(joints)
    nexts = (here + 1).clamp(max=mask.shape[1] - 1)
    moved = (joints.gather(1, nexts) - joints.gather(1, here)).masked_fill(still, 0)
    feet = moved[:, :, [*shape.left_foot, *shape.right_foot]]
    contacts = (feet.square().sum(-1) < shape.contact_threshold).to(features.dtype)
    kept = features[..., : 4 + 3 * (shape.joints - 1)]
    steps = quaternion_rotate(facing[:, :, None], moved)
    return torch.cat([kept, rotations.flatten(2), steps.flatten(2), contacts], dim=-1)


def _as_float_tensor(values, what: str) -> Tensor:
    """A tensor that never writes to ``values``; any strides, byte order or number type will do."""
    try:
        if isinstance(values, np.ndarray):
            native = values.astype(values.dtype.newbyteorder("="), copy=False)
            values = np.require(native, requirements=["C", "W"])
        tensor = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RequestError(f"{what} must be an array of numbers: {error}") from error
    return tensor if tensor.is_floating_point() else tensor.float()


def _root_trajectory(features: Tensor) -> tuple[Tensor, Tensor]:
    """Yaw quaternion (world to facing) and root path (..., frames, 3), in feature units."""
    half_angle = torch.zeros_like(features[..., 0])
    half_angle[..., 1:] = features[..., :-1, 0].cumsum(-1)
    zero = torch.zeros_like(half_angle)
    yaw = torch.stack([half_angle.cos(), zero, half_angle.sin(), zero], dim=-1)
    step = torch.zeros_like(features[..., :3])
    step[..., 1:, 0] = features[..., :-1, 1]
    step[..., 1:, 2] = features[..., :-1, 2]
    path = quaternion_rotate(quaternion_inverse(yaw), step).cumsum(-2)
    height = features[..., 3:4]
    return yaw, torch.cat([path[..., :1], height, path[..., 2:]], dim=-1)


def _across(joints: Tensor, skeleton: Skeleton, hip_sign: float = 1.0) -> Tensor:
    """Direction from left to right through hips and shoulders, not normalised.

    HumanML3D's inverse kinematics reads its four joints in another order than the rest of its
    code, so that the hips count negatively there (``hip_sign=-1``); published features have it.
    """
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
    hips = joints[..., right_hip, :] - joints[..., left_hip, :]
    shoulders = joints[..., right_shoulder, :] - joints[..., left_shoulder, :]
    return hip_sign * hips + shoulders


def _forward(across: Tensor) -> Tensor:
    """y cross the unit ``across``: horizontal, shorter than one where ``across`` is tilted."""
    x, _, z = torch.nn.functional.normalize(across, dim=-1).unbind(-1)
    return torch.stack([z, torch.zeros_like(x), -x], dim=-1)


def _rotation_to_z(forward: Tensor) -> Tensor:
    """The turn about y that takes a horizontal direction to +Z; no turn for a vector of zeros."""
    x, y, z = forward.unbind(-1)
    half_angle = -0.5 * torch.atan2(x, z)
    zero = torch.zeros_like(y)
    return torch.stack([half_angle.cos(), zero, half_angle.sin(), zero], dim=-1)


def _turn(rotation: Tensor, vectors: Tensor) -> Tensor:
    """Vectors turned about y, by quaternions whose x and z are zero: half the work of any other."""
    w, y = rotation[..., 0], rotation[..., 2]
    cosine, sine = 1 - 2 * y * y, 2 * w * y
    x, up, z = vectors.unbind(-1)
    return torch.stack([plus(cosine * x, sine, z), up, minus(cosine * z, sine, x)], dim=-1)


def _canonicalise(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """Lowest point at y = 0, first root at x = z = 0, first frame facing +Z."""
    start = joints[:, 0, 0].clone()
    start[:, 1] = joints[..., 1].amin(dim=(1, 2))
    turn = _rotation_to_z(_forward(_across(joints[:, 0], skeleton)))
    return _turn(turn[:, None, None], joints - start[:, None, None])


def _smoothed_facing_rotation(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """Rotation that turns each frame's smoothed facing direction to +Z; identity in frame 0."""
    forward = _forward(_across(joints, skeleton, hip_sign=-1.0))
    kernel = torch.arange(-SMOOTHING_RADIUS, SMOOTHING_RADIUS + 1, device=joints.device)
    kernel = torch.exp(-0.5 * (kernel.to(joints.dtype) / SMOOTHING_SIGMA) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = torch.nn.functional.pad(
        forward.transpose(1, 2), (SMOOTHING_RADIUS, SMOOTHING_RADIUS), mode="replicate"
    )
    smooth = torch.nn.functional.conv1d(padded, kernel, groups=3).transpose(1, 2)
    rotation = _rotation_to_z(smooth)
    rotation[:, 0] = rotation.new_tensor([1.0, 0.0, 0.0, 0.0])
    return rotation


def _root_features(joints: Tensor, facing: Tensor, shortest_turn: bool) -> Tensor:
    """Yaw velocity, planar velocity and height of the root: (batch, frames - 1, 4)."""
    velocity = _turn(facing[:, 1:], joints[:, 1:, 0] - joints[:, :-1, 0])
    turn = quaternion_multiply(facing[:, 1:], quaternion_inverse(facing[:, :-1]))
    real, axis = turn[..., 0], turn[..., 2]
    if shortest_turn:
        axis = torch.where(real < 0, -axis, axis)
    yaw = torch.atan2(axis, real.abs())  # the arcsine of the axis, with finite gradients
    return torch.stack([yaw, velocity[..., 0], velocity[..., 2], joints[:, :-1, 0, 1]], dim=-1)


def _local_positions(joints: Tensor, facing: Tensor) -> Tensor:
    """All joints but the root, seen from its ground point, turned to face +Z; heights are kept."""
    ground = joints[:, :, :1] * joints.new_tensor([1.0, 0.0, 1.0])
    return _turn(facing[:, :, None], joints[:, :, 1:] - ground)


def _foot_contacts(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """1 where a foot joint moves less than the threshold to the next frame (squared distance)."""
    feet = joints[:, :, [*skeleton.left_foot, *skeleton.right_foot]]
    moved = ((feet[:, 1:] - feet[:, :-1]) ** 2).sum(-1)
    return (moved < skeleton.contact_threshold).to(joints.dtype)
