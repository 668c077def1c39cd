import math

import pytest
import torch

from lead.core.errors import WorkError
from lead.diffusion.samplers import (
    SOLVERS,
    integrate_dopri5,
    integrate_euler,
    integrate_heun,
    integrate_midpoint,
)

START = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)


def velocity(z, time):
    return -z + torch.cos(time)[:, None]


def solution(time):
    """Closed form of dz/dt = -z + cos t: (cos t + sin t) / 2 + C exp(-t)."""
    return (math.cos(time) + math.sin(time)) / 2 + (START - 0.5) * math.exp(-time)


def grid(begin, end, steps):
    return [begin + (end - begin) * k / steps for k in range(steps + 1)]


@pytest.mark.parametrize(
    ("integrate", "order"), [(integrate_euler, 1), (integrate_heun, 2), (integrate_midpoint, 2)]
)
@pytest.mark.parametrize("backwards", [False, True])
def test_order_of_convergence(integrate, order, backwards):
    begin, end = (2.0, 0.0) if backwards else (0.0, 2.0)
    errors = [
        float(
            (integrate(velocity, solution(begin), grid(begin, end, n)) - solution(end)).abs().max()
        )
        for n in (80, 160, 320)
    ]
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert orders == pytest.approx([order, order], abs=0.08), errors


@pytest.mark.parametrize("integrate", SOLVERS.values(), ids=SOLVERS)
def test_a_straight_flow_needs_one_step(integrate):
    noise, clean = torch.randn(2, 3, 1, 4, dtype=torch.float64)
    z = integrate(lambda z, time: clean - noise, noise, [0.0, 1.0])
    assert torch.allclose(z, clean)


@pytest.mark.parametrize(
    ("integrate", "degree"), [(integrate_euler, 0), (integrate_heun, 1), (integrate_midpoint, 1)]
)
def test_exact_for_polynomials_of_its_degree_on_uneven_grids(integrate, degree):
    z = integrate(lambda z, time: (time**degree)[:, None] + 0 * z, START, [0.0, 0.1, 0.7, 2.0])
    assert torch.allclose(z, START + 2.0 ** (degree + 1) / (degree + 1))


@pytest.mark.parametrize("integrate", SOLVERS.values(), ids=SOLVERS)
def test_rows_are_independent_and_a_grid_of_one_point_stays(integrate):
    whole = integrate(velocity, START, grid(0.0, 1.0, 7))
    assert torch.allclose(integrate(velocity, START[1:], grid(0.0, 1.0, 7)), whole[1:], rtol=1e-12)
    assert torch.equal(integrate(velocity, START, [0.3]), START)


# Dormand and Prince

LOOSE = {"rtol": 1e9, "atol": 1e9}  # every step is kept


def one_step(begin, length):
    return integrate_dopri5(velocity, solution(begin), [begin, begin + length], **LOOSE)


@pytest.mark.parametrize("backwards", [False, True])
def test_one_step_of_dopri5_is_wrong_in_the_sixth_order(backwards):
    begin, sign = (2.0, -1) if backwards else (0.3, 1)
    errors = [
        float((one_step(begin, sign * length) - solution(begin + sign * length)).abs().max())
        for length in (0.4, 0.2, 0.1)
    ]
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert orders == pytest.approx([6, 6], abs=0.35), errors


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7, 1e-9])
@pytest.mark.parametrize("backwards", [False, True])
def test_dopri5_keeps_its_tolerance_with_few_evaluations(tolerance, backwards):
    begin, end = (6.0, 0.0) if backwards else (0.0, 6.0)
    calls = []

    def counted(z, time):
        calls.append(time)
        return velocity(z, time)

    z = integrate_dopri5(counted, solution(begin), [begin, end], rtol=tolerance, atol=tolerance)
    grown = math.exp(6) if backwards else 1  # an error in the state grows so far on its way back
    assert (z - solution(end)).abs().max() < 20 * tolerance * grown
    assert len(calls) % 6 == 1, "the last velocity of a step is the first of the next"
    assert len(calls) < 90 * (1e-3 / tolerance) ** 0.2 * (3 if backwards else 1)


def test_dopri5_takes_short_steps_where_the_field_is_wild():
    """A peak of width 0.01 at 0.5 with wide feet: w^2 / ((t - 1/2)^2 + w^2)."""
    times = []

    def peak(z, time):
        times.append(float(time[0]))
        return (1 / (((time - 0.5) / 0.01) ** 2 + 1))[:, None] + 0 * z

    start = torch.zeros(1, 1, dtype=torch.float64)
    z = integrate_dopri5(peak, start, [0.0, 0.1, 1.0], rtol=1e-8, atol=1e-8)
    assert float(z) == pytest.approx(0.02 * math.atan(50), abs=1e-6)
    inside = sum(abs(time - 0.5) < 0.1 for time in times)
    assert inside > len(times) / 2


def test_each_row_of_dopri5_has_steps_of_its_own():
    def field(z, time):
        return -rates[: len(z), None] * z

    rates = torch.tensor([200.0, 0.1], dtype=torch.float64)
    start = torch.ones(2, 3, dtype=torch.float64)
    both = integrate_dopri5(field, start, [0.0, 1.0])
    assert torch.equal(both[:1], integrate_dopri5(field, start[:1], [0.0, 1.0]))
    torch.testing.assert_close(both, torch.exp(-rates)[:, None].expand(2, 3), atol=1e-5, rtol=1e-2)


def test_frames_that_stand_still_change_no_step_of_dopri5():
    short = START[:, :, None].expand(2, 1, 4)
    padded = torch.cat([short, torch.zeros(2, 5, 4, dtype=torch.float64)], dim=1)

    def moving(z, time):
        out = -z + torch.cos(time)[:, None, None]
        return torch.cat([out[:, :1], torch.zeros_like(z[:, 1:])], dim=1)

    alone = integrate_dopri5(moving, short, [0.0, 2.0])
    assert torch.equal(integrate_dopri5(moving, padded, [0.0, 2.0])[:, :1], alone)


def test_dopri5_gives_up_in_one_line():
    with pytest.raises(WorkError, match="more than 50 steps"):
        integrate_dopri5(lambda z, time: z * math.nan, START, [0.0, 1.0], tries=50)
