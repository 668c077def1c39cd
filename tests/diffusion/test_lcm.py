"""Latent consistency sampling beside that of diffusers, and the consistency function itself.

The default tests compare with numbers that diffusers 0.42 produced; the dev tests run diffusers
itself. Denoiser and fresh noise are in closed form, so that nothing depends on a generator.
"""

import math

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.core.seeding import make_generator
from lead.diffusion.consistency import boundary_scalings, consistency_output
from lead.diffusion.forward import add_noise
from lead.diffusion.noise import noise_from
from lead.diffusion.samplers import default_timesteps, sample_lcm
from lead.diffusion.schedules import scaled_linear
from lead.diffusion.timesteps import distilled_timesteps, solver_timesteps
from lead.generation import sample_latents

START = torch.tensor([[[0.3, -1.2, 0.8]], [[2.1, -0.4, -0.9]]], dtype=torch.float64)
MOTIONLCM = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
}
TIMESTEPS = ([999], [999, 499], [999, 759, 499, 259], [799], [699, 299], [699, 399, 299, 299])
"""Of 1, 2 and 4 steps: those of MotionLCM, then those of its second version."""
FROZEN = {
    (999,): [-2.07233, -4.04784, -0.765619, 15.896999, 1.680427, -0.717738],
    (999, 499): [-0.361773, -4.61425, -0.770195, 16.213731, 0.516831, -1.73551],
    (999, 759, 499, 259): [-0.603618, -4.671647, 0.855973, 17.294623, -0.85953, -1.318668],
    (799,): [0.536536, -0.696596, 1.061064, 6.713324, 1.223891, 0.394717],
    (699, 299): [0.447863, -1.353487, 0.055098, 4.399692, 0.268639, -0.895667],
    (699, 399, 299, 299): [-0.277416, -1.168857, 1.093907, 4.098775, -0.600364, -0.248613],
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


def ours(timesteps):
    return sample_lcm(predict_noise, START, timesteps, scaled_linear(), noise_like=FreshNoise())


def of_diffusers(timesteps, monkeypatch):
    diffusers = pytest.importorskip("diffusers")
    fresh = FreshNoise()
    module = diffusers.schedulers.scheduling_lcm
    monkeypatch.setattr(module, "randn_tensor", lambda shape, **_: fresh(START))
    scheduler = diffusers.LCMScheduler(**MOTIONLCM)
    scheduler.num_inference_steps = len(timesteps)
    # Set by hand, as MotionLCM does: its own method refuses a timestep that comes twice.
    scheduler.timesteps = torch.tensor(timesteps)
    scheduler._step_index = 0
    z = START
    for timestep in scheduler.timesteps:
        z = scheduler.step(predict_noise(z, timestep.expand(2)), timestep, z).prev_sample
    return z


@pytest.mark.parametrize("timesteps", TIMESTEPS, ids=str)
def test_frozen_numbers_of_diffusers(timesteps):
    frozen = torch.tensor(FROZEN[tuple(timesteps)], dtype=torch.float64)
    torch.testing.assert_close(ours(timesteps).flatten(), frozen, atol=2e-5, rtol=1e-5)


@pytest.mark.dev
@pytest.mark.parametrize("timesteps", TIMESTEPS, ids=str)
def test_sampling_is_that_of_diffusers(timesteps, monkeypatch):
    torch.testing.assert_close(
        ours(timesteps), of_diffusers(timesteps, monkeypatch), atol=2e-5, rtol=1e-5
    )


@pytest.mark.dev
@pytest.mark.parametrize("solver_steps", [50, 10])
def test_timesteps_are_those_of_diffusers(solver_steps):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.LCMScheduler(**MOTIONLCM, original_inference_steps=solver_steps)
    for steps in range(1, solver_steps + 1):
        scheduler.set_timesteps(steps)
        assert scheduler.timesteps.tolist() == distilled_timesteps(1000, steps, solver_steps)


def test_timesteps_by_their_published_rule():
    grid = np.arange(1, 51) * 20 - 1
    assert solver_timesteps(1000) == grid[::-1].tolist()
    for steps in range(1, 51):
        places = np.floor(np.linspace(0, 50, steps, endpoint=False)).astype(int)
        assert distilled_timesteps(1000, steps) == grid[::-1][places].tolist()
    assert [default_timesteps("lcm", 1000, steps) for steps in (1, 2, 4)] == [*TIMESTEPS[:3]]
    assert solver_timesteps(1000, 10) == list(range(999, 0, -100))


def test_at_the_clean_end_the_consistency_function_is_the_identity():
    noise = torch.full_like(START, 1e3)
    for timestep in (0, torch.tensor([0, 0])):
        assert torch.equal(consistency_output(START, noise, timestep, scaled_linear()), START)


def test_scalings_in_closed_form():
    skip, out = boundary_scalings(torch.tensor([0, 1, 19, 999]))
    for place, time in enumerate((0.0, 10.0, 190.0, 9990.0)):
        assert float(skip[place]) == pytest.approx(0.25 / (time**2 + 0.25))
        assert float(out[place]) == pytest.approx(time / math.sqrt(time**2 + 0.25))


def test_one_step_finds_the_clean_end_of_known_noise():
    clean, noise = START.flip(0), torch.cos(7 * START)
    timestep = torch.tensor([999, 19])
    z_t = add_noise(clean, noise, timestep, scaled_linear())
    out = consistency_output(z_t, noise, timestep, scaled_linear())
    torch.testing.assert_close(out, clean, atol=1e-4, rtol=1e-4)


def test_one_step_needs_no_fresh_noise_and_more_steps_one_draw_between_them():
    for timesteps, draws in (([799], 0), ([699, 299], 1), ([699, 399, 299, 299], 3)):
        fresh = FreshNoise()
        sample_lcm(predict_noise, START, timesteps, scaled_linear(), noise_like=fresh)
        assert fresh.draws == draws


def test_a_row_does_not_depend_on_the_other_rows():
    def sample(rows):
        noise_like = noise_from([make_generator(7, row) for row in rows])
        return sample_lcm(
            predict_noise, START[rows], [999, 499], scaled_linear(), noise_like=noise_like
        )

    assert torch.allclose(sample([1]), sample([0, 1])[1:], rtol=1e-12)


def test_sample_latents_hands_the_scale_over_and_takes_lcms_own_timesteps():
    seen = []

    def denoiser(z_t, timestep, text_embedding, guidance_scale=None):
        seen.append((timestep.tolist(), guidance_scale.tolist()))
        return predict_noise(z_t, timestep)

    def sample(**options):
        seen.clear()
        text = torch.zeros(2, 1, 4)
        return sample_latents(
            denoiser, START, text, None, sampler="lcm", generator=make_generator(0), **options
        )

    sample(steps=4, guidance_scale=7.5)
    assert seen == [([timestep] * 2, [7.5] * 2) for timestep in (999, 759, 499, 259)]
    z = sample(timesteps=[799], steps=4, guidance_scale=8.0)
    assert seen == [([799] * 2, [8.0] * 2)]
    torch.testing.assert_close(z, ours([799]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: default_timesteps("lcm", 1000, 51), r"steps is 51: lcm takes 1\.\.50"),
        (lambda: default_timesteps("lcm", 1000, 0), "steps is 0"),
        (lambda: solver_timesteps(1000, 1001), "solver_steps is 1001"),
        (lambda: ours([299, 699]), "rise"),
        (
            lambda: sample_lcm(predict_noise, START, [1], scaled_linear(), eta=0.5),
            "lcm has none",
        ),
    ],
)
def test_wrong_requests_are_told_in_one_line(call, message):
    with pytest.raises(RequestError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
