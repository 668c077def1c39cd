"""How much signal is left at each timestep of the diffusion: the noise schedules.

``alphas_cumprod[t]`` (written as alpha-bar in the papers) is the share of signal *variance* at
timestep ``t``: z_t = sqrt(alpha-bar_t) clean + sqrt(1 - alpha-bar_t) noise. Timestep 0 is the least
noisy one, not clean data.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.schema import one_of
from lead.core.sizes import Timesteps


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """A discrete variance-preserving noise schedule, in float64 unless moved by ``to``."""

    betas: Float[Tensor, " timesteps"]
    alphas_cumprod: Float[Tensor, " timesteps"]

    @classmethod
    def from_betas(cls, betas: Float[Tensor, " timesteps"]) -> "NoiseSchedule":
        """Build the schedule whose forward step ``t`` adds noise of variance ``betas[t]``."""
        betas = betas.to(torch.float64)
        return cls(betas, torch.cumprod(1 - betas, dim=0))

    @property
    def num_train_timesteps(self) -> int:
        """The number of timesteps the diffusion is trained with."""
        return len(self.betas)

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> "NoiseSchedule":
        """Copy the schedule to a device and/or a dtype."""
        return NoiseSchedule(
            self.betas.to(device=device, dtype=dtype),
            self.alphas_cumprod.to(device=device, dtype=dtype),
        )

    def beside(self, device: torch.device) -> "NoiseSchedule":
        """The schedule on a device that has float64 (MPS has not), else the schedule itself.

        A schedule elsewhere has to be sent the timesteps of every step, and the device waits.
        """
        return self if device.type == "mps" else self.to(device)

    def signal_and_noise(
        self, timestep: Int[Tensor, " batch"] | int, like: Float[Tensor, " batch *rest"]
    ) -> tuple[Tensor, Tensor]:
        """Return sqrt(alpha-bar) and sqrt(1 - alpha-bar), ready to multiply ``like``.

        One timestep per row gives two tensors (batch 1 ... 1) in the dtype and on the device of
        ``like``; one integer for all rows gives two scalars. Both are computed in the schedule's
        own precision, so that 1 - alpha-bar keeps its digits at small timesteps.
        """
        if isinstance(timestep, int):
            level = self.alphas_cumprod[timestep]
            return level.sqrt(), (1 - level).sqrt()
        level = self.alphas_cumprod[timestep.to(self.alphas_cumprod.device)]
        level = level.reshape(-1, *[1] * (like.ndim - 1))
        return level.sqrt().to(like), (1 - level).sqrt().to(like)


def scaled_linear(
    beta_start: float = 0.00085, beta_end: float = 0.012, num_train_timesteps: int = 1000
) -> NoiseSchedule:
    """Noise schedule whose sqrt(beta) grows linearly (latent diffusion; MLD and LEAD use it)."""
    _check_range(beta_start, beta_end, num_train_timesteps)
    return NoiseSchedule.from_betas(
        _ramp(math.sqrt(beta_start), math.sqrt(beta_end), num_train_timesteps) ** 2
    )


def linear(
    beta_start: float = 0.0001, beta_end: float = 0.02, num_train_timesteps: int = 1000
) -> NoiseSchedule:
    """Noise schedule whose beta grows linearly (Ho et al. 2020)."""
    _check_range(beta_start, beta_end, num_train_timesteps)
    return NoiseSchedule.from_betas(_ramp(beta_start, beta_end, num_train_timesteps))


def cosine(num_train_timesteps: int = 1000, max_beta: float = 0.999) -> NoiseSchedule:
    """Noise schedule whose alpha-bar falls as a squared cosine (Nichol and Dhariwal 2021)."""
    _check_count(num_train_timesteps)
    time = torch.arange(num_train_timesteps + 1, dtype=torch.float64) / num_train_timesteps
    level = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
    return NoiseSchedule.from_betas((1 - level[1:] / level[:-1]).clamp(max=max_beta))


SCHEDULES: Mapping[str, Callable[..., NoiseSchedule]] = {
    "scaled_linear": scaled_linear,
    "linear": linear,
    "cosine": cosine,
}

Beta = Annotated[float, Field(gt=0, lt=1)]


def make_schedule(
    name: Annotated[str, one_of(SCHEDULES)] = "scaled_linear",
    num_train_timesteps: Timesteps = 1000,
    beta_start: Beta | None = None,
    beta_end: Beta | None = None,
) -> NoiseSchedule:
    """Build a noise schedule by its name; what is left out takes the schedule's own default.

    Raises RequestError for a value that the schedule does not have.
    """
    chosen = {"beta_start": beta_start, "beta_end": beta_end}
    values = {key: value for key, value in chosen.items() if value is not None}
    for key in values:
        if key not in inspect.signature(SCHEDULES[name]).parameters:
            raise RequestError(f"the noise schedule '{name}' has no {key}: leave it out")
    return SCHEDULES[name](num_train_timesteps=num_train_timesteps, **values)


def _ramp(start: float, end: float, count: int) -> Tensor:
    return torch.linspace(start, end, count, dtype=torch.float64)


def _check_range(beta_start: float, beta_end: float, num_train_timesteps: int) -> None:
    _check_count(num_train_timesteps)
    if not 0 < beta_start <= beta_end < 1:
        raise RequestError(
            f"beta_start is {beta_start} and beta_end {beta_end}: "
            "they must satisfy 0 < beta_start <= beta_end < 1"
        )


def _check_count(num_train_timesteps: int) -> None:
    if num_train_timesteps < 1:
        raise RequestError(f"num_train_timesteps is {num_train_timesteps}: it must be at least 1")
