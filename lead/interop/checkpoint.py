"""Reading checkpoints of other projects; nothing in them is executed."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.reading import read_tensors

SIZES = "lead_sizes"
"""Where a checkpoint that lead wrote says of what sizes its models are."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by name; ``sizes`` only where lead itself wrote it."""

    path: Path
    tensors: dict[str, Tensor]
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)


def read_checkpoint(path: Path | str, keys: Sequence[str] = ("state_dict",)) -> Checkpoint:
    """Read a Lightning checkpoint, a plain dictionary of tensors, or a safetensors file.

    Where the file has one of the ``keys``, the first of them holds the tensors. Raises
    RequestError where the file is missing, broken, or holds anything but tensors and plain values:
    loading that would run code of the file.
    """
    path = Path(path)
    if not path.is_file():
        raise RequestError(f"{path} is no file: name the checkpoint")
    if path.suffix == ".safetensors":
        return Checkpoint(path, read_tensors(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual pickles, which are refused anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, tar and pickle each fail in their own way
        raise RequestError(
            f"{path} is refused, nothing in it was executed: it is broken, or holds more than "
            "tensors and plain values. Save its state_dict alone, as safetensors, where it was made"
        ) from error
    if not isinstance(content, Mapping):
        raise RequestError(f"{path} holds a {type(content).__name__}, no tensors by name")
    tensors = next((content[key] for key in keys if key in content), content)
    if not isinstance(tensors, Mapping) or not tensors:
        raise RequestError(f"{path} holds no tensors: its state_dict is empty")
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise RequestError(
                f"{path}: '{name}' is a {type(value).__name__}, not a tensor; is this a checkpoint "
                "with a state_dict?"
            )
    return Checkpoint(path, dict(tensors), _sizes(content.get(SIZES)))


def _sizes(written: object) -> dict[str, dict[str, int]]:
    """Whole numbers per part; anything else in a foreign file counts as absent."""
    if not isinstance(written, Mapping):
        return {}
    return {
        str(part): {str(key): value for key, value in sizes.items() if type(value) is int}
        for part, sizes in written.items()
        if isinstance(sizes, Mapping)
    }
