"""Random numbers of a training step depend on the seed and the step, not on what ran before."""

from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor

from lead.core.batches import LatentBatch
from lead.core.seeding import derive_seed, make_generator
from lead.diffusion.flow_times import draw_times
from lead.training.processes import world_size


class StepDraws:
    """Random rows of a batch, the same however many processes share it.

    Each process draws the numbers of the whole batch and keeps those of its own rows.
    """

    def __init__(self, generator: torch.Generator, process: int = 0, processes: int = 1):
        self.generator, self.process, self.processes = generator, process, processes

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers of ``shape``, rows first."""
        return self._own(torch.randn(self._whole(shape), **self._where()))

    def latents(self, batch: LatentBatch) -> Tensor:
        """Normal numbers in the shape of latents; how the batch is padded changes none of them."""
        rows, tokens, *rest = batch.mu.shape
        return self.normal((rows, batch.longest or tokens, *rest))[:, :tokens]

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers from 0 up to 1."""
        return self._own(torch.rand(self._whole(shape), **self._where()))

    def times(self, rows: int, spread: float) -> Tensor:
        """Times of a flow, see ``draw_times``."""
        return self._own(draw_times(rows * self.processes, self.generator, spread))

    def integers(self, high: int, shape: Sequence[int]) -> Tensor:
        """Whole numbers from 0 up to ``high``, which is left out."""
        return self._own(torch.randint(high, self._whole(shape), **self._where()))

    def _whole(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (shape[0] * self.processes, *shape[1:])

    def _where(self) -> dict:
        return {"generator": self.generator, "device": self.generator.device}

    def _own(self, drawn: Tensor) -> Tensor:
        return drawn.chunk(self.processes)[self.process]


def step_draws(module: pl.LightningModule, purpose: str) -> StepDraws:
    """The draws of the present training step."""
    generator = make_generator(module.seed, purpose, module.global_step, device=module.device)
    return StepDraws(generator, module.global_rank, world_size())


def validation_draws(module: pl.LightningModule, index: int) -> StepDraws:
    """The draws of a validation batch, which every process sees whole: equal every time."""
    return StepDraws(make_generator(module.seed, "validation", index, device=module.device))


class StepSeeding(pl.Callback):
    """Seed torch's global generator from the step: dropout does not depend on what ran before.

    Every process has its own: with dropout, several processes do not repeat the numbers of one.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, module, *_: object) -> None:
        """Called before every optimisation step."""
        step, process = trainer.global_step, trainer.global_rank
        purpose = (step, process) if process else (step,)
        seed = derive_seed(self.seed, "step", *purpose)
        if module.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # the other form tells every device, 1 ms
        else:
            torch.manual_seed(seed)
