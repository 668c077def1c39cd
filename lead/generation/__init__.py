"""From text to latents to motion."""

from lead.generation.flow_sampling import FlowGuidance, sample_flow
from lead.generation.loading import load_motion_model
from lead.generation.motion_model import MotionModel, Sampling
from lead.generation.sampling import sample_latents

__all__ = [
    "FlowGuidance",
    "MotionModel",
    "Sampling",
    "load_motion_model",
    "sample_flow",
    "sample_latents",
]
