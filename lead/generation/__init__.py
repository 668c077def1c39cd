"""From text to latents to motion."""

from lead.generation.flow_sampling import FlowGuidance, sample_flow
from lead.generation.pipeline import Sampling, TextToMotion, load_pipeline
from lead.generation.sampling import sample_latents

__all__ = [
    "FlowGuidance",
    "Sampling",
    "TextToMotion",
    "load_pipeline",
    "sample_flow",
    "sample_latents",
]
