"""Stage 2 of flows: train the velocity of latents that keep time by flow matching (MLA-Gen)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from lead.core.batches import FlowBatch
from lead.core.building import build
from lead.core.masks import masked_mean
from lead.core.schema import Name
from lead.data.packed import PackedDataset
from lead.diffusion.flow_path import FlowPath
from lead.diffusion.paths import find_path
from lead.training.flow_inputs import FlowInputs, run_below
from lead.training.losses import check_finite
from lead.training.optimization import Share
from lead.training.processes import share_of_batch
from lead.training.randomness import StepDraws, step_draws, validation_draws
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

    def __init__(
        self,
        flow: nn.Module,
        path: FlowPath,
        options: FlowOptions,
        longest: int,
        seed: int = 0,
    ):
        """``longest``: latent frames of the longest motion; noise is drawn for so many."""
        super().__init__(options, seed)
        self.flow, self.path, self.longest = flow, path, longest

    @classmethod
    def set_up(cls, request: TrainRequest[FlowOptions], dataset: PackedDataset) -> Prepared:
        """A flow for the latents of the run that ``autoencoder`` or ``vae`` names."""
        run = run_below(request, dataset)
        path = find_path(request.options.path)
        with torch.random.fork_rng():  # filling a cache draws random numbers
            inputs = FlowInputs(request, dataset, run)
            description = {
                **request.models["flow"],
                **inputs.sizes,
                "text_dim": inputs.encoder.dim,
                **inputs.scales,
            }
            data = inputs.data()
        flow = build("flow", description, "model.flow")
        record = {
            "parts": {"flow": description},
            "parents": {run.stage: run.as_parent(request.run)},
            **inputs.record,
            "sampling": request.options.sampling,
        }
        longest = max(int(part.lengths.max()) for part in (data.train, data.validation))
        return Prepared(
            cls(flow, path, request.options, longest, request.seed), data, record, inputs.keep
        )

    def training_step(self, batch: FlowBatch, _index: int) -> Tensor:
        """One optimisation step at random times."""
        draws = step_draws(self, "flow")
        given = draws.uniform((len(batch.ids),)) >= self.options.condition_dropout
        loss = self._loss(batch, given, draws) * share_of_batch(batch.mask.sum())
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids), sync_dist=True)
        return loss

    def validation_step(self, batch: FlowBatch, index: int) -> None:
        """The same loss with captions, at times and noise that are equal every time."""
        loss = self._loss(batch, None, validation_draws(self, index))
        check_finite(loss, self.global_step, batch.ids)
        self.log("val/loss", loss, batch_size=len(batch.ids))

    def _loss(self, batch: FlowBatch, given: Tensor | None, draws: StepDraws) -> Tensor:
        z = batch.z
        time = draws.times(len(z), self.options.time_spread)
        noise = draws.normal((len(z), self.longest, *z.shape[2:]))[:, : z.shape[1]]
        z_t = self.path.at(z, noise, time)
        guess = self.flow(z_t, time, batch.text, batch.mask, batch.word_mask, given)
        wanted = self.path.velocity(z, noise, time)
        return masked_mean((guess.float() - wanted).square(), batch.mask)
