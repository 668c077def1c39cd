"""Heun's method (the explicit trapezoidal rule): order 2, two evaluations per step."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from lead.diffusion.samplers.euler import Velocity


def integrate_heun(
    velocity: Velocity, z: Float[Tensor, " batch *rest"], times: Sequence[float]
) -> Float[Tensor, " batch *rest"]:
    """Integrate dz/dtime = velocity(z, time (batch,)) from ``times[0]`` to ``times[-1]``.

    ``times`` is any grid, rising or falling, and ``z`` the state at its first point.
    """
    for time, following in pairwise(times):
        step = following - time
        start = velocity(z, z.new_full((len(z),), time))
        end = velocity(z + step * start, z.new_full((len(z),), following))
        z = z + step / 2 * (start + end)
    return z
