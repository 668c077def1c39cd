import math

import pytest
import torch

from lead.diffusion.samplers import integrate_euler, integrate_heun

START = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)


def velocity(z, time):
    return -z + torch.cos(time)[:, None]


def solution(time):
    """Closed form of dz/dt = -z + cos t: (cos t + sin t) / 2 + C exp(-t)."""
    return (math.cos(time) + math.sin(time)) / 2 + (START - 0.5) * math.exp(-time)


def grid(begin, end, steps):
    return [begin + (end - begin) * k / steps for k in range(steps + 1)]


@pytest.mark.parametrize(("integrate", "order"), [(integrate_euler, 1), (integrate_heun, 2)])
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


@pytest.mark.parametrize("integrate", [integrate_euler, integrate_heun])
def test_a_straight_flow_needs_one_step(integrate):
    noise, clean = torch.randn(2, 3, 1, 4, dtype=torch.float64)
    z = integrate(lambda z, time: clean - noise, noise, [0.0, 1.0])
    assert torch.allclose(z, clean)


@pytest.mark.parametrize(("integrate", "degree"), [(integrate_euler, 0), (integrate_heun, 1)])
def test_exact_for_polynomials_of_its_degree_on_uneven_grids(integrate, degree):
    z = integrate(lambda z, time: (time**degree)[:, None] + 0 * z, START, [0.0, 0.1, 0.7, 2.0])
    assert torch.allclose(z, START + 2.0 ** (degree + 1) / (degree + 1))


@pytest.mark.parametrize("integrate", [integrate_euler, integrate_heun])
def test_rows_are_independent_and_a_grid_of_one_point_stays(integrate):
    whole = integrate(velocity, START, grid(0.0, 1.0, 7))
    assert torch.allclose(integrate(velocity, START[1:], grid(0.0, 1.0, 7)), whole[1:], rtol=1e-12)
    assert torch.equal(integrate(velocity, START, [0.3]), START)
