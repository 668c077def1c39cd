"""Captions for a folder of motions: a CSV or JSONL table, or a template over file names."""

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from lead.core.errors import RequestError, did_you_mean
from lead.data.source import Caption

_COLUMNS = ("id", "caption", "split", "start", "end")
_TEMPLATE_FIELDS = ("stem", "folder")


@dataclass(frozen=True)
class CaptionRow:
    """One row of a caption table."""

    line: int
    id: str
    caption: Caption
    split: str  # empty where the table has no split column


def read_caption_table(path: Path | str) -> list[CaptionRow]:
    """Read a ``.csv`` (with a header line) or ``.jsonl`` file with ``id`` and ``caption``.

    Optional columns: ``split``, and ``start`` and ``end`` in seconds for a caption about a part.
    Raises RequestError with file and line.
    """
    path = Path(path)
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
    if path.suffix.lower() not in readers:
        raise RequestError(f"captions={path}: give a .csv or a .jsonl file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: not UTF-8 text ({error.reason})") from error
    except OSError as error:
        raise RequestError(f"captions={path} cannot be read ({error.strerror})") from error
    rows = [_row(path, *found) for found in readers[path.suffix.lower()](path, text)]
    if not rows:
        raise RequestError(f"{path}: no captions in it")
    return rows


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    line = 1
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        for column in ("id", "caption"):
            if column not in names:
                known = ", ".join(names) or "nothing"
                raise RequestError(f"{path}:1: no column '{column}'; the header names {known}")
        line = 2
        for row in reader:
            if None in row:
                raise RequestError(f"{path}:{line}: more fields than the header: quote the commas")
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise RequestError(f"{path}:{line}: not valid CSV ({error})") from error


def _jsonl_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except json.JSONDecodeError as error:
            raise RequestError(f"{path}:{line}: not valid JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise RequestError(f"{path}:{line}: a JSON object with id and caption expected")
        for column in ("id", "caption"):
            if column not in row:
                raise RequestError(f"{path}:{line}: no '{column}' in it")
        yield line, row


def _row(path: Path, line: int, row: Mapping[str, object]) -> CaptionRow:
    texts = {}
    for column in _COLUMNS:
        value = row.get(column)
        texts[column] = "" if value is None else str(value).strip()
    for column in ("id", "caption"):
        if not texts[column]:
            raise RequestError(f"{path}:{line}: empty {column}")
    if "split" in row and not re.fullmatch(r"[\w-]+", texts["split"]):
        raise RequestError(f"{path}:{line}: the split is '{texts['split']}', not a name like train")
    start, end = (_seconds(path, line, column, texts[column]) for column in ("start", "end"))
    if (start or end) and not start < end:
        raise RequestError(f"{path}:{line}: start {start:g} is not before end {end:g}")
    text = " ".join(texts["caption"].split())
    return CaptionRow(line, texts["id"], Caption(text, start=start, end=end), texts["split"])


def _seconds(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise RequestError(f"{path}:{line}: {column} takes seconds from 0 up, found '{text}'")
    return value


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
