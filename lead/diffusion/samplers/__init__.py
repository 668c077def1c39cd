"""From pure noise to a latent: one small file per sampler.

A sampler of the registry is a function

    sample(predict_noise, noise, timesteps, schedule, *, noise_like, eta) -> z

``predict_noise(z_t, timestep (batch,)) -> noise`` is the denoiser with its condition bound;
``timesteps`` are visited in order; ``noise_like`` draws fresh noise where the sampler is
stochastic; ``eta`` is the share of ancestral noise where the sampler lets one choose it. A new
sampler is one file and one name here; a second one where it has timesteps of its own.

A solver of flows integrates a velocity field along ``times`` instead,

    integrate(velocity, z, times) -> z

with ``velocity(z, time (batch,))``, and so has a registry of its own. A guided flow is such a
function, too.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from lead.core.errors import RequestError, did_you_mean
from lead.diffusion.samplers.ddim import sample_ddim
from lead.diffusion.samplers.ddpm import sample_ddpm
from lead.diffusion.samplers.dopri5 import integrate_dopri5
from lead.diffusion.samplers.euler import integrate_euler
from lead.diffusion.samplers.heun import integrate_heun
from lead.diffusion.samplers.lcm import sample_lcm
from lead.diffusion.samplers.midpoint import integrate_midpoint
from lead.diffusion.timesteps import distilled_timesteps, leading_timesteps

__all__ = [
    "SAMPLERS",
    "SOLVERS",
    "default_timesteps",
    "find_sampler",
    "find_solver",
    "integrate_dopri5",
    "integrate_euler",
    "integrate_heun",
    "integrate_midpoint",
    "sample_ddim",
    "sample_ddpm",
    "sample_lcm",
]

Sampler = Callable[..., Tensor]

SAMPLERS: Mapping[str, Sampler] = {"ddpm": sample_ddpm, "ddim": sample_ddim, "lcm": sample_lcm}

SOLVERS: Mapping[str, Sampler] = {
    "dopri5": integrate_dopri5,
    "euler": integrate_euler,
    "heun": integrate_heun,
    "midpoint": integrate_midpoint,
}

TIMESTEPS: Mapping[str, Callable[[int, int], list[int]]] = {"lcm": distilled_timesteps}
"""Timesteps by their number, for samplers that do not visit the leading ones."""


def find_sampler(name: str) -> Sampler:
    """Return the sampler of that name; RequestError where there is none."""
    if name not in SAMPLERS:
        raise RequestError(f"unknown sampler '{name}': {did_you_mean(name, SAMPLERS)}")
    return SAMPLERS[name]


def find_solver(name: str) -> Sampler:
    """Return the solver of that name; RequestError where there is none."""
    if name not in SOLVERS:
        raise RequestError(f"unknown sampler '{name}' of a flow: {did_you_mean(name, SOLVERS)}")
    return SOLVERS[name]


def default_timesteps(name: str, num_train_timesteps: int, steps: int) -> list[int]:
    """Return the timesteps of a sampler; RequestError where it cannot take so many steps."""
    return TIMESTEPS.get(name, leading_timesteps)(num_train_timesteps, steps)
