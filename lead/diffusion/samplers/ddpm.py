"""Denoising diffusion probabilistic models: ancestral sampling (Ho, Jain and Abbeel 2020)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.diffusion.forward import posterior_deviation, posterior_mean, predict_clean_from_noise
from lead.diffusion.guidance import PredictNoise
from lead.diffusion.noise import NoiseLike
from lead.diffusion.schedules import NoiseSchedule
from lead.diffusion.timesteps import check_timesteps


def sample_ddpm(
    predict_noise: PredictNoise,
    noise: Float[Tensor, " batch *rest"],
    timesteps: Sequence[int],
    schedule: NoiseSchedule,
    *,
    noise_like: NoiseLike = torch.randn_like,
    eta: float = 0.0,
) -> Float[Tensor, " batch *rest"]:
    """Sample by walking the posteriors q(z_following | z_t, clean) down to clean data.

    The last step goes to the predicted clean latent and adds no noise; predictions are not clipped.
    Its noise has no dial: RequestError for an ``eta`` other than 0, and for wrong timesteps.
    """
    if eta != 0:
        raise RequestError(f"eta is {eta}, but ddpm has none: leave it out, or use sampler=ddim")
    z = noise
    stops = [*check_timesteps(timesteps, schedule.num_train_timesteps), None]
    for timestep, following in pairwise(stops):
        predicted = predict_noise(z, torch.full((len(z),), timestep, device=z.device))
        clean = predict_clean_from_noise(z, predicted, timestep, schedule)
        if following is None:
            return clean
        deviation = posterior_deviation(timestep, following, schedule)
        z = posterior_mean(z, clean, timestep, following, schedule) + deviation * noise_like(z)
    return z
