import math

import numpy as np
import pytest
import torch

from lead.core.building import build
from lead.core.errors import RequestError
from lead.diffusion.schedules import SCHEDULES, cosine, linear, make_schedule, scaled_linear

# alphas_cumprod of diffusers 0.42 (DDPMScheduler, float32) at timesteps 0, 1, 250, 500, 750, 999
DIFFUSERS = {
    "scaled_linear": [0.99914998, 0.99829602, 0.67379230, 0.27633247, 0.05616980, 0.00466010],
    "linear": [0.99989998, 0.99978006, 0.52142298, 0.07779665, 0.00330016, 0.00004036],
    "cosine": [0.99995869, 0.99991256, 0.84588802, 0.49228504, 0.14317866, 0.00000000],
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_signal_levels_are_those_of_diffusers(name):
    levels = make_schedule(name).alphas_cumprod[[0, 1, 250, 500, 750, 999]]
    np.testing.assert_allclose(levels.numpy(), DIFFUSERS[name], rtol=2e-5, atol=1e-8)


def test_signal_level_is_the_product_of_what_every_step_keeps():
    schedule = scaled_linear()
    exact = math.prod(
        (1 - (0.00085**0.5 + k / 999 * (0.012**0.5 - 0.00085**0.5)) ** 2) for k in range(1000)
    )
    assert schedule.num_train_timesteps == 1000
    assert schedule.betas.dtype == schedule.alphas_cumprod.dtype == torch.float64
    assert float(schedule.alphas_cumprod[-1]) == pytest.approx(exact, rel=1e-10)


def test_linear_starts_and_ends_where_asked():
    betas = linear(0.001, 0.03, 30).betas
    assert betas[0] == pytest.approx(0.001) and betas[-1] == pytest.approx(0.03)
    assert torch.allclose(betas.diff(), torch.full((29,), 0.001, dtype=torch.float64))


def test_cosine_follows_its_formula_until_the_cap():
    level = cosine(100).alphas_cumprod
    time = torch.arange(1, 100, dtype=torch.float64) / 100
    exact = (
        torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
        / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    )
    assert torch.allclose(level[:99], exact, rtol=1e-10)


def test_schedule_is_built_from_yaml_values():
    schedule = build("schedule", {"_target_": "noise_schedule", "name": "linear", "beta_end": 0.05})
    assert schedule.betas[-1] == pytest.approx(0.05)


def test_schedule_moves_as_a_whole():
    moved = scaled_linear(num_train_timesteps=5).to("meta", torch.float32)
    assert moved.betas.device.type == moved.alphas_cumprod.device.type == "meta"
    assert moved.betas.dtype == torch.float32


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"name": "cosine", "beta_end": 0.02}, "has no beta_end"),
        ({"num_train_timesteps": 0}, "at least 1"),
        ({"name": "cosine", "num_train_timesteps": -3}, "at least 1"),
        ({"beta_start": -0.1}, "beta_start"),
        ({"beta_start": 0.5, "beta_end": 0.1}, "beta_start"),
        ({"name": "linear", "beta_end": 1.0}, "beta_end"),
    ],
)
def test_wrong_requests_are_told_in_one_line(request_, message):
    with pytest.raises(RequestError, match=message) as caught:
        make_schedule(**request_)
    assert "\n" not in str(caught.value)


def test_an_unknown_schedule_is_told_where_it_is_described():
    with pytest.raises(RequestError, match="unknown 'scaled_linaer', did you mean 'scaled_linear'"):
        build("schedule", {"_target_": "noise_schedule", "name": "scaled_linaer"})
