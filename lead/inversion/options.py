"""How a word is learned; the values stand in configs/inversion."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from lead.core.errors import RequestError
from lead.core.schema import check_options, one_of
from lead.inversion.objectives import OBJECTIVES, WEIGHTINGS

LATENTS = ("sample", "mean")
Some = Annotated[int, Field(ge=1, le=10_000)]
Timestep = Annotated[int, Field(ge=0, le=100_000)]


@dataclass(frozen=True)
class InversionOptions:
    """The recipe of one inversion (LEAD section 4.2, and what the paper leaves open).

    ``lr`` counts in units of the starting vector's root mean square, so that one value serves text
    encoders whose vectors differ a hundredfold in size: Adam moves an entry by about ``lr`` of its
    usual size in each step. Timesteps are drawn uniformly from ``timestep_min`` to ``timestep_max``
    (both included). ``weighting`` is a factor of the loss at timestep t: none, alpha_bar (the share
    of signal), or snr (alpha-bar / (1 - alpha-bar), which undoes how the estimate of the clean
    latent magnifies an error of the noise). ``window_min`` is the shortest window as a share of its
    motion. The word is the mean over the share ``averaged`` of the steps, the last ones (over one
    at the least): a single batch draws it to its own clips. ``at_once`` is how many words share one
    optimisation; more are taken in turn.
    """

    objective: Annotated[str, one_of(OBJECTIVES)] = "lead"
    steps: Some = 120
    lr: Annotated[float, Field(gt=0, le=100)] = 0.3
    batch_size: Some = 4
    windows: Some = 4
    window_min: Annotated[float, Field(gt=0, le=1)] = 0.5
    timestep_min: Timestep = 0
    timestep_max: Timestep = 999
    weighting: Annotated[str, one_of(WEIGHTINGS)] = "none"
    latent: Annotated[str, one_of(LATENTS)] = "sample"
    averaged: Annotated[float, Field(ge=0, le=1)] = 0.5
    at_once: Some = 100

    def __post_init__(self) -> None:
        """Refuse what no inversion can use."""
        check_options(type(self), vars(self), "inversion")
        if self.timestep_min > self.timestep_max:
            raise RequestError(
                f"timestep_min={self.timestep_min} timestep_max={self.timestep_max}: "
                "timestep_min <= timestep_max is needed"
            )
