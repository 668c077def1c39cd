"""Reading a model folder in Hugging Face's layout: quietly, completely, executing nothing."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.files import content_hash
from lead.core.reading import read_text
from lead.models.text_encoders.base import TextEncoder

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
)
LAYERS_MOST = 1000
OF_THE_FOLDER_ALONE = {"local_files_only": True, "trust_remote_code": False}
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model")


class FolderEncoder(TextEncoder):
    """An encoder that is read from a folder; ``kind`` tells it from others of the same files."""

    def __init__(self, kind: str, name: str, folder: Path, batch_size: int):
        super().__init__()
        self._kind, self.name, self._folder, self.batch_size = kind, name, folder, batch_size

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of weights, configuration and tokenizer."""
        return folder_fingerprint(self._kind, self._folder)


def make_encoder(description: Mapping[str, object]):
    """The frozen text encoder that a run describes."""
    return build("text_encoder", description, "text_encoder")


def load_model(class_name: str, folder: Path, name: str) -> nn.Module:
    """The transformers model ``class_name`` with the weights of ``folder``, in float32.

    Raises RequestError where files are missing or broken, or do not fill the whole model.
    """
    model_class = _transformers_class(class_name, name)
    with _quiet_transformers():
        try:
            _check_size(model_class, folder)
            options = {"dtype": torch.float32, "output_loading_info": True}
            model, info = model_class.from_pretrained(folder, **options, **OF_THE_FOLDER_ALONE)
        except Exception as error:  # broken JSON, truncated weights, other shapes, ...
            raise _broken(name, folder, class_name, error) from error
    if missing := sorted(info["missing_keys"]):
        raise RequestError(
            f"text encoder '{name}': {folder} holds another model than {class_name}: "
            f"{len(missing)} weights are missing, first {missing[0]}"
        )
    return model


def _check_size(model_class: Any, folder: Path) -> None:
    """RequestError where config.json describes more than the files beside it could ever fill."""
    text = read_text(folder / "config.json")
    layers = [int(number) for number in re.findall(r'layers"\s*:\s*([0-9]+)', text)]
    if max(layers, default=0) > LAYERS_MOST:
        raise RequestError(f"config.json has {max(layers)} layers, {LAYERS_MOST} are the most")
    with torch.device("meta"):  # takes no memory
        model = model_class(model_class.config_class.from_pretrained(folder))
    numbers = sum(parameter.numel() for parameter in model.parameters())
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    if numbers > size:
        raise RequestError(f"config.json describes {numbers} numbers, the files have {size} bytes")


def load_tokenizer(folder: Path, name: str, class_name: str = "AutoTokenizer") -> Any:
    """The tokenizer of ``folder``.

    Raises RequestError where there is none, which transformers passes over for some models.
    """
    if not any((folder / file).is_file() for file in VOCABULARIES):
        raise RequestError(
            f"text encoder '{name}': no vocabulary in {folder}: add tokenizer.json "
            "(or vocab.json and merges.txt) of the same model"
        )
    tokenizer_class = _transformers_class(class_name, name)
    with _quiet_transformers():
        try:
            return tokenizer_class.from_pretrained(folder, **OF_THE_FOLDER_ALONE)
        except Exception as error:
            raise _broken(name, folder, "tokenizer", error) from error


def folder_fingerprint(kind: str, folder: Path) -> str:
    """Hash of the weights, configurations and vocabularies in ``folder``, and of ``kind``.

    The folder's own name and place do not count; nor do readmes and other files.
    """
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    named = [folder / file for file in ("config.json", "open_clip_config.json", *TOKENIZER_FILES)]
    heads = sorted(folder.glob("*_Dense/*"))
    parts: list[str | Path] = [kind]
    for file in [*weights, *named, *heads]:
        if file.is_file():
            parts += [file.relative_to(folder).as_posix(), file]
    return content_hash(*parts)


def _transformers_class(class_name: str, name: str) -> Any:
    try:
        import transformers

        return getattr(transformers, class_name)
    except (ImportError, RuntimeError) as error:
        raise RequestError(
            f"text encoder '{name}' needs transformers, which does not load here "
            f"({_first_line(error)}): pip install transformers, and remove a torchvision that "
            "was built for another torch"
        ) from error


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No loading reports and bars: what matters in them is raised as an error."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _broken(name: str, folder: Path, what: str, error: Exception) -> RequestError:
    return RequestError(
        f"text encoder '{name}': cannot read the {what} in {folder} ({_first_line(error)}): "
        "copy the model's folder anew"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
