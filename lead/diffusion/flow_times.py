"""Times of a flow, from 0 (noise) to 1 (data): at which it is trained, at which it is sampled."""

import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import RequestError

STEPS_MOST = 1000


def flow_times(steps: int, shift: float = 1.0) -> list[float]:
    """The ends of ``steps`` steps from 0 to 1: t / (t + shift (1 - t)) of equally spaced t.

    A shift of 1 leaves them uniform, above 1 the first steps are shorter, below 1 the last (Esser
    et al. 2024). RequestError for steps outside 1..1000 and a shift that is not positive.
    """
    if not 1 <= steps <= STEPS_MOST:
        raise RequestError(f"steps is {steps}: it must lie in 1..{STEPS_MOST}")
    if not 0 < shift < float("inf"):
        raise RequestError(f"the shift of the times is {shift}: it must be positive")
    uniform = (step / steps for step in range(steps + 1))
    return [time / (time + shift * (1 - time)) for time in uniform]


def draw_times(
    rows: int, generator: torch.Generator | None = None, spread: float = 0.0
) -> Float[Tensor, " rows"]:
    """Times to train at: uniform (ACMDM), or with a ``spread`` the sigmoid of N(0, spread^2).

    The latter (Esser et al. 2024, with 1) asks more often in the middle, where it is hardest. They
    are drawn on the generator's device, none means torch's global one.
    """
    device = "cpu" if generator is None else generator.device
    if spread == 0:
        return torch.rand(rows, generator=generator, device=device)
    return (spread * torch.randn(rows, generator=generator, device=device)).sigmoid()
