"""Text to latents to motion."""

from lead.generation.sampling import sample_latents

__all__ = ["sample_latents"]
