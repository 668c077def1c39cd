"""The judge of styles and contents: cross-entropy on real clips."""

from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from lead.core.building import build
from lead.data.packed import PackedDataset
from lead.evaluation.classifier.held_out import HELD_OUT, TAUGHT, divide_held_out
from lead.evaluation.classifier.network import ClipNetwork
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.labelled_clips import (
    UNKNOWN,
    LabelledBatch,
    LabelledClips,
    classes_of,
    collate_labelled,
    evened,
)
from lead.training.optimization import Share
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest, keep_statistics


class ClassifierOptions(StageOptions):
    """Which kinds of label to tell apart, and from what."""

    label_smoothing: Share = 0.05
    labels: Annotated[list[str], Field(min_length=1)] = ["style", "content"]
    crop_min: Annotated[float, Field(gt=0, le=1)] = 1.0  # shortest crop, as a share of the clip


class ClassifierStage(Stage):
    """One network, one cross-entropy for each kind of label, summed, in 32-bit numbers."""

    options_type = ClassifierOptions

    def __init__(self, network: ClipNetwork, options: ClassifierOptions, seed: int = 0):
        super().__init__(options, seed)
        self.network = network
        self._right: dict[str, list[Tensor]] = {}

    @classmethod
    def set_up(cls, request: TrainRequest[ClassifierOptions], dataset: PackedDataset) -> Prepared:
        """It learns from the train split and from one half of the held-out styles.

        The other half and the test split it never sees, the val split chooses the checkpoint.
        """
        options, kinds = request.options, request.options.labels
        train = dataset.split("train")
        taught = divide_held_out(dataset)[TAUGHT]
        held_out = dataset.split(HELD_OUT) if taught else None
        members = [(train, place) for place in range(len(train))]
        members += [(held_out, place) for place in taught]
        classes = classes_of(members, kinds)
        features = dataset.skeleton.features
        description = {**request.models["classifier"], "features": features, "classes": classes}
        network = build("network", description, "model.classifier")
        learned = LabelledClips(
            *(dataset, evened(members, kinds), classes),
            crop_min=options.crop_min,
            seed=request.seed,
        )
        checking = dataset.split(validation_split(dataset))
        checked = LabelledClips(dataset, [(checking, p) for p in range(len(checking))], classes)
        data = StepDataModule(
            *(learned, learned.frames, checked, checked.frames, collate_labelled),
            *(options.batch_size, request.trainer.max_steps, request.seed),
        )
        record = {"parts": {"network": description}, "parents": {}}
        module = cls(network, options, request.seed)
        keep = partial(keep_statistics, request.run, dataset.normalizer)
        return Prepared(module, data, record, keep)

    def losses(self, batch: LabelledBatch, index: int | None) -> dict[str, Tensor]:
        """In validation it is noted, too, whether each clip was named rightly."""
        logits = self._logits(batch)
        for kind, of in logits.items() if index is not None else ():
            known = batch.labels[kind] != UNKNOWN
            right = of.argmax(dim=1)[known] == batch.labels[kind][known]
            self._right.setdefault(kind, []).append(right.cpu())
        return {"loss": self._loss(logits, batch)}

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
                    label_smoothing=self.options.label_smoothing,
                )
                for kind, of in logits.items()
                if (batch.labels[kind] != UNKNOWN).any()
            ]
            return sum(losses, start=next(iter(logits.values())).new_zeros(()))
