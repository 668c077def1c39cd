"""LEAD: text-to-motion by latent diffusion with a realigned latent space."""

__version__ = "0.1.0"

_LAZY = {"load": "lead.cli.load", "push": "lead.interop.hub"}


def __getattr__(name: str) -> object:
    """``lead.load`` and ``lead.push``, read when asked for: importing lead costs nothing."""
    if name not in _LAZY:
        raise AttributeError(f"module 'lead' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
