"""What a run needs to be believed: versions, revision, machine."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import torch

from lead import __version__

LIBRARIES = ("torch", "pytorch-lightning", "numpy", "scipy", "transformers", "hydra-core")


def environment(seed: int) -> dict[str, object]:
    """A record of everything outside the configuration that a result may depend on."""
    return {
        "lead": __version__,
        "revision": _revision(),
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


def _revision() -> str | None:
    """The git revision of a checkout, with + where files differ from it."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(
            ["git", "-C", root, "describe", "--always", "--dirty=+"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip()
