"""A learned word as a file: safetensors of a few kilobytes, with all that is known of its making.

The file holds one tensor ``vector`` (width,) and one metadata entry ``lead.word``, a JSON object:
schema, word, encoder (fingerprint), and the facts of ``Word.about``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.files import content_hash, to_json, write_tensors
from lead.core.reading import read_described
from lead.core.schema import Name, Schema, check
from lead.models.text_encoders import TextEncoder
from lead.models.text_encoders.learned_words import check_spelling

SCHEMA = 1
_ENTRY = "lead.word"


@dataclass(frozen=True, eq=False)
class Word:
    """A word such as ``<zombie>`` and the input vector that one text encoder reads for it."""

    word: str
    vector: Tensor  # (width,) float32
    encoder: str  # fingerprint of the text encoder
    about: Mapping[str, object] = field(default_factory=dict)  # how it was learned, as JSON values

    def __post_init__(self) -> None:
        """Check what every user of the word relies on."""
        check_spelling(self.word)
        if self.vector.ndim != 1 or not torch.isfinite(self.vector).all():
            raise RequestError(f"the vector of {self.word} is no row of finite numbers")

    def check_encoder(self, encoder: TextEncoder) -> None:
        """RequestError where the word was learned with another text encoder."""
        if self.encoder != encoder.fingerprint:
            name = self.about.get("encoder_name", "another")
            raise RequestError(
                f"{self.word} was learned with text encoder '{name}' ({self.encoder[:12]}), the "
                f"run uses '{encoder.name}' ({encoder.fingerprint[:12]}): learn it with this run"
            )


def write_word(path: Path | str, word: Word) -> None:
    """Write the word atomically; equal words make equal bytes."""
    facts = {"schema": SCHEMA, "word": word.word, "encoder": word.encoder, **word.about}
    metadata = {_ENTRY: to_json(facts)}  # one entry: their order is random
    write_tensors(path, {"vector": word.vector.float()}, metadata)


class _Facts(Schema):
    """The metadata entry of a word file; what else it holds is told in ``Word.about``."""

    model_config = ConfigDict(extra="allow")

    layout: Literal[SCHEMA] = Field(alias="schema")
    word: Name
    encoder: Name


def read_word(path: Path | str) -> Word:
    """Read a word file, executing nothing in it.

    Raises RequestError or WorkError, naming the file, where it is missing, broken, no word, or
    newer.
    """
    advice = "give a word file that `lead invert` wrote"
    tensors, entry = read_described(path, _ENTRY, advice)
    facts = check(_Facts, entry, str(path), advice)
    vector = tensors.get("vector")
    if vector is None or not vector.is_floating_point():
        raise RequestError(f"{path} holds no vector of numbers: {advice}")
    try:
        return Word(facts.word, vector.float(), facts.encoder, facts.model_extra)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error


def state_hash(*modules: nn.Module | None) -> str:
    """SHA-256 (hex) over the names and values of the modules' parameters and buffers."""
    parts: list[bytes | str] = []
    for module in modules:
        for name, tensor in ({} if module is None else module.state_dict()).items():
            parts += [name, tensor.detach().cpu().contiguous().numpy().tobytes()]
    return content_hash(*parts)
