"""The judge of styles and contents: cross-entropy on real clips."""

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lead.core.freezing import trainable_parameters
from lead.evaluation.classifier.network import ClipNetwork
from lead.training.labelled_clips import UNKNOWN, LabelledBatch
from lead.training.losses import check_finite
from lead.training.optimization import Share, make_optimizer


class ClassifierStage(pl.LightningModule):
    """One network, one cross-entropy for each kind of label, summed, in 32-bit numbers."""

    def __init__(
        self,
        network: ClipNetwork,
        optimizer: dict,
        label_smoothing: Share = 0.05,
        seed: int = 0,  # noqa: ARG002
    ):
        super().__init__()
        self.network = network
        self.optimizer_options, self.label_smoothing = optimizer, label_smoothing
        self._right: dict[str, list[Tensor]] = {}

    def parts(self) -> dict[str, nn.Module]:
        """What a run keeps of this stage."""
        return {"network": self.network}

    def training_step(self, batch: LabelledBatch, _index: int) -> Tensor:
        """One optimisation step."""
        loss = self._loss(self._logits(batch), batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids), sync_dist=True)
        return loss

    def validation_step(self, batch: LabelledBatch, _index: int) -> None:
        """The same loss, and whether each clip was named rightly."""
        logits = self._logits(batch)
        loss = self._loss(logits, batch)
        check_finite(loss, self.global_step, batch.ids)
        self.log("val/loss", loss, batch_size=len(batch.ids))
        for kind, of in logits.items():
            known = batch.labels[kind] != UNKNOWN
            right = of.argmax(dim=1)[known] == batch.labels[kind][known]
            self._right.setdefault(kind, []).append(right.cpu())

    def on_validation_epoch_end(self) -> None:
        """Share of the clips that were named rightly, by kind of label."""
        for kind, parts in self._right.items():
            self.log(f"val/{kind}_accuracy", torch.cat(parts).float().mean())
        self._right = {}

    def _logits(self, batch: LabelledBatch) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, enabled=False):
            return self.network(batch.x, batch.mask)

    def _loss(self, logits: dict[str, Tensor], batch: LabelledBatch) -> Tensor:
        with torch.autocast(self.device.type, enabled=False):
            losses = [
                cross_entropy(
                    *(of, batch.labels[kind]),
                    ignore_index=UNKNOWN,
                    label_smoothing=self.label_smoothing,
                )
                for kind, of in logits.items()
                if (batch.labels[kind] != UNKNOWN).any()
            ]
            return sum(losses, start=next(iter(logits.values())).new_zeros(()))

    def configure_optimizers(self) -> dict:
        """AdamW."""
        return make_optimizer(trainable_parameters(self).values(), **self.optimizer_options)
