"""Every random number comes from a generator that is named by what it is for."""

import hashlib

import torch


def derive_seed(seed: int, *purpose: object) -> int:
    """A 63-bit seed from a base seed and a purpose, equal on every machine and run."""
    text = "\x1f".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def make_generator(
    seed: int, *purpose: object, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A ``torch.Generator`` for one purpose, e.g. ``make_generator(seed, "noise", step)``."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *purpose))
