"""Arrays at the door: the right shape, real numbers, float32."""

import numpy as np

from lead.core.errors import RequestError


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
