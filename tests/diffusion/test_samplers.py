import math

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.seeding import make_generator
from lead.diffusion.noise import noise_from
from lead.diffusion.samplers import SAMPLERS, find_sampler, sample_ddim, sample_ddpm
from lead.diffusion.schedules import scaled_linear
from lead.diffusion.timesteps import leading_timesteps

SCHEDULE = scaled_linear()
LEVELS = [float(level) for level in SCHEDULE.alphas_cumprod]
MEAN, SPREAD = 1.5, 0.4  # clean data are N(MEAN, SPREAD^2)


def exact_noise(z_t, timestep):
    """E[noise | z_t] for the Gaussian data, by conditioning a joint Gaussian."""
    level = torch.tensor([LEVELS[int(t)] for t in timestep], dtype=z_t.dtype)
    level = level.reshape(-1, *[1] * (z_t.ndim - 1))
    variance = level * SPREAD**2 + 1 - level
    return (1 - level).sqrt() * (z_t - level.sqrt() * MEAN) / variance


def probability_flow(z, start, end):
    """Closed form of the flow: the standardised state is constant along it."""
    spread = [math.sqrt(LEVELS[t] * SPREAD**2 + 1 - LEVELS[t]) for t in (start, end)]
    standard = (z - math.sqrt(LEVELS[start]) * MEAN) / spread[0]
    return math.sqrt(LEVELS[end]) * MEAN + spread[1] * standard


def start(rows=6, purpose="start"):
    return torch.randn(rows, 1, 2, generator=make_generator(3, purpose), dtype=torch.float64)


def test_ddim_follows_the_probability_flow_to_first_order():
    errors = []
    for steps in (25, 50, 100, 200):
        timesteps = [round(k * 999 / steps) for k in range(steps, 0, -1)]
        z = sample_ddim(exact_noise, start(), timesteps, SCHEDULE)
        errors.append(float((z - probability_flow(start(), 999, 0)).abs().max()))
    assert errors[1] < 0.05
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert orders[-1] == pytest.approx(1, abs=0.2), (errors, orders)


def test_ddpm_reaches_the_variance_and_mean_of_the_data():
    rows = 20_000
    z = sample_ddpm(
        lambda z_t, timestep: exact_noise(z_t, timestep[:1]),
        torch.randn(rows, 1, generator=make_generator(0, "start"), dtype=torch.float64),
        leading_timesteps(1000, 1000),
        SCHEDULE,
        noise_like=noise_from(make_generator(0, "fresh")),
    )
    assert float(z.mean()) == pytest.approx(MEAN, abs=0.02)
    # the last step lands on E[clean | z_0], whose variance lacks Var[clean | z_0]
    rest = 1 - LEVELS[0]
    expected = SPREAD**4 * LEVELS[0] / (SPREAD**2 * LEVELS[0] + rest)
    assert float(z.var()) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("steps", [10, 50])
def test_ancestral_noise_has_the_variance_of_the_chain_in_closed_form(steps):
    """With z_t Gaussian all along, each step maps (mean, variance) by Ho et al.'s eq. 6-7."""
    timesteps = leading_timesteps(1000, steps)
    mean, variance = 0.0, 1.0
    for timestep, following in zip(timesteps, timesteps[1:], strict=False):
        level, earlier = LEVELS[timestep], LEVELS[following]
        alpha = level / earlier
        # clean = (1 - gain * sqrt(level)) * MEAN + gain * z_t is the exact posterior mean
        gain = SPREAD**2 * math.sqrt(level) / (level * SPREAD**2 + 1 - level)
        clean = math.sqrt(earlier) * (1 - alpha) / (1 - level)
        slope = clean * gain + math.sqrt(alpha) * (1 - earlier) / (1 - level)
        mean = clean * (1 - gain * math.sqrt(level)) * MEAN + slope * mean
        variance = slope**2 * variance + (1 - earlier) / (1 - level) * (1 - alpha)
    gain = SPREAD**2 * math.sqrt(earlier) / (earlier * SPREAD**2 + 1 - earlier)
    mean, variance = (1 - gain * math.sqrt(earlier)) * MEAN + gain * mean, gain**2 * variance
    z = sample_ddpm(
        lambda z_t, timestep: exact_noise(z_t, timestep[:1]),
        torch.randn(40_000, 1, generator=make_generator(1, "start"), dtype=torch.float64),
        timesteps,
        SCHEDULE,
        noise_like=noise_from(make_generator(1, "fresh")),
    )
    assert float(z.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / 40_000))
    assert float(z.var()) == pytest.approx(variance, rel=5 * math.sqrt(2 / 40_000))


def test_ddim_at_eta_one_is_ddpm_until_the_last_step():
    def states(sample, **options):
        seen = []

        def watch(z_t, timestep):
            seen.append(z_t)
            return exact_noise(z_t, timestep)

        noise_like = noise_from(make_generator(2, "fresh"))
        sample(
            watch, start(), leading_timesteps(1000, 50), SCHEDULE, noise_like=noise_like, **options
        )
        return torch.stack(seen)

    assert torch.allclose(states(sample_ddim, eta=1.0), states(sample_ddpm), atol=1e-10)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_perfect_denoiser_of_one_point_finds_it(sampler):
    point = torch.tensor([2.0, -3.0], dtype=torch.float64)

    def predict_noise(z_t, timestep):
        level = torch.tensor([LEVELS[int(t)] for t in timestep], dtype=z_t.dtype)[:, None, None]
        return (z_t - level.sqrt() * point) / (1 - level).sqrt()

    z = SAMPLERS[sampler](predict_noise, start(), leading_timesteps(1000, 20), SCHEDULE)
    # ddim keeps the rest of noise of timestep 0, whose deviation is 0.029; lcm 1/400 of the last z
    assert torch.allclose(z, point.expand_as(z), atol=0.0 if sampler == "ddpm" else 0.15, rtol=1e-9)


@pytest.mark.parametrize(("sampler", "eta"), [("ddim", 0.0), ("ddim", 0.7), ("ddpm", 0.0)])
def test_a_row_does_not_depend_on_the_other_rows(sampler, eta):
    def sample(rows):
        generators = [make_generator(7, "row", row) for row in rows]
        return SAMPLERS[sampler](
            exact_noise,
            start()[rows],
            leading_timesteps(1000, 25),
            SCHEDULE,
            noise_like=noise_from(generators),
            eta=eta,
        )

    whole = sample([0, 1, 2, 3, 4, 5])
    assert torch.allclose(sample([4]), whole[4:5], rtol=1e-12, atol=1e-12)
    assert torch.allclose(sample([5, 2]), whole[[5, 2]], rtol=1e-12, atol=1e-12)


def test_a_generator_fixes_the_result_and_its_absence_does_not():
    def sample(generator):
        return sample_ddpm(
            exact_noise, start(), [900, 500, 100], SCHEDULE, noise_like=noise_from(generator)
        )

    assert torch.equal(sample(make_generator(1)), sample(make_generator(1)))
    assert not torch.equal(sample(make_generator(1)), sample(make_generator(2)))
    assert not torch.equal(sample(None), sample(None))


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_repeated_timestep_changes_nothing(sampler):
    def sample(timesteps):
        return SAMPLERS[sampler](
            exact_noise, start(), timesteps, SCHEDULE, noise_like=torch.zeros_like
        )

    assert torch.allclose(sample([699, 399, 299, 299]), sample([699, 399, 299]))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_device_dtype_and_timestep_of_the_call(sampler):
    def predict_noise(z_t, timestep):
        assert timestep.shape == (3,) and timestep.device.type == "meta"
        assert timestep.dtype == torch.int64
        return z_t

    noise = torch.zeros(3, 2, 4, device="meta", dtype=torch.bfloat16)
    z = SAMPLERS[sampler](predict_noise, noise, [500, 1], SCHEDULE)
    assert z.shape == noise.shape and z.dtype == noise.dtype and z.device == noise.device


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_sampler("dimm"), "unknown sampler 'dimm': did you mean 'ddim'"),
        (lambda: sample_ddim(exact_noise, start(), [1000], SCHEDULE), "timestep 1000"),
        (lambda: sample_ddpm(exact_noise, start(), [1, 2], SCHEDULE), "rise"),
        (lambda: sample_ddim(exact_noise, start(), [1], SCHEDULE, eta=1.5), "eta is 1.5"),
        (lambda: sample_ddpm(exact_noise, start(), [1], SCHEDULE, eta=0.5), "ddpm has none"),
        (lambda: noise_from([make_generator(1)])(start()), "1 generators for 6 rows"),
    ],
)
def test_wrong_requests_are_told_in_one_line(call, message):
    with pytest.raises(RequestError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
