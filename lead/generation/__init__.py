"""From text to latents to motion."""

from lead.generation.pipeline import Sampling, TextToMotion, load_pipeline
from lead.generation.sampling import sample_latents

__all__ = ["Sampling", "TextToMotion", "load_pipeline", "sample_latents"]
