"""Preconditioned noise prediction against what Gaussians and the noise itself say."""

import torch

from lead.core.seeding import make_generator
from lead.diffusion.forward import add_noise
from lead.diffusion.schedules import make_schedule
from lead.models.blocks.preconditioning import Preconditioning
from lead.models.mlp_denoiser import MlpDenoiser

MEAN, DEVIATION = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([3.0, 0.2, 1.0])
SCHEDULE = make_schedule("scaled_linear", 100, 0.00085, 0.012)


def gaussian_latents(count: int) -> torch.Tensor:
    noise = torch.randn(count, 1, 3, generator=make_generator(1, "latents"))
    return MEAN + DEVIATION * noise


def fitted(mu: torch.Tensor) -> Preconditioning:
    preconditioning = Preconditioning(100, 3)
    preconditioning.fit(mu, torch.full_like(mu, -20.0), SCHEDULE.alphas_cumprod)
    return preconditioning


def test_moments_are_those_of_posterior_samples():
    mu, logvar = gaussian_latents(50), torch.full((50, 1, 3), -1.0)
    preconditioning = Preconditioning(100, 3)
    preconditioning.fit(mu, logvar, SCHEDULE.alphas_cumprod)
    draws = mu + torch.exp(0.5 * logvar) * torch.randn(4000, 50, 1, 3)
    torch.testing.assert_close(preconditioning.mean, mu.mean((0, 1)))
    variance = draws.flatten(0, 2).var(0, unbiased=False)
    torch.testing.assert_close(preconditioning.variance, variance, rtol=0.03, atol=0)


def test_without_a_network_no_linear_guess_of_the_noise_is_better():
    clean = gaussian_latents(60000)
    preconditioning = fitted(clean)
    for step in (0, 30, 99):
        timestep = torch.full((len(clean),), step)
        noise = torch.randn(clean.shape, generator=make_generator(2, "noise", step))
        noised = add_noise(clean, noise, timestep, SCHEDULE)
        guess = preconditioning.noise(torch.zeros_like(clean), noised, timestep)
        for dim in range(3):  # least squares with an intercept, one dimension at a time
            inputs = torch.stack([noised[:, 0, dim], torch.ones(len(clean))], 1).double()
            best = inputs @ torch.linalg.lstsq(inputs, noise[:, 0, dim, None].double()).solution
            error = (guess[:, 0, dim] - best[:, 0]).abs().max()
            assert error < 0.06


def test_the_network_sees_and_targets_unit_variance():
    clean = gaussian_latents(40000)
    preconditioning = fitted(clean)
    for step in (0, 30, 99):
        timestep = torch.full((len(clean),), step)
        noise = torch.randn(clean.shape, generator=make_generator(3, "noise", step))
        noised = add_noise(clean, noise, timestep, SCHEDULE)
        seen = preconditioning.scale(noised, timestep)
        zero = preconditioning.noise(torch.zeros_like(clean), noised, timestep)
        one = preconditioning.noise(torch.ones_like(clean), noised, timestep)
        target = (noise - zero) / (one - zero)
        for values in (seen, target):
            torch.testing.assert_close(values.mean((0, 1)), torch.zeros(3), atol=0.03, rtol=0)
            torch.testing.assert_close(values.std((0, 1)), torch.ones(3), atol=0.03, rtol=0)


def test_a_preconditioned_denoiser_starts_as_the_gaussian_one():
    denoiser = MlpDenoiser(3, 8, width=4, layers=1, condition_dim=4, timesteps=100)
    denoiser.preconditioning.load_state_dict(fitted(gaussian_latents(100)).state_dict())
    noised, timestep = torch.randn(5, 1, 3), torch.randint(100, (5,))
    expected = denoiser.preconditioning.noise(torch.zeros(5, 1, 3), noised, timestep)
    assert torch.equal(denoiser(noised, timestep, torch.randn(5, 1, 8)), expected)
