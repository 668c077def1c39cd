"""Stopping at a loss that is not a number, without a GPU that waits at every step."""

import pytorch_lightning as pl
import torch
from torch import Tensor

from lead.training.losses import check_finite

TOGETHER = 50


class FiniteLoss(pl.Callback):
    """On a processor a loss that is not finite stops the run before its step is taken.

    A GPU would have to be waited for: its losses are looked at fifty together, and before anything
    is validated or saved (``check``), so that nothing on disk comes from behind such a loss.
    """

    def __init__(self):
        self._ids: list[str] = []
        self._losses: list[tuple[Tensor, int, list[str]]] = []

    def on_train_batch_start(self, trainer, module, batch, index: int) -> None:  # noqa: ARG002
        """Remember which clips the step reads."""
        self._ids = batch.ids

    def on_before_backward(self, trainer, module, loss: Tensor) -> None:  # noqa: ARG002
        """Called with the loss of the step."""
        self._losses.append((loss.detach(), trainer.global_step, self._ids))
        if loss.device.type == "cpu" or len(self._losses) == TOGETHER:
            self.check()

    def on_validation_start(self, trainer, module) -> None:  # noqa: ARG002
        """Weights that are validated may be published."""
        self.check()

    def check(self) -> None:
        """Raise WorkError for the first loss since the last check that is not finite."""
        rows, self._losses = self._losses, []
        if rows and not torch.stack([loss for loss, _, _ in rows]).isfinite().all():
            for row in rows:
                check_finite(*row)
