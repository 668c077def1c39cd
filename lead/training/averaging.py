"""Exponential moving average over the trainable parameters only."""

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lead.core.freezing import trainable_parameters

EVERY = 4  # steps


class ExponentialAverage(pl.Callback):
    """Keep an average of the weights; validate and publish with it.

    The decay warms up as min(decay, (1 + step) / (10 + step)), so short runs are not held back by
    their initial weights. The average moves at every fourth step, by four steps' decay: reading
    and writing every weight once more would take 3 % of a step. ``decay`` 0 turns it off.
    """

    def __init__(self, decay: float = 0.999):
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self._parameters: list[nn.Parameter] = []  # in the order of the average
        self._raw: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start from the present weights, or go on from a checkpoint's."""
        parameters = trainable_parameters(module)
        if not self.average:
            self.average = {name: p.detach().clone() for name, p in parameters.items()}
        self.average = {name: self.average[name].to(p) for name, p in parameters.items()}
        self._parameters = [*parameters.values()]

    @torch.no_grad()
    def on_train_batch_end(self, trainer, *_: object) -> None:
        """Move the average towards the new weights."""
        step = trainer.global_step
        if self.decay and step % EVERY == 0:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_([*self.average.values()], self._parameters, 1 - decay**EVERY)

    @torch.no_grad()
    def swap_in(self, module: pl.LightningModule) -> None:
        """Put the average in place of the weights, which are kept aside."""
        if self._raw or not self.decay:
            return
        for name, parameter in trainable_parameters(module).items():
            self._raw[name] = parameter.detach().clone()
            parameter.copy_(self.average[name])

    @torch.no_grad()
    def swap_out(self, module: pl.LightningModule) -> None:
        """Put the weights back."""
        for name, parameter in trainable_parameters(module).items():
            if name in self._raw:
                parameter.copy_(self._raw[name])
        self._raw = {}

    def on_validation_start(self, trainer, module) -> None:  # noqa: ARG002
        """Validate the average."""
        self.swap_in(module)

    def on_validation_end(self, trainer, module) -> None:  # noqa: ARG002
        """Train on the weights."""
        self.swap_out(module)

    def state_dict(self) -> dict[str, Tensor]:
        """For the checkpoint."""
        return {name: tensor.detach().cpu() for name, tensor in self.average.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """From the checkpoint."""
        self.average = dict(state)
