"""Feet on the floor: the root's height and path, read off the feet that stand."""

import numpy as np

from lead.representation.features import features_to_joints, replace_joints
from lead.representation.skeletons import get_skeleton

LOWEST = 5  # % of the frames of a clip may reach below the floor
FALL = 0.015  # m; a foot joint so much above where it stands counts 1/e
ANKLE_HEIGHT = 0.12  # of a leg; no ankle stands higher
SECONDS = 0.25  # deviation of the Gaussian over time
SPEED = 0.5  # m/s; of such a disagreement half is taken, of less hardly any, of more nearly all
NOBODY = 0.05  # weight of feet that do not stand: where nobody does, the path stays as it is


def plant_feet(features: np.ndarray, skeleton: str = "humanml3d") -> np.ndarray:
    """The same poses along a path on which standing feet stand: (frames, F) -> (frames, F).

    The clip is set on the floor, as those of the data are: in a twentieth of its frames the lowest
    joint is below 0. Generated roots may run ahead of the legs (a walk backward at twice the speed
    of its steps). Where toes and ankles are as low as they stand, their horizontal velocity,
    weighted by height and averaged over time, is what the root's lacks, u. The root is given it by
    the share |u|^4 / (|u|^4 + SPEED^4), so that clips whose feet nearly stand stay where they are.
    Its turns are kept. A clip of one frame comes back as it is.
    """
    shape = get_skeleton(skeleton)
    joints = features_to_joints(features, skeleton)
    if len(joints) < 2:
        return features
    joints[..., 1] -= np.percentile(joints[..., 1].min(axis=1), LOWEST).astype(joints.dtype)
    ankles, toes = zip(shape.left_foot, shape.right_foot, strict=True)
    feet = joints[:, [*toes, *ankles]].astype(np.float64)
    rest = min(np.percentile(feet[:, 2:, 1], 2), ANKLE_HEIGHT * shape.leg)
    above = np.maximum(feet[..., 1] - [0, 0, rest, rest], 0)
    stands = np.exp(-np.maximum(above[1:], above[:-1]) / FALL)
    velocity = np.diff(feet, axis=0)[..., [0, 2]] * shape.fps
    moves, weight = (
        _over_time(of, SECONDS * shape.fps)
        for of in ((stands[..., None] * velocity).sum(1), stands.sum(1, keepdims=True))
    )
    lack = -moves / (weight + NOBODY)
    fourth = np.linalg.norm(lack, axis=1, keepdims=True) ** 4
    offset = np.cumsum(lack * fourth / (fourth + SPEED**4), axis=0) / shape.fps
    joints[1:, :, [0, 2]] += offset[:, None].astype(joints.dtype)
    return replace_joints(features, joints, skeleton)


def _over_time(values: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian mean over frames, (frames, n); the first and last stand for those outside."""
    reach = int(4 * deviation + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    return windows @ (weights / weights.sum())
