"""Steps of the real stages under Lightning's trainer, timed from one to the next."""

import warnings
from collections.abc import Callable

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import Dataset

from lead.bench.setting import CLOCKS, Setting
from lead.data.clips import pad_clips
from lead.data.latents import LatentDataset
from lead.data.packed import PackedSplit
from lead.training.averaging import ExponentialAverage
from lead.training.datamodule import StepDataModule
from lead.training.fit import quicken_on_cpu
from lead.training.optimization import GradientClipping
from lead.training.quiet import quiet_lightning
from lead.training.randomness import StepSeeding

FEATURES = 263
OPTIMIZER = {"lr": 1e-4, "weight_decay": 0.01, "warmup_steps": 0, "schedule": "constant"}
TEXTS = 4096  # distinct sentences of the cached set


class RandomClips(Dataset):
    """Motions of given lengths, random numbers; indexed by (step, place) as training does."""

    def __init__(self, lengths: np.ndarray, seed: int):
        self.lengths = lengths
        rng = np.random.default_rng(seed)
        self.longest = 0.5 * rng.standard_normal((int(lengths.max()), FEATURES), dtype=np.float32)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: tuple[int, int]) -> tuple[str, np.ndarray]:
        return str(index[1]), self.longest[: self.lengths[index[1]]]


def clip_data(clips: RandomClips, batch: int, steps: int, seed: int) -> StepDataModule:
    """Stage 1's data, bucketed as in training."""
    few = RandomClips(clips.lengths[:2], 0)
    return StepDataModule(
        *(clips, clips.lengths, few, few.lengths, pad_clips), *(batch, steps, seed)
    )


def cached_latents(count: int, text_dim: int, seed: int) -> LatentDataset:
    """Stage 2's and 3's data: as many clips as the data set has, three captions each."""
    generator = torch.Generator().manual_seed(seed)
    names = [f"sentence {number}" for number in range(TEXTS)]
    captions = [[names[(3 * clip + which) % TEXTS] for which in range(3)] for clip in range(count)]
    split = PackedSplit(
        *("train", np.zeros((1, FEATURES), np.float32), [str(clip) for clip in range(count)]),
        *(np.zeros(count, int), np.ones(count, int), captions, [[]] * count, [{}] * count),
    )
    mu, logvar = (torch.randn(count, 1, 256, generator=generator) for _ in range(2))
    texts = torch.randn(TEXTS + 1, 1, text_dim, generator=generator)
    rows = {"": 0, **{name: row for row, name in enumerate(names, start=1)}}
    return LatentDataset(split, (mu, logvar - 3), texts, rows, seed)


class _Clock(pl.Callback):
    """The moments at which two steps end; between them a GPU is left alone."""

    def __init__(self, setting: Setting, steps: tuple[int, int]):
        self.setting, self.steps, self.moments = setting, steps, []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step in self.steps:
            if self.setting.device.type == "cuda":
                torch.cuda.synchronize(self.setting.device)
            self.moments.append(CLOCKS[self.setting.clock]())


def seconds_per_step(
    module: pl.LightningModule,
    data: Callable[[int], StepDataModule],
    setting: Setting,
    steps: int,
    first: int = 1,
) -> float:
    """Train ``steps`` steps after the ``first``; mean seconds from one step's end to the next's."""
    clock = _Clock(setting, (first, first + steps))
    quiet_lightning()
    quicken_on_cpu(module, setting.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_steps=steps + first,
            accelerator="gpu" if setting.device.type == "cuda" else "cpu",
            devices=1,
            precision="bf16-mixed" if setting.precision == "bf16" else "32-true",
            callbacks=[
                *(ExponentialAverage(), StepSeeding(setting.seed), GradientClipping(1.0), clock)
            ],
            limit_val_batches=0,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
        )
        trainer.fit(module, datamodule=data(steps + first))
    begin, end = clock.moments
    return (end - begin) / steps
