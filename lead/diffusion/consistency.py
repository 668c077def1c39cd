"""The consistency function: from any point of the noising path straight to its clean end.

f(z_t, t) = c_skip(t) z_t + c_out(t) clean(z_t, t), where clean is what the predicted noise leaves.
c_skip(0) = 1 and c_out(0) = 0, so that f(z, 0) = z whatever the network says (Song et al. 2023,
section 5; with the constants of latent consistency models, Luo et al. 2023).
"""

import torch
from torch import Tensor

from lead.diffusion.forward import Latents, Timestep, predict_clean_from_noise
from lead.diffusion.schedules import NoiseSchedule

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0


def boundary_scalings(timestep: Timestep) -> tuple[Tensor, Tensor]:
    """Return c_skip and c_out, each in the shape of ``timestep``, in float64."""
    scaled = torch.as_tensor(timestep).to(torch.float64) * TIMESTEP_SCALING
    norm = scaled**2 + SIGMA_DATA**2
    return SIGMA_DATA**2 / norm, scaled / norm.sqrt()


def consistency_output(
    z_t: Latents, noise: Latents, timestep: Timestep, schedule: NoiseSchedule
) -> Latents:
    """Clean end of the path through z_t, by the predicted ``noise`` (Luo et al. 2023, eq. 9)."""
    clean = predict_clean_from_noise(z_t, noise, timestep, schedule)
    skip, out = boundary_scalings(timestep)
    if not isinstance(timestep, int):
        skip, out = (each.reshape(-1, *[1] * (z_t.ndim - 1)).to(z_t) for each in (skip, out))
    return skip * z_t + out * clean
