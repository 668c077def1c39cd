"""How a word is learned; the values stand in configs/inversion."""

from collections.abc import Mapping
from dataclasses import dataclass

from lead.core.errors import RequestError, did_you_mean
from lead.inversion.objectives import OBJECTIVES, WEIGHTINGS

LATENTS = ("sample", "mean")


@dataclass(frozen=True)
class InversionOptions:
    """The recipe of one inversion (LEAD section 4.2, and what the paper leaves open).

    ``lr`` counts in units of the starting vector's root mean square, so that one value serves text
    encoders whose vectors differ a hundredfold in size: Adam moves an entry by about ``lr`` of its
    usual size in each step. Timesteps are drawn uniformly from ``timestep_min`` to ``timestep_max``
    (both included). ``weighting`` is a factor of the loss at timestep t: none, alpha_bar (the share
    of signal), or snr (alpha-bar / (1 - alpha-bar), which undoes how the estimate of the clean
    latent magnifies an error of the noise). ``window_min`` is the shortest window as a share of its
    motion. ``at_once`` is how many words share one optimisation; more are taken in turn.
    """

    objective: str = "lead"
    steps: int = 20
    lr: float = 0.3
    batch_size: int = 4
    windows: int = 4
    window_min: float = 0.5
    timestep_min: int = 0
    timestep_max: int = 999
    weighting: str = "none"
    latent: str = "sample"
    at_once: int = 100

    def __post_init__(self) -> None:
        """Refuse what no inversion can use."""
        choices: Mapping[str, object] = {
            "objective": OBJECTIVES,
            "weighting": WEIGHTINGS,
            "latent": LATENTS,
        }
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise RequestError(f"unknown {name} '{value}': {did_you_mean(value, known)}")
        for name in ("steps", "batch_size", "windows", "at_once"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if not self.lr > 0:
            raise RequestError(f"lr must be a positive number, got {self.lr}")
        if not 0 < self.window_min <= 1:
            raise RequestError(f"window_min is {self.window_min}: it is a share above 0, up to 1")
        if not 0 <= self.timestep_min <= self.timestep_max:
            raise RequestError(
                f"timestep_min={self.timestep_min} timestep_max={self.timestep_max}: "
                "0 <= timestep_min <= timestep_max is needed"
            )
