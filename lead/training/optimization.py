"""Optimiser and learning-rate schedule, shared by all stages."""

import math
from collections.abc import Iterable
from typing import Annotated

import pytorch_lightning as pl
import torch
from pydantic import Field
from torch import nn

from lead.core.schema import ClosedSchema, Count, one_of

SCHEDULES = ("constant", "cosine")
Rate = Annotated[float, Field(gt=0, le=100)]  # of learning
Weight = Annotated[float, Field(ge=0, le=1e6)]  # of a term of a loss
Positive = Annotated[float, Field(gt=0, le=1e6)]
Share = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=1, le=10**9)]


class OptimizerOptions(ClosedSchema):
    """AdamW with linear warm-up, then constant or cosine, which ends at the share ``end``."""

    lr: Rate = 1e-4
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999  # memory of squared gradients
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.01
    warmup_steps: Count = 0
    schedule: Annotated[str, one_of(SCHEDULES)] = "constant"
    end: Share = 0.02


def make_optimizer(
    parameters: Iterable[nn.Parameter], options: OptimizerOptions, total_steps: int = 0
) -> dict:
    """AdamW and its learning rates in Lightning's dictionary form.

    The cosine ends at the share ``end`` of the rate after ``total_steps``.
    """
    warmup_steps, end = options.warmup_steps, options.end
    optimizer = torch.optim.AdamW(
        parameters,
        lr=options.lr,
        betas=(0.9, options.beta2),
        weight_decay=options.weight_decay,
        fused=True,
    )

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        if options.schedule == "cosine" and total_steps:
            done = min(1.0, step / total_steps)
            fall = 0.5 * (1 + math.cos(math.pi * done))
            return warm * (end + (1 - end) * fall)
        return warm

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 1},
    }


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
