"""Which timesteps a sampler visits."""

from collections.abc import Sequence

from lead.core.errors import RequestError


def leading_timesteps(num_train_timesteps: int, steps: int, offset: int = 1) -> list[int]:
    """Return ``steps`` equally spaced timesteps, noisiest first, by the 'leading' rule.

    These are ``offset + k * (num_train_timesteps // steps)``; 50 of 1000 gives 981, 961, ..., 1, as
    in MLD. Where the offset would lead past the last timestep (1000 of 1000) it is cut to what
    fits. Raises RequestError for ``steps`` outside 1..num_train_timesteps.
    """
    if not 1 <= steps <= num_train_timesteps:
        raise RequestError(f"steps is {steps}: it must lie in 1..{num_train_timesteps}")
    if offset < 0:
        raise RequestError(f"the offset of the timesteps is {offset}: it must not be negative")
    stride = num_train_timesteps // steps
    offset = min(offset, num_train_timesteps - 1 - (steps - 1) * stride)
    return [offset + stride * k for k in reversed(range(steps))]


def solver_timesteps(num_train_timesteps: int, solver_steps: int = 50) -> list[int]:
    """Return the grid of latent consistency distillation, noisiest first: 999, 979, ..., 19.

    Neighbours are ``num_train_timesteps // solver_steps`` apart (k = 20 in Luo et al. 2023; 100 in
    MotionLCM v2, with 10 steps). RequestError for steps outside 1..num_train_timesteps.
    """
    if not 1 <= solver_steps <= num_train_timesteps:
        raise RequestError(
            f"solver_steps is {solver_steps}: it must lie in 1..{num_train_timesteps}"
        )
    skip = num_train_timesteps // solver_steps
    return [skip * k - 1 for k in range(solver_steps, 0, -1)]


def distilled_timesteps(num_train_timesteps: int, steps: int, solver_steps: int = 50) -> list[int]:
    """Return ``steps`` of the timesteps that a model was distilled at, equally far apart.

    The first is the noisiest; 4 of 50 gives 999, 759, 499, 259. RequestError for ``steps`` outside
    1..solver_steps.
    """
    grid = solver_timesteps(num_train_timesteps, min(solver_steps, num_train_timesteps))
    if not 1 <= steps <= len(grid):
        raise RequestError(f"steps is {steps}: lcm takes 1..{len(grid)}")
    return [grid[len(grid) * k // steps] for k in range(steps)]


def check_timesteps(timesteps: Sequence[int | float], num_train_timesteps: int) -> list[int]:
    """Return ``timesteps`` as a list of integers; RequestError names what is wrong with them.

    They must be whole numbers in 0..num_train_timesteps-1 that never rise.
    """
    if len(timesteps) == 0:
        raise RequestError("timesteps is empty: give at least one, e.g. timesteps=[799]")
    for value in timesteps:
        if not float(value).is_integer() or not 0 <= value < num_train_timesteps:
            last = num_train_timesteps - 1
            raise RequestError(f"timestep {value} is not a whole number in 0..{last}")
    values = [int(value) for value in timesteps]
    if values != sorted(values, reverse=True):
        raise RequestError(f"timesteps {values} rise: give them from the noisiest to the cleanest")
    return values
