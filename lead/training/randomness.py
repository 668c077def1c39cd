"""Random numbers of a training step depend on the seed and the step, not on what ran before."""

import pytorch_lightning as pl

from lead.core.seeding import derive_seed


def step_purpose(training: pl.Trainer | pl.LightningModule) -> tuple[int, ...]:
    """What names the present step in a seed: its number, and the process where several train."""
    step, rank = training.global_step, training.global_rank
    return (step, rank) if rank else (step,)


class StepSeeding(pl.Callback):
    """Seed the global generator from the step: dropout does not depend on what ran before."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Called before every optimisation step."""
        seed = derive_seed(self.seed, "step", *step_purpose(trainer)) % 2**32
        pl.seed_everything(seed, verbose=False)
