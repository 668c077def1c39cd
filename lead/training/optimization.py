"""Optimiser and learning-rate schedule, shared by all stages."""

import math
from collections.abc import Iterable

import torch
from torch import nn


def make_optimizer(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float = 1e-4,
    weight_decay: float = 0.01,
    warmup_steps: int = 0,
    schedule: str = "constant",
    total_steps: int = 0,
) -> dict:
    """AdamW with linear warm-up, then constant or cosine to zero; Lightning's dictionary form."""
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        if schedule == "cosine" and total_steps:
            done = min(1.0, step / total_steps)
            return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        return warm

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 1},
    }
