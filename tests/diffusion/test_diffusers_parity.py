"""Our samplers beside those of diffusers, with MLD's settings.

The default tests compare with numbers that diffusers 0.42 produced; the dev test runs diffusers
itself. Both use a denoiser and fresh noise in closed form, so that nothing depends on a generator.
"""

import math

import pytest
import torch

from lead.diffusion.samplers import sample_ddim, sample_ddpm
from lead.diffusion.schedules import scaled_linear
from lead.diffusion.timesteps import leading_timesteps

START = torch.tensor([[[0.3, -1.2, 0.8]], [[2.1, -0.4, -0.9]]], dtype=torch.float64)
MLD = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
# (sampler, steps, eta): the six numbers that diffusers ends in
FROZEN = {
    ("ddim", 50, 0.0): [0.169502, -2.420873, 0.911303, 15.504776, -0.1367, -0.707342],
    ("ddim", 50, 0.6): [0.019373, -2.586902, 0.654901, 15.740902, -0.134673, -0.371516],
    ("ddim", 10, 0.0): [0.195447, -1.72703, 0.871133, 10.112681, -0.101071, -0.623959],
    ("ddpm", 50, 0.0): [-0.043621, -0.262258, 0.105529, 11.27995, -0.034031, -0.002825],
}


def predict_noise(z_t, timestep):
    time = timestep[:, None, None].to(z_t.dtype)
    return torch.tanh(z_t * (0.5 + time / 1000)) + 0.2 * torch.cos(time / 90)


class FreshNoise:
    """A fixed sequence of draws in place of a generator."""

    def __init__(self):
        self.draws = 0

    def __call__(self, like):
        self.draws += 1
        phase = 1.7 * torch.arange(like.numel()) + 0.9 * self.draws
        return (1.4 * torch.cos(phase)).reshape(like.shape).to(like)


def ours(sampler, steps, eta):
    sample = {"ddim": sample_ddim, "ddpm": sample_ddpm}[sampler]
    timesteps = leading_timesteps(1000, steps)
    return sample(
        predict_noise, START, timesteps, scaled_linear(), noise_like=FreshNoise(), eta=eta
    )


@pytest.mark.parametrize("case", FROZEN, ids=str)
def test_frozen_numbers_of_diffusers(case):
    assert torch.allclose(ours(*case).flatten(), torch.tensor(FROZEN[case]).double(), atol=2e-5)


def test_a_single_step_lands_on_timestep_0():
    levels = scaled_linear().alphas_cumprod
    noise = predict_noise(START, torch.full((2,), 799))
    clean = (START - math.sqrt(1 - levels[799]) * noise) / math.sqrt(levels[799])
    expected = math.sqrt(levels[0]) * clean + math.sqrt(1 - levels[0]) * noise
    assert torch.allclose(sample_ddim(predict_noise, START, [799], scaled_linear()), expected)


@pytest.mark.dev
@pytest.mark.parametrize("steps", [1, 4, 30, 50, 500])
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ddim_is_that_of_diffusers(steps, eta):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(**MLD, set_alpha_to_one=False)
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == leading_timesteps(1000, steps)
    z, fresh = START, FreshNoise()
    for timestep in scheduler.timesteps:
        noise = predict_noise(z, timestep.expand(2))
        drawn = fresh(z) if eta > 0 else None
        z = scheduler.step(noise, timestep, z, eta=eta, variance_noise=drawn).prev_sample
    assert torch.allclose(ours("ddim", steps, eta), z, rtol=1e-5, atol=2e-5)


@pytest.mark.dev
@pytest.mark.parametrize("steps", [1, 4, 50, 500])
def test_ddpm_is_that_of_diffusers(steps, monkeypatch):
    diffusers = pytest.importorskip("diffusers")
    fresh = FreshNoise()
    monkeypatch.setattr(
        diffusers.schedulers.scheduling_ddpm, "randn_tensor", lambda shape, **_: fresh(START)
    )
    scheduler = diffusers.DDPMScheduler(**MLD, variance_type="fixed_small")
    scheduler.set_timesteps(steps)
    z = START
    for timestep in scheduler.timesteps:
        noise = predict_noise(z, timestep.expand(2))
        z = scheduler.step(noise, timestep, z).prev_sample
    assert torch.allclose(ours("ddpm", steps, 0.0), z, rtol=1e-5, atol=2e-5)
