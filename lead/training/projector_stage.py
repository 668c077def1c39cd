"""Stage 3: train the projector on cached posteriors and text embeddings (LEAD eq. 3 to 7)."""

from typing import Annotated

import torch
from torch import Tensor

from lead.core.batches import LatentBatch
from lead.core.building import build
from lead.core.masks import real_rows, row_means
from lead.core.schema import one_of
from lead.core.seeding import make_generator
from lead.data.packed import PackedDataset
from lead.models.projector import Projector
from lead.models.vae import reparameterise
from lead.training.earlier_runs import earlier_run
from lead.training.latent_inputs import LatentInputs
from lead.training.losses import (
    REDUCTIONS,
    VARIANCE_LOSSES,
    alignment_loss,
    reconstruction_loss,
    variance_loss,
)
from lead.training.optimization import Weight
from lead.training.processes import longest_rows, rows_of_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest


class ProjectorOptions(StageOptions):
    """Weights and forms of the terms, and what the projector reads."""

    align_weight: Weight = 2.1591
    rec_weight: Weight = 4.7036
    var_weight: Weight = 0.05960
    rec_reduction: Annotated[str, one_of(REDUCTIONS)] = "sum"
    var_form: Annotated[str, one_of(VARIANCE_LOSSES)] = "gauss_diag"
    latent: Annotated[str, one_of(("sample", "mean"))] = "sample"
    shuffle_text: bool = False


class ProjectorStage(Stage):
    """Alignment, reconstruction and variance losses with the paper's weights.

    ``latent`` chooses what the projector reads: a posterior ``sample`` (as diffusion trains on; the
    projector then sees inputs off the mean, as at inference) or its ``mean``. ``shuffle_text`` is a
    control: each motion is aligned with the sentence of another one in the batch, so that whatever
    is gained owes nothing to what the sentences say.

    Where latents keep time, the mean of a motion's real ones is aligned with the pooled sentence,
    and each real one counts as a row of the other two terms.
    """

    options_type = ProjectorOptions
    purpose = "projector"

    def __init__(self, projector: Projector, options: ProjectorOptions, seed: int = 0):
        super().__init__(options, seed)
        self.projector = projector

    @classmethod
    def set_up(cls, request: TrainRequest[ProjectorOptions], dataset: PackedDataset) -> Prepared:
        """A projector for the latents of the run that ``diffusion`` stands on, or of ``vae``."""
        key = "diffusion" if "diffusion" in request.earlier else "vae"
        earlier = earlier_run(request, key, dataset, "diffusion=RUN (or vae=RUN)")
        vae_run, like = earlier.ancestor("vae"), earlier if key == "diffusion" else None
        inputs = LatentInputs(request, dataset, vae_run, like=like)
        description = {
            **request.models["projector"],
            "latent_dim": vae_run.options("vae")["latent_dim"],
            "text_dim": inputs.encoder.dim,
        }
        projector = build("projector", description, "model.projector")
        module = cls(projector, request.options, request.seed)
        return inputs.prepared(module, inputs.data(), {"projector": description}, earlier)

    def losses(self, batch: LatentBatch, index: int | None) -> dict[str, Tensor]:
        """Of the rows of all processes in training."""
        purpose = ("projector", self.global_step) if index is None else ("validation", index)
        return self._terms(batch, self.draws(index), purpose)

    def _terms(self, batch: LatentBatch, draws: StepDraws, purpose: tuple) -> dict[str, Tensor]:
        options, z, mask = self.options, batch.mu, batch.mask
        if options.latent == "sample":
            z = reparameterise(batch.mu, batch.logvar, draws.latents(batch))
        text = batch.text.mean(dim=1) if mask is None else batch.text[:, 0]
        projected = self.projector.encode(z, mask)
        rebuilt = self.projector.decode(projected, mask).float()
        projected = row_means(projected.float(), mask)[:, None]
        if self.training:  # the variance term compares the rows of all processes
            if mask is not None:
                z, rebuilt, real = (longest_rows(t, batch.longest) for t in (z, rebuilt, mask))
                mask = rows_of_batch(real.float())[0] > 0
            z, text, projected, rebuilt = rows_of_batch(z, text, projected, rebuilt)
        z, rebuilt = real_rows(z, mask), real_rows(rebuilt, mask)
        if options.shuffle_text:
            text = text[derangement(len(text), make_generator(self.seed, "shuffle", *purpose))]
        terms = {
            "align": alignment_loss(projected, text),
            "rec": reconstruction_loss(z, rebuilt, options.rec_reduction),
            "var": variance_loss(z, rebuilt, options.var_form),
        }
        weights = (options.align_weight, options.rec_weight, options.var_weight)
        loss = sum(weight * term for weight, term in zip(weights, terms.values(), strict=True))
        return {"loss": loss, **terms}


def derangement(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation (count,) that leaves no place as it was; of one place, that place.

    It is a single cycle through all places.
    """
    order = torch.randperm(count, generator=generator)
    moved = torch.empty_like(order)
    moved[order] = order.roll(1)
    return moved
