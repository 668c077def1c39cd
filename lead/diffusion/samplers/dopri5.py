"""The adaptive method of Dormand and Prince (1980): order 5, six evaluations per step."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import WorkError
from lead.diffusion.samplers.euler import Velocity

PLACES = (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""Each stage from those before it; the last is the step itself, whose velocity the next reuses."""
ERROR = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
"""The step minus the embedded one of order 4."""

SAFETY, LEAST, MOST = 0.9, 0.2, 10.0  # of the change of a step's length


def integrate_dopri5(
    velocity: Velocity,
    z: Float[Tensor, " batch *rest"],
    times: Sequence[float],
    *,
    rtol: float = 1e-3,
    atol: float = 1e-6,
    tries: int = 1000,
) -> Float[Tensor, " batch *rest"]:
    """Integrate dz/dtime = velocity(z, time (batch,)) from ``times[0]`` to ``times[-1]``.

    The first step that is tried goes to ``times[1]``; from there on each row has steps of its own,
    kept where its estimated error is below ``atol + rtol |z|``, so that no row depends on another.
    A row's error is the root mean square of its worst frame (the first axis behind the batch): what
    stands still, like padding, does not dilute it. WorkError after so many ``tries``.
    """
    if len(times) < 2:
        return z
    end = z.new_full((len(z),), times[-1])
    time, step = torch.full_like(end, times[0]), torch.full_like(end, times[1] - times[0])
    start = velocity(z, time)
    for _ in range(tries):
        left = end - time
        if not left.any():
            return z
        last = step.abs() >= left.abs()
        step = torch.where(last, left, step)
        following, stages = _try(velocity, z, time, step, start)
        error = _error(stages, step, z, following, rtol, atol)
        kept = error <= 1
        time = torch.where(kept, torch.where(last, end, time + step), time)
        z = torch.where(_column(kept, z), following, z)
        start = torch.where(_column(kept, z), stages[-1], start)
        change = SAFETY * error.clamp(min=1e-10) ** -0.2
        step = step * change.clamp(LEAST, MOST).where(error.isfinite(), LEAST)
    raise WorkError(f"dopri5 needs more than {tries} steps: use fixed ones, such as sampler=heun")


def _try(
    velocity: Velocity, z: Tensor, time: Tensor, step: Tensor, start: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Where one step leads, and the velocities at all of its stages."""
    stages, point = [start], z
    for place, weights in zip(PLACES[1:], STAGES, strict=True):
        change = sum(weight * stage for weight, stage in zip(weights, stages, strict=True))
        point = z + _column(step, z) * change
        stages.append(velocity(point, time + place * step))
    return point, stages


def _error(
    stages: list[Tensor], step: Tensor, z: Tensor, following: Tensor, rtol: float, atol: float
) -> Tensor:
    """The estimated error of each row in units of what is allowed."""
    error = sum(weight * stage for weight, stage in zip(ERROR, stages, strict=True))
    allowed = atol + rtol * torch.maximum(z.abs(), following.abs())
    squares = (_column(step, z) * error / allowed).square()
    return squares.reshape(*(*squares.shape, 1)[:2], -1).mean(-1).amax(-1).sqrt()


def _column(row: Tensor, like: Tensor) -> Tensor:
    return row.reshape(-1, *[1] * (like.ndim - 1))
