"""Stage 2 of flows: train the velocity of latents that keep time by flow matching (MLA-Gen)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from lead.core.batches import LatentBatch
from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.core.schema import Name
from lead.data.packed import PackedDataset
from lead.diffusion.flow_path import FlowPath
from lead.diffusion.paths import find_path
from lead.generation.flow_coders import latent_frame
from lead.training.earlier_runs import earlier_run
from lead.training.latent_inputs import LatentInputs
from lead.training.losses import mean_square
from lead.training.optimization import Share
from lead.training.processes import share_of_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest


class FlowOptions(StageOptions):
    """Path and times, captions left out, and the entry of configs/sampling it is made for."""

    path: Name = "linear"
    time_spread: Annotated[float, Field(ge=0, le=100)] = 1.0
    condition_dropout: Share = 0.1
    sampling: Name | None = None


class FlowStage(Stage):
    """Squared error of the velocity at random times, over the real latents of each motion.

    Times are the sigmoid of normal numbers with deviation ``time_spread``, 0 makes them uniform.
    Some rows lose their caption, as the network's ``conditional`` says. What codes motions and the
    text encoder are not here at all: latents and embeddings come from the cache.
    """

    options_type = FlowOptions
    purpose = "flow"

    def __init__(
        self,
        flow: nn.Module,
        path: FlowPath,
        options: FlowOptions,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        self.flow, self.path = flow, path

    @classmethod
    def set_up(cls, request: TrainRequest[FlowOptions], dataset: PackedDataset) -> Prepared:
        """A flow for the latents of the run that ``autoencoder`` or ``vae`` names."""
        run = _run_below(request, dataset)
        _, joints, channels = latent_frame(run)
        path = find_path(request.options.path)
        with torch.random.fork_rng():  # filling a cache draws random numbers
            inputs = LatentInputs(request, dataset, run)
            description = {
                **request.models["flow"],
                **{"channels": channels, "joints": joints},
                **({"patch": 1} if joints == 1 else {}),
                "text_dim": inputs.encoder.dim,
                **inputs.scales,
            }
            data = inputs.data()
        flow = build("flow", description, "model.flow")
        module = cls(flow, path, request.options, request.seed)
        return inputs.prepared(module, data, {"flow": description}, run)

    def losses(self, batch: LatentBatch, index: int | None) -> dict[str, Tensor]:
        """At random times; only in training some rows lose their caption."""
        draws = self.draws(index)
        if index is not None:
            return {"loss": self._loss(batch, None, draws)}
        given = draws.uniform((len(batch.ids),)) >= self.options.condition_dropout
        return {"loss": self._loss(batch, given, draws) * share_of_batch(batch.mask.sum())}

    def _loss(self, batch: LatentBatch, given: Tensor | None, draws: StepDraws) -> Tensor:
        time = draws.times(len(batch.mu), self.options.time_spread)
        z, noise = batch.mu, draws.latents(batch)
        if z.ndim == 3:  # of a VAE: of one joint
            z, noise = z[:, :, None], noise[:, :, None]
        z_t = self.path.at(z, noise, time)
        guess = self.flow(z_t, time, batch.text, batch.mask, batch.word_mask, given)
        wanted = self.path.velocity(z, noise, time)
        return mean_square(guess.float(), wanted, batch.mask)


def _run_below(request: TrainRequest, dataset: PackedDataset) -> Run:
    """The run that a flow stands on; RequestError where two are named, or one that does not fit."""
    named = [key for key in ("autoencoder", "vae") if key in request.earlier] or ["autoencoder"]
    if len(named) > 1:
        raise RequestError("a flow stands on one earlier run: name autoencoder= or vae=, not both")
    return earlier_run(request, named[0], dataset, "autoencoder=RUN or vae=RUN")
