"""The quarter circle z_t = sin(pi t / 2) data + cos(pi t / 2) noise (Albergo et al. 2023)."""

import math

from lead.diffusion.flow_path import FlowPath

RATE = math.pi / 2

TRIGONOMETRIC = FlowPath(
    signal=lambda time: (RATE * time).sin(),
    noise=lambda time: (RATE * time).cos(),
    signal_rate=lambda time: RATE * (RATE * time).cos(),
    noise_rate=lambda time: -RATE * (RATE * time).sin(),
)
"""Keeps unit variance on the way where the data have it."""
