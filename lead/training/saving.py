"""Saving a training so that it can be stopped at any moment and go on."""

import signal
import time
from collections.abc import Callable

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from lead.core.errors import WorkError
from lead.core.files import atomic_path
from lead.core.runs import Run

AGREE_EVERY = 10  # steps after which several processes ask each other; each then waits for all


class WholeState(TorchCheckpointIO):
    """Writes trainer state whole or not at all, and beside its place: not by way of /tmp."""

    def save_checkpoint(self, checkpoint: dict, path, storage_options=None) -> None:  # noqa: ARG002
        """Called in the first process alone."""
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            torch.save(checkpoint, stream)


class RunSaver(pl.Callback):
    """Writes trainer state regularly and the best weights by validation, each file whole.

    State is written before a step begins, when exactly ``global_step`` steps are complete. SIGINT
    and SIGTERM save at the next step (several processes: at the next tenth) and stop with one line;
    after SIGKILL the last save stands.
    ``check`` is called before state is written, and raises where it must not be.
    """

    def __init__(
        self,
        run: Run,
        averaging,
        check: Callable[[], None],
        every_steps: int,
        every_seconds: float,
        monitor: str,
    ):
        self.run, self.averaging, self.monitor, self.check = run, averaging, monitor, check
        self.every_steps, self.every_seconds = every_steps, every_seconds
        self.best = float("inf")
        self.best_step = -1
        self._stop_signal = ""
        self._saved_at = time.monotonic()
        self._saved_step = -1
        self._handlers: dict = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:  # noqa: ARG002
        """Take over the two polite stop signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._request_stop)
        if trainer.received_sigterm:  # before the handlers were in place
            self._stop_signal = signal.SIGTERM.name
        self._saved_at = time.monotonic()

    def _request_stop(self, number: int, _frame: object) -> None:
        self._stop_signal = signal.Signals(number).name

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Save where it is due; stop where it was asked for."""
        step, stop, late = trainer.global_step, False, False
        if trainer.world_size == 1 or step % AGREE_EVERY == 0:
            agree = trainer.strategy.reduce_boolean_decision  # all processes save, or none
            stop = agree(bool(self._stop_signal), all=False)
            late = agree(self._overdue(), all=False)
        due = late or step % self.every_steps == 0
        if step > 0 and step != self._saved_step and (due or stop):
            self._save(trainer)
        if stop:
            if trainer.is_global_zero:
                self.run.update(status="interrupted", step=step)
            cause = self._stop_signal or "a signal to another process"
            raise WorkError(f"stopped by {cause} at step {step}; go on with resume=true")

    def _overdue(self) -> bool:
        return time.monotonic() - self._saved_at > self.every_seconds

    def _save(self, trainer: pl.Trainer) -> None:
        self.check()
        trainer.save_checkpoint(self.run.state_path, weights_only=False)
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keep the weights that did best on the validation split."""
        value = trainer.callback_metrics.get(self.monitor)
        if trainer.sanity_checking or value is None or not float(value) < self.best:
            return  # a loss that is not a number is never the best
        self.best, self.best_step = float(value), trainer.global_step
        self._publish(trainer, module)

    def _publish(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.averaging.swap_in(module)
        for name, part in module.parts().items():
            self.run.save_part(name, part.state_dict())
        self.averaging.swap_out(module)
        self.run.update(best={self.monitor: self.best, "step": self.best_step})

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """The last state; weights too where no validation ever ran."""
        self._save(trainer)
        if self.best_step < 0:
            self._publish(trainer, module)

    def teardown(self, trainer: pl.Trainer, module, stage: str) -> None:  # noqa: ARG002
        """Give the signals back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def state_dict(self) -> dict:
        """For the checkpoint."""
        return {"best": self.best, "best_step": self.best_step}

    def on_load_checkpoint(self, trainer, module, checkpoint: dict) -> None:  # noqa: ARG002
        """Make Lightning's counters those of ``global_step`` complete steps and none begun.

        State is saved when a step is made ready, and Lightning would count that step again when it
        resumes: validation and log would come one step early after every stop.
        """
        loops = checkpoint["loops"]["fit_loop"]
        batches = loops["epoch_loop.batch_progress"]["total"]
        if batches["ready"] > batches["completed"]:
            batches["ready"] = batches["completed"]
            batches["started"] = batches["completed"] - 1  # the mark of a stop inside an epoch
            loops["epoch_loop.state_dict"]["_batches_that_stepped"] = batches["completed"] - 1

    def load_state_dict(self, state: dict) -> None:
        """From the checkpoint."""
        self.best, self.best_step = state["best"], state["best_step"]
