"""Joints to features, one clip after the other, in NumPy: HumanML3D's recipe step by step."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lead.representation.skeletons import Skeleton

SIGMA = 20.0


def plain_features(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Features (frames - 1, F) of one clip (frames, J, 3) in metres."""
    joints = _retarget(joints.astype(np.float64), skeleton)
    joints[..., 1] -= joints[..., 1].min()
    joints = joints - joints[0, 0] * np.array([1.0, 0.0, 1.0])
    turn = _to_z(_forward(_across(joints[:1], skeleton, 1.0)))
    joints = _rotate(np.broadcast_to(turn, (*joints.shape[:2], 4)), joints)
    joints = joints / skeleton.metres_per_unit
    forward = _forward(_across(joints, skeleton, -1.0))
    smooth = gaussian_filter1d(forward, SIGMA, axis=0, mode="nearest")
    facing = _to_z(smooth)
    facing[0] = [1.0, 0.0, 0.0, 0.0]
    every_joint = np.repeat(facing[:, None], joints.shape[1], axis=1)
    velocity = _rotate(facing[1:], joints[1:, 0] - joints[:-1, 0])
    difference = _multiply(facing[1:], _inverse(facing[:-1]))
    yaw = np.arcsin(np.clip(difference[:, 2:3] * np.sign(difference[:, :1]), -1, 1))
    yaw = np.where(difference[:, :1] < 0, -yaw, yaw)
    root = np.concatenate([yaw, velocity[:, [0, 2]], joints[:-1, 0, 1:2]], axis=1)
    ground = joints[:, :1] * np.array([1.0, 0.0, 1.0])
    local = _rotate(every_joint, joints - ground)[:-1, 1:].reshape(len(root), -1)
    rotations = _six(_local_rotations(joints, facing, skeleton))[:-1, 1:].reshape(len(root), -1)
    speeds = _rotate(every_joint[:-1], joints[1:] - joints[:-1]).reshape(len(root), -1)
    feet = joints[:, [*skeleton.left_foot, *skeleton.right_foot]]
    moved = ((feet[1:] - feet[:-1]) ** 2).sum(-1)
    contacts = (moved < skeleton.contact_threshold).astype(np.float64)
    return np.concatenate([root, local, rotations, speeds, contacts], axis=1)


def _retarget(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The reference skeleton's bone lengths along the clip's bones, chain by chain."""
    reference = np.linalg.norm(skeleton.reference_offsets().numpy(), axis=-1)
    parents = skeleton.parents
    legs = [
        np.linalg.norm(joints[0, joint] - joints[0, parents[joint]])
        for joint in skeleton.scale_joints
    ]
    scale = reference[list(skeleton.scale_joints)].sum() / sum(legs)
    placed = np.zeros_like(joints)
    placed[:, 0] = joints[:, 0] * scale
    for chain in skeleton.chains:
        for parent, joint in zip(chain[:-1], chain[1:], strict=True):
            bone = joints[:, joint] - joints[:, parents[joint]]
            unit = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
            placed[:, joint] = placed[:, parent] + unit * reference[joint]
    return placed


def _local_rotations(joints: np.ndarray, facing: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Inverse kinematics: each bone's shortest turn from its rest direction, chain by chain."""
    directions = np.asarray(skeleton.directions, dtype=np.float64)
    rotations = np.zeros((*joints.shape[:2], 4))
    rotations[:, 0] = facing
    for chain in skeleton.chains:
        before = facing
        for parent, joint in zip(chain[:-1], chain[1:], strict=True):
            bone = joints[:, joint] - joints[:, parent]
            bone = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
            rest = np.repeat(directions[joint][None], len(bone), axis=0)
            turn = _between(rest, bone)
            rotations[:, joint] = _multiply(_inverse(before), turn)
            before = turn
    return rotations


def _between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    axis = np.cross(start, end)
    real = 1.0 + (start * end).sum(-1, keepdims=True)
    quaternion = np.concatenate([real, axis], axis=-1)
    return quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)


def _across(joints: np.ndarray, skeleton: Skeleton, hip_sign: float) -> np.ndarray:
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
    hips = joints[:, right_hip] - joints[:, left_hip]
    across = hip_sign * hips + joints[:, right_shoulder] - joints[:, left_shoulder]
    return across / np.linalg.norm(across, axis=-1, keepdims=True)


def _forward(across: np.ndarray) -> np.ndarray:
    return np.cross(np.array([[0.0, 1.0, 0.0]]), across, axis=-1)


def _to_z(forward: np.ndarray) -> np.ndarray:
    half = -0.5 * np.arctan2(forward[:, 0], forward[:, 2])
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, np.sin(half), zero], axis=-1)


def _multiply(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    real = left[..., :1] * right[..., :1] - (left[..., 1:] * right[..., 1:]).sum(-1, keepdims=True)
    axis = (
        left[..., :1] * right[..., 1:]
        + right[..., :1] * left[..., 1:]
        + np.cross(left[..., 1:], right[..., 1:])
    )
    return np.concatenate([real, axis], axis=-1)


def _inverse(quaternion: np.ndarray) -> np.ndarray:
    return quaternion * np.array([1.0, -1.0, -1.0, -1.0])


def _rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    once = np.cross(quaternion[..., 1:], vector)
    twice = np.cross(quaternion[..., 1:], once)
    return vector + 2 * (quaternion[..., :1] * once + twice)


def _six(quaternion: np.ndarray) -> np.ndarray:
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    first = [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)]
    second = [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)]
    return np.stack([*first, *second], axis=-1)
