"""Optimiser and learning-rate schedule, shared by all stages."""

import math
from collections.abc import Iterable

import pytorch_lightning as pl
import torch
from torch import nn

from lead.core.errors import RequestError, did_you_mean

SCHEDULES = ("constant", "cosine")
COSINE_END = 0.02  # of the full learning rate


def make_optimizer(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float = 1e-4,
    weight_decay: float = 0.01,
    warmup_steps: int = 0,
    schedule: str = "constant",
    total_steps: int = 0,
) -> dict:
    """AdamW with linear warm-up, then constant or cosine; Lightning's dictionary form.

    The cosine ends at 2 % of ``lr`` after ``total_steps``. Raises RequestError for an unknown
    ``schedule``, an ``lr`` that is not a positive number, and negative values.
    """
    check_optimizer(lr, weight_decay, warmup_steps, schedule)
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        if schedule == "cosine" and total_steps:
            done = min(1.0, step / total_steps)
            fall = 0.5 * (1 + math.cos(math.pi * done))
            return warm * (COSINE_END + (1 - COSINE_END) * fall)
        return warm

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 1},
    }


def check_optimizer(lr: float, weight_decay: float, warmup_steps: int, schedule: str) -> None:
    """Raise RequestError for values that no training can use."""
    if schedule not in SCHEDULES:
        raise RequestError(f"unknown schedule '{schedule}': {did_you_mean(schedule, SCHEDULES)}")
    if not lr > 0:
        raise RequestError(f"lr must be a positive number, got '{lr}'")
    for name, value in (("weight_decay", weight_decay), ("warmup_steps", warmup_steps)):
        if not value >= 0:
            raise RequestError(f"{name} is {value}: it must be 0 or more")


class GradientClipping(pl.Callback):
    """Limit the norm of all gradients together; 0 means no limit.

    Lightning's own clipping refuses fused optimisers under bf16, where no scaling is to be undone.
    """

    def __init__(self, max_norm: float):
        self.max_norm = max_norm

    def on_before_optimizer_step(self, trainer, module, optimizer) -> None:  # noqa: ARG002
        """Called when all gradients of the step are there."""
        if not self.max_norm:
            return
        groups = (group["params"] for group in optimizer.param_groups)
        parameters = [p for group in groups for p in group if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters], foreach=True)
        if norm.device.type != "cpu" or norm > self.max_norm:  # a GPU would have to be waited for
            torch.nn.utils.clip_grads_with_norm_(parameters, self.max_norm, norm)
