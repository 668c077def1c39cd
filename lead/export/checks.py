"""What is asked for, checked at the door: arrays, frame rates, picture sizes."""

from collections.abc import Sequence

import numpy as np

from lead.core.errors import RequestError

FPS = (0.1, 1000)
SIDES = (64, 4096)  # pixels of a picture


def finite_array(name: str, value: object, shape: tuple[str | int, ...]) -> np.ndarray:
    """``value`` as a finite float32 array of ``shape``, e.g. ("frames", 22, 3).

    A word in ``shape`` stands for any length from 1. Raises RequestError that states the shape
    wanted and the one received, or the first frame (leading index) that is not finite.
    """
    array = np.asarray(value)
    wanted = "(" + ", ".join(map(str, shape)) + ")"
    if array.dtype.kind not in "fiu":
        raise RequestError(f"{name} must be numbers of shape {wanted}, got type {array.dtype}")
    fits = array.ndim == len(shape) and all(
        length >= 1 if isinstance(want, str) else length == want
        for want, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise RequestError(f"{name} must be {wanted}, got {array.shape}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if bad.any():
        raise RequestError(
            f"{name} hold a value that is not finite, first in frame {int(bad.argmax())}"
        )
    return array


def frame_rate(fps: float | int) -> float:
    """``fps`` as a float; RequestError unless it is from 0.1 to 1000."""
    low, high = FPS
    if not low <= fps <= high:
        raise RequestError(f"fps must be from {low} to {high} frames a second, got {fps}")
    return float(fps)


def picture_size(size: Sequence[int]) -> tuple[int, int]:
    """A picture's (width, height); RequestError unless both are even and from 64 to 4096."""
    low, high = SIDES
    if len(size) != 2 or any(side % 2 or not low <= side <= high for side in size):
        raise RequestError(
            f"a picture's size must be two even numbers from {low} to {high}, got {tuple(size)}"
        )
    return int(size[0]), int(size[1])
