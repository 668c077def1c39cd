"""From pure noise to a latent: one small file per sampler.

A sampler of the registry is a function

    sample(predict_noise, noise, timesteps, schedule, *, noise_like, eta) -> z

``predict_noise(z_t, timestep (batch,)) -> noise`` is the denoiser with its condition bound;
``timesteps`` are visited in order; ``noise_like`` draws fresh noise where the sampler is
stochastic; ``eta`` is the share of ancestral noise where the sampler lets one choose it. A new
sampler is one file and one name here. ``euler`` and ``heun`` integrate a velocity field instead,
and so stand outside the registry.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from lead.core.errors import RequestError, did_you_mean
from lead.diffusion.samplers.ddim import sample_ddim
from lead.diffusion.samplers.ddpm import sample_ddpm
from lead.diffusion.samplers.euler import integrate_euler
from lead.diffusion.samplers.heun import integrate_heun

__all__ = [
    "SAMPLERS",
    "find_sampler",
    "integrate_euler",
    "integrate_heun",
    "sample_ddim",
    "sample_ddpm",
]

Sampler = Callable[..., Tensor]

SAMPLERS: Mapping[str, Sampler] = {"ddpm": sample_ddpm, "ddim": sample_ddim}


def find_sampler(name: str) -> Sampler:
    """Return the sampler of that name; RequestError where there is none."""
    if name not in SAMPLERS:
        raise RequestError(f"unknown sampler '{name}': {did_you_mean(name, SAMPLERS)}")
    return SAMPLERS[name]
