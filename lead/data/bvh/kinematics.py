"""Channel values to local rotations, and forward kinematics."""

import numpy as np
import torch

from lead.data.bvh.parser import BvhMotion
from lead.representation.rotations import quaternion_to_matrix

_AXES = {"X": 0, "Y": 1, "Z": 2}


def local_rotations(motion: BvhMotion) -> np.ndarray:
    """Each joint's rotation in its parent's frame: unit quaternions (frames, joints, 4), w first.

    The channels are intrinsic Euler angles in file order: ``Zrotation Xrotation Yrotation`` is
    ``Rz Rx Ry``, applied to column vectors.
    """
    frames, joints = len(motion.values), len(motion.names)
    quaternions = np.zeros((frames, joints, 4))
    quaternions[..., 0] = 1.0
    for order, (members, columns) in _rotation_groups(motion).items():
        half = np.deg2rad(motion.values[:, columns]) / 2  # (frames, members, angles)
        quaternions[:, members] = _axis_product(order, np.cos(half), np.sin(half))
    return quaternions


def local_positions(motion: BvhMotion) -> np.ndarray:
    """Each joint's position in its parent's frame (frames, joints, 3), in the file's units.

    A position channel stands in place of its component of OFFSET.
    """
    positions = np.tile(motion.offsets, (len(motion.values), 1, 1))
    for joint, column, name in _channel_columns(motion):
        if name.endswith("position"):
            positions[:, joint, _AXES[name[0]]] = motion.values[:, column]
    return positions


def forward_kinematics(
    parents: tuple[int, ...], rotations: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """World rotation matrices (frames, joints, 3, 3) and world positions (frames, joints, 3).

    ``rotations`` are local unit quaternions (frames, joints, 4), ``positions`` are local
    (frames, joints, 3); a parent comes before its children.
    """
    matrices = quaternion_to_matrix(torch.from_numpy(rotations)).numpy()
    local = np.ascontiguousarray(matrices.swapaxes(0, 1))
    offsets = np.ascontiguousarray(positions.swapaxes(0, 1))[..., None]
    turned = np.empty_like(local)  # (joints, frames, 3, 3)
    placed = np.empty_like(offsets)
    for joint, parent in enumerate(parents):
        if parent < 0:
            turned[joint], placed[joint] = local[joint], offsets[joint]
        else:
            np.matmul(turned[parent], local[joint], out=turned[joint])
            np.matmul(turned[parent], offsets[joint], out=placed[joint])
            placed[joint] += placed[parent]
    return turned.swapaxes(0, 1), placed[..., 0].swapaxes(0, 1)


def _channel_columns(motion: BvhMotion) -> list[tuple[int, int, str]]:
    """(joint, column, channel name) for every column of ``values``."""
    pairs = [(joint, name) for joint, names in enumerate(motion.channels) for name in names]
    return [(joint, column, name) for column, (joint, name) in enumerate(pairs)]


def _rotation_groups(motion: BvhMotion) -> dict[tuple[int, ...], tuple[list[int], np.ndarray]]:
    """Joints that share a rotation order: order -> (joints, columns (joints, angles))."""
    columns: dict[int, list[int]] = {}
    orders: dict[int, tuple[int, ...]] = {}
    for joint, column, name in _channel_columns(motion):
        if name.endswith("rotation"):
            columns.setdefault(joint, []).append(column)
            orders[joint] = (*orders.get(joint, ()), _AXES[name[0]])
    groups: dict[tuple[int, ...], list[int]] = {}
    for joint, order in orders.items():
        groups.setdefault(order, []).append(joint)
    return {
        order: (members, np.array([columns[joint] for joint in members]))
        for order, members in groups.items()
    }


def _axis_product(order: tuple[int, ...], cosines: np.ndarray, sines: np.ndarray) -> np.ndarray:
    """Product of rotations about coordinate axes, from the half angles' (..., angles)."""
    zeros = np.zeros(cosines.shape[:-1])
    product = [zeros + 1.0, zeros, zeros, zeros]
    for index, axis in enumerate(order):
        cosine, sine = cosines[..., index], sines[..., index]
        w, vector = product[0], product[1:]
        ahead, behind = (axis + 1) % 3, (axis + 2) % 3
        turned = [zeros, zeros, zeros]
        turned[axis] = vector[axis] * cosine + w * sine
        turned[ahead] = vector[ahead] * cosine + vector[behind] * sine
        turned[behind] = vector[behind] * cosine - vector[ahead] * sine
        product = [w * cosine - vector[axis] * sine, *turned]
    return np.stack(product, axis=-1)
