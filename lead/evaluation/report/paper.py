"""The published tables, as printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from lead.core.errors import RequestError, did_you_mean
from lead.evaluation.report.content import PAPER, Row, Table, Value, find_columns

FOLDER = Path(__file__).parent / "tables"
ABSENT = "n/a"
FILES = {path.stem.removeprefix("lead_"): path for path in sorted(FOLDER.glob("*.yaml"))}
TABLES = (*FILES,)
"""Names of the tables: 1 to 6 of the LEAD paper, and others by a word, such as mote_humanml3d."""


@dataclass(frozen=True)
class PaperTable:
    """A published table and what its numbers were measured on.

    ``subset`` says which part of the data set, where it was not a whole split.
    """

    name: str
    called: str  # where its numbers come from, in short
    dataset: str
    judge: str
    subset: str
    keys: tuple[str, ...]  # of its columns
    table: Table


@cache
def load_table(name: str) -> PaperTable:
    """A table by its name; RequestError for one that there is not."""
    if name not in TABLES:
        raise RequestError(f"unknown table '{name}': {did_you_mean(name, (*TABLES, 'none'))}")
    text = FILES[name].read_text(encoding="utf-8")
    found = yaml.load(text, Loader=yaml.BaseLoader)  # words only: as numbers 0.310 became 0.31
    keys, labels = found["columns"], found["labels"]
    called = found.get("called", f"LEAD table {name}")
    origin = {"origin": PAPER, "source": called, "judge": found["judge"]}
    rows = tuple(_row(cells, labels, keys, origin) for cells in found["rows"])
    table = Table(
        f"{found['title']} ({found['source']})", rows, find_columns(keys), (*found["notes"],)
    )
    return PaperTable(
        *(name, called, found["dataset"], found["judge"]),
        *(found.get("subset", ""), (*keys,), table),
    )


def _row(cells: Sequence[str], labels: Sequence[str], keys: Sequence[str], origin: dict) -> Row:
    name, words, numbers = cells[0], cells[1 : 1 + len(labels)], cells[1 + len(labels) :]
    values = {key: _value(cell) for key, cell in zip(keys, numbers, strict=True) if cell != ABSENT}
    shown = {key: word for key, word in zip(labels, words, strict=True) if word}
    return Row(name, values, shown, **origin)


def _value(cell: str) -> Value:
    mean, _, margin = cell.partition("±")
    if not margin:
        return Value(float(mean), None, mean)
    return Value(float(mean), float(margin), mean, f"0{margin}" if margin[0] == "." else margin)
