"""A learned word as a file: safetensors of a few kilobytes, with all that is known of its making.

The file holds one tensor ``vector`` (width,) and one metadata entry ``lead.word``, a JSON object:
schema, word, encoder (fingerprint), and the facts of ``Word.about``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.files import content_hash, write_tensors
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
    metadata = {_ENTRY: json.dumps(facts, ensure_ascii=False)}  # one entry: their order is random
    write_tensors(path, {"vector": word.vector.float()}, metadata)


def read_word(path: Path | str) -> Word:
    """Read a word file, executing nothing in it.

    Raises RequestError, naming the file, where it is missing, broken, no word, or newer.
    """
    path = Path(path)
    if not path.is_file():
        raise RequestError(f"{path} is no file: give a word file that `lead invert` wrote")
    vector, facts = _read(path)
    if facts.get("schema") != SCHEMA:
        raise RequestError(
            f"{path} has word schema {facts.get('schema')}, this version reads {SCHEMA}: learn the "
            "word anew, or update lead"
        )
    word, encoder = facts.pop("word", None), facts.pop("encoder", None)
    if not isinstance(word, str) or not isinstance(encoder, str):
        raise RequestError(f"{path} names no word or no text encoder: learn the word anew")
    del facts["schema"]
    try:
        return Word(word, vector.float(), encoder, facts)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error


def _read(path: Path) -> tuple[Tensor, dict]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            facts = json.loads(metadata[_ENTRY])
            vector = stored.get_tensor("vector")
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise RequestError(
            f"{path} is not a word file: give one that `lead invert` wrote"
        ) from error
    if not isinstance(facts, dict):
        raise RequestError(f"{path} is not a word file: give one that `lead invert` wrote")
    return vector, facts


def state_hash(*modules: nn.Module | None) -> str:
    """SHA-256 (hex) over the names and values of the modules' parameters and buffers."""
    parts: list[bytes | str] = []
    for module in modules:
        for name, tensor in ({} if module is None else module.state_dict()).items():
            parts += [name, tensor.detach().cpu().contiguous().numpy().tobytes()]
    return content_hash(*parts)
