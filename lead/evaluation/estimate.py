"""A measured value with its uncertainty."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lead.core.errors import RequestError

NORMAL_95 = 1.96  # two-sided 95 % quantile, rounded as the field's tables have it


@dataclass(frozen=True)
class Estimate:
    """A sample mean; ``margin`` is half the width of its 95 % confidence interval.

    ``margin`` is None where one value alone leaves it unknown. ``count`` is the number of values.
    """

    mean: float
    margin: float | None
    count: int


def estimate(values: Sequence[float] | np.ndarray, quantile: float = NORMAL_95) -> Estimate:
    """Sample mean with the normal 95 % interval, 1.96 s / sqrt(n), s with n - 1 in its denominator.

    All values weigh the same. Another ``quantile`` gives another confidence. Raises RequestError
    where there are no values.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise RequestError("a mean needs at least one value, got none")
    margin = None
    if values.size > 1:
        margin = float(quantile * values.std(ddof=1) / math.sqrt(values.size))
    return Estimate(float(values.mean()), margin, int(values.size))
