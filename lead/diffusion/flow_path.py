"""Paths from noise to data, and the velocity that a flow learns along them.

At time t from 0 (noise) to 1 (data), with a = signal(t) and s = noise(t):

    z_t      = a data + s noise        (a, s) is (0, 1) at the start and (1, 0) at the end
    velocity = a' data + s' noise      its derivative in t (Lipman et al. 2023)

A path is one file in ``paths``: these two functions and their derivatives. Every method takes one
time per row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

Latents = Float[Tensor, " batch *rest"]
Times = Float[Tensor, " batch"]
Curve = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FlowPath:
    """How much data and how much noise there is at a time, and how fast that changes."""

    signal: Curve
    noise: Curve
    signal_rate: Curve
    noise_rate: Curve

    def at(self, data: Latents, noise: Latents, time: Times) -> Latents:
        """The point z_t of the path between this noise and this data."""
        time = _column(time, data)
        return self.signal(time) * data + self.noise(time) * noise

    def velocity(self, data: Latents, noise: Latents, time: Times) -> Latents:
        """The velocity at that point: what the network is to predict."""
        time = _column(time, data)
        return self.signal_rate(time) * data + self.noise_rate(time) * noise


def _column(time: Tensor, like: Tensor) -> Tensor:
    return time.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)
