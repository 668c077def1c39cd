"""Latent consistency sampling: jump to the clean end, add noise again, jump (Luo et al. 2023)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.diffusion.consistency import consistency_output
from lead.diffusion.forward import add_noise
from lead.diffusion.guidance import PredictNoise
from lead.diffusion.noise import NoiseLike
from lead.diffusion.schedules import NoiseSchedule
from lead.diffusion.timesteps import check_timesteps


def sample_lcm(
    predict_noise: PredictNoise,
    noise: Float[Tensor, " batch *rest"],
    timesteps: Sequence[int],
    schedule: NoiseSchedule,
    *,
    noise_like: NoiseLike = torch.randn_like,
    eta: float = 0.0,
) -> Float[Tensor, " batch *rest"]:
    """Sample by the consistency function of a distilled denoiser, in one to a few steps.

    Fresh noise enters between the steps and not after the last, so that one step is deterministic.
    A timestep may come twice. RequestError for an ``eta`` other than 0, and for wrong timesteps.
    """
    if eta != 0:
        raise RequestError(f"eta is {eta}, but lcm has none: leave it out, or use sampler=ddim")
    z = noise
    stops = [*check_timesteps(timesteps, schedule.num_train_timesteps), None]
    for timestep, following in pairwise(stops):
        predicted = predict_noise(z, torch.full((len(z),), timestep, device=z.device))
        z = consistency_output(z, predicted, timestep, schedule)
        if following is not None:
            z = add_noise(z, noise_like(z), following, schedule)
    return z
