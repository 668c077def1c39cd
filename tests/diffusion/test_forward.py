import pytest
import torch
from scipy import stats

from lead.core.seeding import make_generator
from lead.diffusion.forward import (
    add_noise,
    posterior_deviation,
    posterior_mean,
    predict_clean_from_noise,
)
from lead.diffusion.schedules import scaled_linear

SCHEDULE = scaled_linear()
TIMESTEPS = torch.tensor([0, 1, 250, 999])


def latents(name, rows=4, dtype=torch.float64):
    return torch.randn(rows, 2, 3, generator=make_generator(0, name), dtype=dtype)


def test_one_jump_has_the_moments_of_the_chain_of_small_steps():
    clean = 0.7
    mean, variance = clean, 0.0
    for timestep in range(300):
        kept = 1 - float(SCHEDULE.betas[timestep])
        mean, variance = kept**0.5 * mean, kept * variance + 1 - kept
    noise = torch.randn(200_000, 1, generator=make_generator(0, "moments"), dtype=torch.float64)
    z_t = add_noise(torch.full_like(noise, clean), noise, 299, SCHEDULE)
    assert stats.kstest(z_t[:, 0].numpy(), "norm", args=(mean, variance**0.5)).pvalue > 0.01


def test_noised_unit_data_keep_unit_variance():
    clean, noise = latents("clean", 100_000), latents("noise", 100_000)
    timestep = torch.randint(1000, (100_000,), generator=make_generator(0, "timestep"))
    assert float(add_noise(clean, noise, timestep, SCHEDULE).var()) == pytest.approx(1, abs=0.01)


def test_each_row_has_its_own_timestep():
    clean, noise = latents("clean"), latents("noise")
    whole = add_noise(clean, noise, TIMESTEPS, SCHEDULE)
    for row, timestep in enumerate(TIMESTEPS.tolist()):
        alone = add_noise(clean[row : row + 1], noise[row : row + 1], timestep, SCHEDULE)
        assert torch.allclose(whole[row : row + 1], alone, rtol=1e-12)


@pytest.mark.parametrize("timestep", [TIMESTEPS, 500])
def test_the_noise_leads_back_to_the_clean_latent(timestep):
    clean, noise = latents("clean"), latents("noise")
    z_t = add_noise(clean, noise, timestep, SCHEDULE)
    recovered = predict_clean_from_noise(z_t, noise, timestep, SCHEDULE)
    assert torch.allclose(recovered, clean, atol=1e-10)


def test_wrong_noise_is_magnified_at_the_last_timestep():
    z_t, noise = latents("z_t"), latents("noise")
    right = predict_clean_from_noise(z_t, noise, 999, SCHEDULE)
    wrong = predict_clean_from_noise(z_t, noise + 1, 999, SCHEDULE)
    assert float((right - wrong).mean()) == pytest.approx(14.6, abs=0.05)


@pytest.mark.parametrize(("timestep", "following"), [(1, 0), (500, 480), (981, 961), (999, 998)])
def test_posterior_is_the_conditional_of_the_joint_gaussian(timestep, following):
    level, earlier = (float(SCHEDULE.alphas_cumprod[t]) for t in (timestep, following))
    clean, z_t = 0.8, -0.4
    # joint of (z_following, z_t) given clean: covariance sqrt(kept) * var(z_following)
    kept = level / earlier
    covariance = kept**0.5 * (1 - earlier)
    mean = earlier**0.5 * clean + covariance / (1 - level) * (z_t - level**0.5 * clean)
    variance = (1 - earlier) - covariance**2 / (1 - level)
    states = torch.tensor([[z_t], [clean]], dtype=torch.float64)
    ours = posterior_mean(*states, timestep, following, SCHEDULE)
    assert float(ours) == pytest.approx(mean, rel=1e-9)
    assert float(posterior_deviation(timestep, following, SCHEDULE)) ** 2 == pytest.approx(
        variance, rel=1e-8
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("timestep", [TIMESTEPS, 500])
def test_the_dtype_of_the_latents_is_kept(dtype, timestep):
    z_t = latents("z_t", dtype=dtype)
    assert add_noise(z_t, z_t, timestep, SCHEDULE).dtype == dtype
    assert predict_clean_from_noise(z_t, z_t, timestep, SCHEDULE).dtype == dtype
