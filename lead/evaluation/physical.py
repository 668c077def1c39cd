"""Measures of motion in joint space: distance to a reference, and physical plausibility.

A clip is (frames, joints, 3) in metres with y up, a NumPy array or a torch tensor; everything is
computed in float64. Heights are taken as they are: the floor is y = 0, which holds for joints that
come from motion features. Each measure is a mean over one clip; ``summary`` averages over clips.

``measure`` and ``summary`` look at what a person sees: the joints with constant bones. By how much
bones changed before that is a measure of its own, which nothing that holds them can hide.

A clip that is too short, of the wrong shape or not finite is a RequestError.
"""

import numpy as np
import torch

from lead.core.errors import RequestError
from lead.evaluation.table import Column
from lead.representation import Skeleton, constant_bones

Joints = np.ndarray | torch.Tensor

CONTACT_HEIGHT = 0.05  # m; a toe below it is on the floor
ANKLE_HEIGHT = 0.12  # of a leg (10 cm); an ankle below it stands, as half of real standing ones are
SKATING_SPEED = 0.5  # m/s along the floor; a foot on the floor above it slides
AVERAGING_SECONDS = 0.25  # 5 frames at 20 fps
MILLIMETRES = 1000.0

COLUMNS = (
    Column("mpjpe", "MPJPE", "mm", better="lower", digits=1),
    Column("root_aligned_mpjpe", "root-aligned MPJPE", "mm", better="lower", digits=1),
    Column("path_error", "path error", "mm", better="lower", digits=1),
    Column("pa_mpjpe", "PA-MPJPE", "mm", better="lower", digits=1),
    Column("acceleration_error", "acceleration error", "mm/frame²", better="lower", digits=2),
    Column("foot_skating_ratio", "skating ratio", better="lower", digits=3),
    Column("toe_skating_ratio", "skating of toes", better="lower", digits=3),
    Column("skating_speed", "skating speed", "m/s", better="lower", digits=3),
    Column("jitter", "jitter", "m/s³", better="real", digits=1),
    Column("bone_length_deviation", "bone deviation", "mm", better="lower", digits=2),
    Column("largest_bone_length_change", "largest bone change", "mm", better="lower", digits=1),
    Column("floor_penetration", "floor penetration", "mm", better="lower", digits=1),
    Column("root_speed", "root speed", "m/s", better="real", digits=2),
)
"""The measures of ``summary``, in the order of a table."""


def mpjpe(real: Joints, predicted: Joints) -> float:
    """Mean per-joint position error in world space, mm."""
    real, predicted = _pair(real, predicted)
    return _mean_norm(predicted - real) * MILLIMETRES


def root_aligned_mpjpe(real: Joints, predicted: Joints) -> float:
    """Mean per-joint position error with the pelvis moved to the origin in every frame, mm.

    The pelvis counts among the joints, with error zero, as in the published code.
    """
    real, predicted = _pair(real, predicted)
    return _mean_norm((predicted - predicted[:, :1]) - (real - real[:, :1])) * MILLIMETRES


def path_error(real: Joints, predicted: Joints) -> float:
    """Mean distance of the pelvis from where it was, along the floor, mm."""
    real, predicted = _pair(real, predicted)
    return _mean_norm((predicted - real)[:, :1, [0, 2]]) * MILLIMETRES


def pa_mpjpe(real: Joints, predicted: Joints) -> float:
    """Mean per-joint position error after Procrustes alignment of every frame, mm.

    The similarity (rotation without reflection, scale, translation) that brings the predicted pose
    closest to the real one in the least-squares sense (Umeyama 1991).
    """
    real, predicted = _pair(real, predicted)
    real = real - real.mean(axis=1, keepdims=True)
    predicted = predicted - predicted.mean(axis=1, keepdims=True)
    left, singular, right = np.linalg.svd(np.swapaxes(predicted, 1, 2) @ real)
    handed = np.linalg.det(left @ right)  # -1 where the best orthogonal map is a reflection
    singular[:, 2] *= handed
    left[:, :, 2] *= handed[:, None]
    spread = (predicted**2).sum(axis=(1, 2))
    scale = singular.sum(axis=1) / np.where(spread > 0, spread, 1.0)
    aligned = scale[:, None, None] * (predicted @ (left @ right))
    return _mean_norm(aligned - real) * MILLIMETRES


def acceleration_error(real: Joints, predicted: Joints) -> float:
    """Mean norm of the difference between second differences, mm per squared frame (as in VIBE).

    Not divided by the frame time: compare only motions of the same frame rate.
    """
    real, predicted = _pair(real, predicted, at_least=3)
    return _mean_norm(np.diff(predicted - real, n=2, axis=0)) * MILLIMETRES


def foot_skating_ratio(joints: Joints, fps: float, skeleton: Skeleton) -> float:
    """Share of frames in which a foot slides over the floor (GMD, MotionLCM), toes and ankles.

    A joint slides from one frame to the next where it is low in both (a toe below 5 cm, an ankle
    below 0.12 of the leg) and its horizontal speed is above 0.5 m/s, now and in the mean over a
    quarter of a second around (5 frames at 20 fps, the nearest odd number of frames at other rates;
    outside the clip the speed counts as zero, as in the published code). Any of the four counts.
    Published KIT-ML numbers took its 12.5 fps for 20.
    """
    return float(sliding_frames(joints, fps, skeleton).mean())


def toe_skating_ratio(joints: Joints, fps: float, skeleton: Skeleton) -> float:
    """The same of the toes alone, as published.

    A foot that grows can hold a toe still, which constant bones forbid. Where ankles stand is a
    matter of the data (0.05 m above the toe in CMU's, 0.09 in Bandai-Namco's), where toes do not.
    """
    return float(_slides(joints, fps, skeleton)[:, :2].any(axis=1).mean())


def sliding_frames(joints: Joints, fps: float, skeleton: Skeleton) -> np.ndarray:
    """From which frames to the next a foot slides, as above: (frames - 1,)."""
    return _slides(joints, fps, skeleton).any(axis=1)


def skating_speed(joints: Joints, fps: float, skeleton: Skeleton) -> float:
    """Horizontal speed of toes and ankles, averaged as above and zero off the floor, m/s.

    The mean over frames and the four joints, so that it needs no threshold of speed.
    """
    _, smooth, contact = _feet(joints, fps, skeleton)
    return float((smooth * contact).mean())


def jitter(joints: Joints, fps: float) -> float:
    """Mean norm of the third derivative of joint positions, m/s³ (as in TransPose)."""
    third = np.diff(check_clip(joints, at_least=4), n=3, axis=0)
    return _mean_norm(third) * _rate(fps) ** 3


def bone_length_deviation(joints: Joints, skeleton: Skeleton) -> float:
    """Standard deviation over time of a bone's length, mean over bones, mm."""
    return float(_bone_lengths(joints, skeleton).std(axis=0).mean()) * MILLIMETRES


def largest_bone_length_change(joints: Joints, skeleton: Skeleton) -> float:
    """The largest distance of any bone's length from its mean over time, mm."""
    lengths = _bone_lengths(joints, skeleton)
    return float(np.abs(lengths - lengths.mean(axis=0)).max()) * MILLIMETRES


def floor_penetration(joints: Joints) -> float:
    """Depth of the lowest joint below y = 0, zero in frames above it, mean over frames, mm."""
    lowest = check_clip(joints)[..., 1].min(axis=1)
    return float(np.maximum(-lowest, 0.0).mean()) * MILLIMETRES


def root_speed(joints: Joints, fps: float) -> float:
    """Mean horizontal speed of the pelvis, m/s."""
    return float(_ground_speed(check_clip(joints, at_least=2)[:, 0], fps).mean())


def measure(
    clip: Joints, fps: float, skeleton: Skeleton, reference: Joints | None = None
) -> dict[str, float]:
    """Every measure of one clip; with a ``reference``, the real motion, the five errors too.

    All but those of bones are measured with constant bones.
    """
    given = check_clip(clip, skeleton=skeleton)
    held = constant_bones(given, skeleton.name)
    errors = {}
    if reference is not None:
        real = constant_bones(check_clip(reference, skeleton=skeleton), skeleton.name)
        errors = {
            "mpjpe": mpjpe(real, held),
            "root_aligned_mpjpe": root_aligned_mpjpe(real, held),
            "path_error": path_error(real, held),
            "pa_mpjpe": pa_mpjpe(real, held),
            "acceleration_error": acceleration_error(real, held),
        }
    return errors | {
        "foot_skating_ratio": foot_skating_ratio(held, fps, skeleton),
        "toe_skating_ratio": toe_skating_ratio(held, fps, skeleton),
        "skating_speed": skating_speed(held, fps, skeleton),
        "jitter": jitter(held, fps),
        "bone_length_deviation": bone_length_deviation(given, skeleton),
        "largest_bone_length_change": largest_bone_length_change(given, skeleton),
        "floor_penetration": floor_penetration(held),
        "root_speed": root_speed(held, fps),
    }


def check_clip(
    joints: Joints, *, at_least: int = 1, skeleton: Skeleton | None = None
) -> np.ndarray:
    """A float64 array of joints, checked; (frames, joints, 3)."""
    if isinstance(joints, torch.Tensor):
        joints = joints.detach().cpu().double().numpy()
    joints = np.asarray(joints, dtype=np.float64)
    count = "joints" if skeleton is None else str(skeleton.joints)
    fits = joints.ndim == 3 and joints.shape[2] == 3 and joints.shape[1] > 0
    if not fits or (skeleton is not None and joints.shape[1] != skeleton.joints):
        raise RequestError(f"joints must be (frames, {count}, 3), got {joints.shape}")
    if len(joints) < at_least:
        raise RequestError(f"this measure needs at least {at_least} frames, got {len(joints)}")
    finite = np.isfinite(joints).all(axis=(1, 2))
    if not finite.all():
        frame = int(np.argmin(finite))
        raise RequestError(f"joints hold a value that is not finite, first in frame {frame}")
    return joints


def _pair(real: Joints, predicted: Joints, *, at_least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    real, predicted = check_clip(real, at_least=at_least), check_clip(predicted, at_least=at_least)
    if real.shape != predicted.shape:
        raise RequestError(f"real joints are {real.shape}, predicted ones {predicted.shape}")
    return real, predicted


def _rate(fps: float) -> float:
    if not (np.isfinite(fps) and fps > 0):
        raise RequestError(f"fps must be a positive number, got {fps}")
    return float(fps)


def _mean_norm(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=-1).mean())


def _ground_speed(path: np.ndarray, fps: float) -> np.ndarray:
    """Horizontal speed between neighbouring frames: (frames, ..., 3) -> (frames - 1, ...)."""
    step = np.diff(path, axis=0)
    return np.hypot(step[..., 0], step[..., 2]) * _rate(fps)


def _slides(joints: Joints, fps: float, skeleton: Skeleton) -> np.ndarray:
    """Which of both toes, then ankles, slide: (frames - 1, 4)."""
    speed, smooth, contact = _feet(joints, fps, skeleton)
    return contact & (speed > SKATING_SPEED) & (smooth > SKATING_SPEED)


def _feet(
    joints: Joints, fps: float, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Speed, averaged speed and floor contact of both toes and ankles, each (frames - 1, 4)."""
    joints = check_clip(joints, at_least=2, skeleton=skeleton)
    ankles, toes = zip(skeleton.left_foot, skeleton.right_foot, strict=True)
    feet = joints[:, [*toes, *ankles]]
    heights = np.repeat([CONTACT_HEIGHT, ANKLE_HEIGHT * skeleton.leg], 2)
    speed = _ground_speed(feet, fps)
    reach = round((AVERAGING_SECONDS * fps - 1) / 2)  # frames on each side
    padded = np.pad(speed, ((reach, reach), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    low = feet[..., 1] < heights
    return speed, windows.mean(axis=-1), low[:-1] & low[1:]


def _bone_lengths(joints: Joints, skeleton: Skeleton) -> np.ndarray:
    """(frames, joints - 1), the root has no bone."""
    joints = check_clip(joints, skeleton=skeleton)
    parents = np.asarray(skeleton.parents)
    children = np.flatnonzero(parents >= 0)
    return np.linalg.norm(joints[:, children] - joints[:, parents[children]], axis=-1)
