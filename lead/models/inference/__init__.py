"""Trained networks rebuilt for inference alone: packed weights, fused operations, no gradients."""

from lead.models.inference.compiled import compile_network
from lead.models.inference.prepare import prepare

__all__ = ["compile_network", "prepare"]
