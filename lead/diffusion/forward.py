"""The forward process, and the clean latent from what a denoiser predicts.

With a = sqrt(alpha-bar_t) and b = sqrt(1 - alpha-bar_t), z_t = a clean + b noise. Every function
takes one ``timestep`` per row, or one integer for all rows.
"""

from jaxtyping import Float, Int
from torch import Tensor

from lead.diffusion.schedules import NoiseSchedule

Latents = Float[Tensor, " batch *rest"]
Timestep = Int[Tensor, " batch"] | int


def add_noise(
    clean: Latents, noise: Latents, timestep: Timestep, schedule: NoiseSchedule
) -> Latents:
    """Sample q(z_t | clean) for standard normal ``noise``: LEAD eq. 1, t times (Ho et al. 2020)."""
    a, b = schedule.signal_and_noise(timestep, clean)
    return a * clean + b * noise


def predict_clean_from_noise(
    z_t: Latents, noise: Latents, timestep: Timestep, schedule: NoiseSchedule
) -> Latents:
    """Remove the predicted noise from z_t (LEAD eq. 10, with the root over 1 - alpha-bar only).

    The division by sqrt(alpha-bar) magnifies errors in ``noise``: 14.6-fold at the last timestep of
    the default schedule.
    """
    a, b = schedule.signal_and_noise(timestep, z_t)
    return (z_t - b * noise) / a


def posterior_mean(
    z_t: Latents, clean: Latents, timestep: int, following: int, schedule: NoiseSchedule
) -> Latents:
    """Mean of q(z_following | z_t, clean), following <= timestep (Ho et al. 2020, eq. 7)."""
    level, next_level = schedule.alphas_cumprod[timestep], schedule.alphas_cumprod[following]
    kept = level / next_level
    weight_clean = next_level.sqrt() * (1 - kept) / (1 - level)
    weight_z_t = kept.sqrt() * (1 - next_level) / (1 - level)
    return weight_clean * clean + weight_z_t * z_t


def posterior_deviation(
    timestep: int, following: int, schedule: NoiseSchedule
) -> Float[Tensor, ""]:
    """Standard deviation of q(z_following | z_t, clean): the root of Ho et al.'s beta-tilde."""
    level, next_level = schedule.alphas_cumprod[timestep], schedule.alphas_cumprod[following]
    return ((1 - next_level) / (1 - level) * (1 - level / next_level)).sqrt()
