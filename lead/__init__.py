"""LEAD: text-to-motion by latent diffusion with a realigned latent space."""

__version__ = "0.1.0"
