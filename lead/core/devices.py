"""Where networks work."""

import torch

from lead.core.errors import RequestError


def choose_device(name: str) -> torch.device:
    """A torch device from auto, cpu, cuda, cuda:1 or mps; RequestError where it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RequestError(f"unknown device '{name}': auto, cpu, cuda or mps") from error
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if device.type not in there:
        raise RequestError(f"device={name} is not supported: auto, cpu, cuda or mps")
    if (device.index or 0) >= there[device.type]:
        seen = f"torch sees {there[device.type]} devices of this type"
        raise RequestError(f"device={name}, but {seen}: say device=cpu")
    return device
