"""The explicit midpoint method: order 2, two evaluations per step."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from lead.diffusion.samplers.euler import Velocity


def integrate_midpoint(
    velocity: Velocity, z: Float[Tensor, " batch *rest"], times: Sequence[float]
) -> Float[Tensor, " batch *rest"]:
    """Integrate dz/dtime = velocity(z, time (batch,)) from ``times[0]`` to ``times[-1]``.

    ``times`` is any grid, rising or falling, and ``z`` the state at its first point.
    """
    for time, following in pairwise(times):
        half = (following - time) / 2
        middle = z + half * velocity(z, z.new_full((len(z),), time))
        z = z + 2 * half * velocity(middle, z.new_full((len(z),), time + half))
    return z
