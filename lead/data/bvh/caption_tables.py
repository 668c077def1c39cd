"""Captions for a folder of motions: a CSV or JSONL table, or a template over file names."""

import re
from pathlib import Path
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import read_csv, read_json_lines
from lead.core.schema import Finite, Schema, check
from lead.data.source import Caption
from lead.data.splits import SPLIT

_TEMPLATE_FIELDS = ("stem", "folder")


def _or(nothing: object) -> BeforeValidator:
    """What an empty field, or none, stands for."""
    return BeforeValidator(lambda value: nothing if value in (None, "") else value)


def _words(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("it is empty, or holds a NUL character")
    return " ".join(text.split())


def _split_name(name: str) -> str:
    if not SPLIT.fullmatch(name.strip()):
        raise ValueError(f"the split is '{name:.40}', not a name like train")
    return name.strip()


Words = Annotated[str, _or(""), AfterValidator(_words)]
Seconds = Annotated[Finite, Field(ge=0), _or(0)]


class CaptionRow(Schema):
    """One row of a caption table; a caption about a part of the motion has ``start < end``."""

    model_config = ConfigDict(strict=False, coerce_numbers_to_str=True)  # a CSV knows text alone

    line: int = 0
    id: Words
    text: Words = Field(alias="caption")
    split: Annotated[str, _or(""), AfterValidator(_split_name)] = ""  # where there is no column
    start: Seconds = 0.0
    end: Seconds = 0.0

    @model_validator(mode="after")
    def _range(self) -> "CaptionRow":
        if (self.start or self.end) and not self.start < self.end:
            raise ValueError(f"start {self.start:g} is not before end {self.end:g}")
        return self

    @property
    def caption(self) -> Caption:
        """The sentence, and the seconds that it is about."""
        return Caption(self.text, start=self.start, end=self.end)


def read_caption_table(path: Path | str) -> list[CaptionRow]:
    """Read a ``.csv`` (with a header line) or ``.jsonl`` file with ``id`` and ``caption``.

    Optional columns: ``split``, and ``start`` and ``end`` in seconds for a caption about a part.
    Raises RequestError with file and line.
    """
    path = Path(path)
    readers = {
        ".csv": lambda: read_csv(path, ("id", "caption"), "captions="),
        ".jsonl": lambda: read_json_lines(path, "captions="),
    }
    if path.suffix.lower() not in readers:
        raise RequestError(f"captions={path}: give a .csv or a .jsonl file")
    rows = []
    for line, row in readers[path.suffix.lower()]():
        place = f"{path}:{line}"
        read = check(CaptionRow, row, place, "correct the line", error=RequestError)
        rows.append(read.model_copy(update={"line": line}))
    if not rows:
        raise RequestError(f"{path}: no captions in it")
    return rows


def check_template(template: str) -> None:
    """Raise RequestError unless the template uses only ``{stem}`` and ``{folder}``."""
    try:
        pieces = [piece for piece in Formatter().parse(template) if piece[1] is not None]
    except ValueError as error:
        raise RequestError(f"template '{template}': {error}") from error
    for _, field, form, conversion in pieces:
        if field not in _TEMPLATE_FIELDS:
            hint = did_you_mean(field, _TEMPLATE_FIELDS)
            raise RequestError(f"template '{template}' names {{{field}}}, {hint}")
        if form or conversion:
            raise RequestError(f"template '{template}': write {{{field}}} without a format")
    if not template.strip():
        raise RequestError("template is empty: give a sentence such as 'a person performs {stem}'")


def fill_template(template: str, path: Path) -> str:
    """A caption from a file's name: ``{stem}`` and ``{folder}`` become their words.

    Empty where one of the two is asked for and holds no words (``02_01.bvh``).
    """
    words = {"stem": name_words(path.stem), "folder": name_words(path.parent.name)}
    if any(f"{{{field}}}" in template and not text for field, text in words.items()):
        return ""
    return " ".join(template.format(**words).split())


def name_words(name: str) -> str:
    """The words of a file name in lower case, without numbers: ``WalkFast_02`` -> ``walk fast``."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+", name)
    return " ".join(part.lower() for part in parts)
