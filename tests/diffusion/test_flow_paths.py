"""Paths against their definition, and flows of Gaussians, whose every marginal is known."""

import math

import pytest
import torch

from lead.core.errors import RequestError
from lead.diffusion.flow_times import draw_times, flow_times
from lead.diffusion.paths import PATHS, find_path
from lead.diffusion.samplers import SOLVERS, find_solver

MEAN, DEVIATION = 1.5, 0.4


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.fixture(params=sorted(PATHS))
def path(request):
    return find_path(request.param)


def test_a_path_goes_from_noise_to_data(path):
    data, noise = draw(2, 3, 4), draw(2, 3, 4, seed=1)
    torch.testing.assert_close(path.at(data, noise, torch.zeros(2)), noise)
    torch.testing.assert_close(path.at(data, noise, torch.ones(2)), data)


def test_the_target_is_the_derivative_of_the_path(path):
    data, noise = draw(5, 3), draw(5, 3, seed=1)
    time = torch.linspace(0, 1, 5, dtype=torch.float64)
    _, rate = torch.func.jvp(
        lambda time: path.at(data, noise, time), (time,), (torch.ones_like(time),)
    )
    torch.testing.assert_close(path.velocity(data, noise, time), rate)


def test_the_linear_path_is_the_papers():
    data, noise, time = draw(2, 3), draw(2, 3, seed=1), torch.tensor([0.25, 0.5])
    wanted = torch.stack([0.25 * data[0] + 0.75 * noise[0], 0.5 * data[1] + 0.5 * noise[1]])
    torch.testing.assert_close(find_path("linear").at(data, noise, time), wanted)
    assert torch.equal(find_path("linear").velocity(data, noise, time), data - noise)


def gaussian_flow(path, z, time):
    """E[velocity | z_t = z] for data of N(MEAN, DEVIATION^2): the regression of one on the other.

    a' m + (a a' S^2 + s s') / (a^2 S^2 + s^2) (z - a m)
    """
    time = time[:, None]
    a, s, da, ds = (f(time) for f in (path.signal, path.noise, path.signal_rate, path.noise_rate))
    slope = (a * da * DEVIATION**2 + s * ds) / (a**2 * DEVIATION**2 + s**2)
    return da * MEAN + slope * (z - a * MEAN)


def test_the_mean_target_at_a_point_is_the_closed_form(path):
    """What a network learns by the squared error, by linear regression on 200,000 draws."""
    data, noise = MEAN + DEVIATION * draw(200_000, 1), draw(200_000, 1, seed=1)
    for time in (0.2, 0.5, 0.8):
        times = torch.full((200_000,), time, dtype=torch.float64)
        z_t, target = path.at(data, noise, times), path.velocity(data, noise, times)
        left = torch.cat([z_t, torch.ones_like(z_t)], 1)
        slope, offset = torch.linalg.lstsq(left, target).solution[:, 0]
        ends = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        wanted = gaussian_flow(path, ends, times[:2])[:, 0]
        assert (offset - wanted[0]).abs() < 0.03
        assert (slope - (wanted[1] - wanted[0])).abs() < 0.03


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_a_flow_carries_noise_to_the_data_exactly(path, solver):
    """Quantiles stay quantiles: every point ends where its own share of the data ends."""
    noise = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]
    steps = {"euler": 1000, "dopri5": 10}.get(solver, 200)
    tight = {"rtol": 1e-8, "atol": 1e-8} if solver == "dopri5" else {}
    z = find_solver(solver)(
        lambda z, time: gaussian_flow(path, z, time), noise, flow_times(steps), **tight
    )
    error = (z - (MEAN + DEVIATION * noise)).abs().max()
    assert error < {"euler": 8e-3, "dopri5": 1e-6}.get(solver, 1e-4)


@pytest.mark.parametrize("solver", ["euler", "heun", "midpoint"])
def test_marginals_on_the_way_have_their_mean_and_deviation(path, solver):
    noise = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    times = [0.6 * k / 3000 for k in range(3001)]
    z = find_solver(solver)(lambda z, time: gaussian_flow(path, z, time), noise, times)
    at = torch.tensor(0.6, dtype=torch.float64)
    a, s = float(path.signal(at)), float(path.noise(at))
    spread = math.sqrt((a * DEVIATION) ** 2 + s**2)
    torch.testing.assert_close(z[:, 0], a * MEAN + spread * noise[:, 0], atol=1e-3, rtol=0)


def test_times():
    assert flow_times(4) == [0, 0.25, 0.5, 0.75, 1]
    shifted = flow_times(4, shift=3.0)
    assert shifted == pytest.approx([0, 1 / 10, 1 / 4, 1 / 2, 1])  # noise 3s / (1 + 2s)
    assert flow_times(1, shift=0.2) == [0, 1]
    for steps, shift in ((0, 1.0), (1001, 1.0), (4, 0.0), (4, -1.0), (4, math.inf), (4, math.nan)):
        with pytest.raises(RequestError, match="must"):
            flow_times(steps, shift)


def test_drawn_times_have_their_distribution():
    uniform = draw_times(100_000, torch.Generator().manual_seed(0))
    assert uniform.quantile(0.25) == pytest.approx(0.25, abs=0.01)
    middle = draw_times(100_000, torch.Generator().manual_seed(0), spread=1.0)
    assert middle.logit().std() == pytest.approx(1, abs=0.01)
    assert middle.quantile(0.25) == pytest.approx(1 / (1 + math.exp(0.6745)), abs=0.01)
    again = draw_times(5, torch.Generator().manual_seed(0))
    assert torch.equal(again, draw_times(5, torch.Generator().manual_seed(0)))


def test_unknown_names_are_told():
    with pytest.raises(RequestError, match="unknown path 'lineer'"):
        find_path("lineer")
    with pytest.raises(RequestError, match="unknown sampler 'oiler' of a flow"):
        find_solver("oiler")
