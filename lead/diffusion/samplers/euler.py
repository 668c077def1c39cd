"""The explicit Euler method: order 1, one evaluation per step."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]


def integrate_euler(
    velocity: Velocity, z: Float[Tensor, " batch *rest"], times: Sequence[float]
) -> Float[Tensor, " batch *rest"]:
    """Integrate dz/dtime = velocity(z, time (batch,)) from ``times[0]`` to ``times[-1]``.

    ``times`` is any grid, rising or falling, and ``z`` the state at its first point.
    """
    for time, following in pairwise(times):
        z = z + (following - time) * velocity(z, z.new_full((len(z),), time))
    return z
