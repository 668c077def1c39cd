"""Another frame rate by interpolating rotations, not channel values or joint positions."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from lead.core.errors import RequestError
from lead.data.bvh.kinematics import local_positions, local_rotations
from lead.data.bvh.parser import BvhMotion
from lead.data.limits import FRAMES_MOST, POINTS_MOST


def resample(motion: BvhMotion, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """The motion at ``fps``: local rotations (frames, joints, 4) and positions (frames, joints, 3).

    Rotations are interpolated on the sphere, positions linearly; a frame that coincides with an
    input frame is that frame. Raises RequestError where it is too long for the memory.
    """
    index, fraction = sample_positions(len(motion.values), motion.fps, fps)
    used = np.unique(np.concatenate([index, index[fraction > 0] + 1]))
    points = max(len(index), len(used)) * len(motion.names)
    if points > POINTS_MOST:
        raise RequestError(
            f"{len(index)} frames of {len(motion.names)} joints at {fps:g} fps: "
            f"{POINTS_MOST} joints in all are the most: cut it into parts"
        )
    motion = replace(motion, values=motion.values[used])
    index = np.searchsorted(used, index)
    rotations = resample_rotations(local_rotations(motion), index, fraction)
    return rotations, resample_linear(local_positions(motion), index, fraction)


def sample_positions(frames: int, fps_in: float, fps_out: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the output frames fall between the input frames: (index, fraction in [0, 1)).

    The first frame is kept; there are ``floor((frames - 1) * fps_out / fps_in) + 1`` of them.
    The arithmetic is exact, so coinciding frames have fraction 0. Raises RequestError where there
    are more than FRAMES_MOST.
    """
    step = _exact(fps_in) / _exact(fps_out)
    count = int((frames - 1) / step) + 1
    if count > FRAMES_MOST:
        raise RequestError(
            f"{frames} frames at {fps_in:g} fps make {count} at {fps_out:g} fps, {FRAMES_MOST} are "
            "the most: cut it into parts"
        )
    ticks = np.arange(count, dtype=np.int64) * step.numerator
    return ticks // step.denominator, (ticks % step.denominator) / step.denominator


def resample_linear(values: np.ndarray, index: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Linear interpolation along the first axis of (frames, ...)."""
    return _between(values, index, fraction, lambda a, b, weight: a + weight * (b - a))


def resample_rotations(
    quaternions: np.ndarray, index: np.ndarray, fraction: np.ndarray
) -> np.ndarray:
    """Spherical linear interpolation of unit quaternions (frames, ..., 4), the shorter way round.

    Slerp after Shoemake (1985): both ends are weighted with sines of parts of their angle.
    """
    return _between(quaternions, index, fraction, _slerp)


def _between(values: np.ndarray, index: np.ndarray, fraction: np.ndarray, mix: Callable):
    """Frames as they are, or mixed with the next by a weight, where they fall between two."""
    result = values[index]
    between = np.flatnonzero(fraction)
    if len(between):
        weight = fraction[between].reshape(-1, *[1] * (values.ndim - 1))
        result[between] = mix(result[between], values[index[between] + 1], weight)
    return result


def _slerp(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    cosine = np.einsum("...i,...i->...", start, end)[..., None]
    end = np.where(cosine < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6  # linear there: the error is of the order of angle squared
    sine = np.where(near, 1.0, sine)
    first = np.where(near, 1 - weight, np.sin((1 - weight) * angle) / sine)
    second = np.where(near, weight, np.sin(weight * angle) / sine)
    mixed = first * start + second * end
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)


def _exact(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)
