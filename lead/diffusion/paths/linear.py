"""The straight line z_t = t data + (1 - t) noise (Liu et al. 2023; ACMDM, MLA-Gen)."""

import torch

from lead.diffusion.flow_path import FlowPath

LINEAR = FlowPath(
    signal=lambda time: time,
    noise=lambda time: 1 - time,
    signal_rate=torch.ones_like,
    noise_rate=lambda time: -torch.ones_like(time),
)
"""Its velocity, data - noise, is the same at all times."""
