"""Trained networks rebuilt for inference alone: packed weights, fused operations, no gradients."""

from lead.models.inference.prepare import prepare

__all__ = ["prepare"]
