"""Data of a training: batches by step for training, fixed batches for validation."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset

from lead.data.batching import BatchPlan, StepSampler
from lead.data.clips import length_sorted_batches
from lead.data.latents import CaptionedLatents, LatentDataset, keep
from lead.data.packed import PackedDataset


class StepDataModule(pl.LightningDataModule):
    """Serves any data set that is indexed by (step, place) with a collate function."""

    def __init__(
        self,
        train: Dataset,
        train_lengths,
        validation: Dataset,
        validation_lengths,
        collate: Callable,
        batch_size: int,
        max_steps: int,
        seed: int,
        weights: Sequence[float] | np.ndarray | None = None,
    ):
        super().__init__()
        self.plan = BatchPlan(train_lengths, batch_size, seed, weights)
        self.train, self.validation, self.collate = train, validation, collate
        self.validation_batches = [
            [(0, place) for place in places]
            for places in length_sorted_batches(validation_lengths, batch_size)
        ]
        self.max_steps = max_steps

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Put data that is wholly in memory on the device of the training."""
        for data in (self.train, self.validation):
            if isinstance(data, LatentDataset):
                data.move_to(self.trainer.strategy.root_device)

    def train_dataloader(self) -> DataLoader:
        """From the present step on; asked for after the trainer state is restored."""
        trainer = self.trainer
        sampler = StepSampler(
            self.plan, trainer.global_step, self.max_steps, trainer.global_rank, trainer.world_size
        )
        return self._loader(self.train, sampler)

    def val_dataloader(self) -> DataLoader:
        """Every validation clip once, in the same batches every time."""
        return self._loader(self.validation, self.validation_batches)

    def _loader(self, data: Dataset, batches: Iterable) -> DataLoader:
        return DataLoader(
            data,
            batch_sampler=batches,
            collate_fn=self.collate,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
        )


def latent_data(
    train: CaptionedLatents,
    validation: CaptionedLatents,
    batch_size: int,
    max_steps: int,
    seed: int,
    weights: Sequence[float] | np.ndarray | None = None,
) -> StepDataModule:
    """Data of stages 2 and 3, batches of neighbouring lengths; ``weights`` as in BatchPlan."""
    return StepDataModule(
        *(train, train.lengths, validation, validation.lengths, keep),
        *(batch_size, max_steps, seed, weights),
    )


def validation_split(dataset: PackedDataset) -> str:
    """The split that chooses checkpoints: val, never test; train where a data set has no val."""
    return "val" if "val" in dataset.manifest.clips else "train"
