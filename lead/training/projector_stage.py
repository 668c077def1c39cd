"""Stage 3: train the projector on cached posteriors and text embeddings (LEAD eq. 3 to 7)."""

from typing import Annotated

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lead.core.batches import LatentBatch
from lead.core.schema import one_of
from lead.core.seeding import make_generator
from lead.models.projector import Projector
from lead.models.vae import reparameterise
from lead.training.losses import (
    REDUCTIONS,
    VARIANCE_LOSSES,
    alignment_loss,
    check_finite,
    reconstruction_loss,
    variance_loss,
)
from lead.training.optimization import Weight, make_optimizer
from lead.training.processes import rows_of_batch
from lead.training.randomness import StepDraws, step_draws, validation_draws


class ProjectorStage(pl.LightningModule):
    """Alignment, reconstruction and variance losses with the paper's weights.

    ``latent`` chooses what the projector reads: a posterior ``sample`` (as diffusion trains on; the
    projector then sees inputs off the mean, as at inference) or its ``mean``. ``shuffle_text`` is a
    control: each motion is aligned with the sentence of another one in the batch, so that whatever
    is gained owes nothing to what the sentences say. Where a batch holds generated latents, those
    are what the projector reads, and the posterior's are what it has to rebuild.
    """

    def __init__(
        self,
        projector: Projector,
        optimizer: dict,
        align_weight: Weight = 2.1591,
        rec_weight: Weight = 4.7036,
        var_weight: Weight = 0.05960,
        rec_reduction: Annotated[str, one_of(REDUCTIONS)] = "sum",
        var_form: Annotated[str, one_of(VARIANCE_LOSSES)] = "gauss_diag",
        latent: Annotated[str, one_of(("sample", "mean"))] = "sample",
        shuffle_text: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        self.projector, self.optimizer_options, self.seed = projector, optimizer, seed
        self.weights = {"align": align_weight, "rec": rec_weight, "var": var_weight}
        self.rec_reduction, self.var_form, self.latent = rec_reduction, var_form, latent
        self.shuffle_text = shuffle_text

    def parts(self) -> dict[str, nn.Module]:
        """What a run keeps of this stage."""
        return {"projector": self.projector}

    def training_step(self, batch: LatentBatch, _index: int) -> Tensor:
        """One optimisation step."""
        terms = self._terms(batch, step_draws(self, "projector"), ("projector", self.global_step))
        self.log_dict({f"train/{k}": v for k, v in terms.items()}, batch_size=len(batch.ids))
        self.log("loss", terms["loss"], prog_bar=True, logger=False, batch_size=len(batch.ids))
        return terms["loss"]

    def validation_step(self, batch: LatentBatch, index: int) -> None:
        """The same losses, with noise that is equal every time."""
        terms = self._terms(batch, validation_draws(self, index), ("validation", index))
        check_finite(terms["loss"], self.global_step, batch.ids)
        self.log_dict({f"val/{k}": v for k, v in terms.items()}, batch_size=len(batch.ids))

    def _terms(self, batch: LatentBatch, draws: StepDraws, purpose: tuple) -> dict[str, Tensor]:
        z = batch.mu
        if self.latent == "sample":
            z = reparameterise(batch.mu, batch.logvar, draws.normal(batch.mu.shape))
        text = batch.text.mean(dim=1)
        read = z if batch.generated is None else batch.generated
        projected = self.projector.encode(read)
        rebuilt = self.projector.decode(projected).float()
        if self.training:  # the variance term compares the rows of all processes
            z, text, projected, rebuilt = rows_of_batch(z, text, projected, rebuilt)
        if self.shuffle_text:
            text = text[derangement(len(text), make_generator(self.seed, "shuffle", *purpose))]
        terms = {
            "align": alignment_loss(projected.float(), text),
            "rec": reconstruction_loss(z, rebuilt, self.rec_reduction),
            "var": variance_loss(z, rebuilt, self.var_form),
        }
        loss = sum(self.weights[name] * value for name, value in terms.items())
        return {"loss": loss, **terms}

    def configure_optimizers(self) -> dict:
        """AdamW over the projector."""
        return make_optimizer(self.projector.parameters(), **self.optimizer_options)


def derangement(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation (count,) that leaves no place as it was; of one place, that place.

    It is a single cycle through all places.
    """
    order = torch.randperm(count, generator=generator)
    moved = torch.empty_like(order)
    moved[order] = order.roll(1)
    return moved
