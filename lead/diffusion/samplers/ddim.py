"""Denoising diffusion implicit models (Song, Meng and Ermon 2021)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.diffusion.forward import posterior_deviation, predict_clean_from_noise
from lead.diffusion.guidance import PredictNoise
from lead.diffusion.noise import NoiseLike
from lead.diffusion.schedules import NoiseSchedule
from lead.diffusion.timesteps import check_timesteps


def sample_ddim(
    predict_noise: PredictNoise,
    noise: Float[Tensor, " batch *rest"],
    timesteps: Sequence[int],
    schedule: NoiseSchedule,
    *,
    noise_like: NoiseLike = torch.randn_like,
    eta: float = 0.0,
) -> Float[Tensor, " batch *rest"]:
    """Sample by DDIM: deterministic at ``eta`` 0, ancestral (DDPM) at ``eta`` 1.

    The last step lands on timestep 0 with its small rest of noise, not on alpha-bar = 1, and
    predictions are not clipped: MLD's settings. Raises RequestError for ``eta`` outside 0..1 and
    for wrong timesteps.
    """
    if not 0 <= eta <= 1:
        raise RequestError(f"eta is {eta}: it must lie in 0..1")
    z = noise
    stops = [*check_timesteps(timesteps, schedule.num_train_timesteps), 0]
    for timestep, following in pairwise(stops):
        predicted = predict_noise(z, torch.full((len(z),), timestep, device=z.device))
        z = ddim_step(z, predicted, timestep, following, schedule, eta)
        if eta > 0:
            z = z + eta * posterior_deviation(timestep, following, schedule) * noise_like(z)
    return z


def ddim_step(
    z_t: Float[Tensor, " batch *rest"],
    noise: Float[Tensor, " batch *rest"],
    timestep: int,
    following: int,
    schedule: NoiseSchedule,
    eta: float = 0.0,
) -> Float[Tensor, " batch *rest"]:
    """Mean of one DDIM step from ``timestep`` to ``following`` (Song et al. 2021, eq. 12)."""
    clean = predict_clean_from_noise(z_t, noise, timestep, schedule)
    level = schedule.alphas_cumprod[following]
    fresh = eta * posterior_deviation(timestep, following, schedule)
    return level.sqrt() * clean + (1 - level - fresh**2).clamp(min=0).sqrt() * noise
