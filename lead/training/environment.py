"""What a run needs to be believed: versions, revision, machine."""

import platform
from importlib import metadata

import torch

from lead import __version__
from lead.core.revision import revision

LIBRARIES = ("torch", "pytorch-lightning", "numpy", "scipy", "transformers", "hydra-core")


def environment(seed: int) -> dict[str, object]:
    """A record of everything outside the configuration that a result may depend on."""
    return {
        "lead": __version__,
        "revision": revision(),
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "libraries": {name: _version(name) for name in LIBRARIES},
        "seed": seed,
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
