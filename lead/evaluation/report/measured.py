"""What `lead evaluate` wrote about runs, checked and brought together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lead.core.errors import RequestError, WorkError
from lead.core.reading import read_json
from lead.evaluation.estimate import Estimate
from lead.evaluation.physical import COLUMNS as PHYSICAL
from lead.evaluation.protocol import COLUMNS
from lead.evaluation.report.content import MEASURED, Row, Value

FREE = ("replications", "confidence", "published", "datasets", "split")
"""Values of a protocol that two runs in one table may differ in; split is compared apart."""


@dataclass(frozen=True)
class Measured:
    """Rows of one judge, data set and protocol, and the gate's line about them."""

    dataset: str
    split: str
    clips: int
    judge: str
    fingerprint: str
    protocol: str
    headlines: tuple[str, ...]  # one of each run
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class _Record:
    """One metrics.json."""

    path: Path
    found: dict

    @property
    def judge(self) -> str:
        evaluator = self.found["evaluator"]
        return f"{evaluator['name']} {evaluator['fingerprint'][:12]}"

    @property
    def data(self) -> str:
        found = self.found
        return f"{found['dataset']} {found['data_hash'][:12]}"


def read_runs(paths: Sequence[str | Path]) -> Measured:
    """The rows of metrics.json files, named themselves or by their run directory.

    Raises RequestError for a file without a protocol, and for two files whose judge, data, clips
    or protocol differ: such numbers do not compare. Rows of real motions and of reconstructions
    that a later run merely repeats come once.
    """
    if not paths:
        raise RequestError("no runs were named: there is nothing measured to report")
    records = [_read(Path(path)) for path in paths]
    for other in records[1:]:
        _agree(records[0], other)
    sources = _sources([record.path for record in records])
    rows: list[Row] = []
    for record, source in zip(records, sources, strict=True):
        rows.extend(row for row in _rows(record, source) if not _repeats(row, rows))
    first = records[0].found
    return Measured(
        *(first["dataset"], first["split"], first["clips"]),
        *(first["evaluator"]["name"], first["evaluator"]["fingerprint"]),
        first["protocol"]["name"],
        tuple(record.found["headline"] for record in records),
        tuple(rows),
    )


def _read(path: Path) -> _Record:
    if path.is_dir():
        path = path / "metrics.json"
    found = read_json(path)
    needed = {
        **{"evaluator": Mapping, "protocol": Mapping, "rows": Mapping, "headline": str},
        **{"dataset": str, "split": str, "clips": int, "data_hash": str},
    }
    evaluator = found.get("evaluator")
    words = [evaluator.get(key) for key in ("name", "fingerprint")] if evaluator else [None]
    fits = all(isinstance(found.get(key), kind) for key, kind in needed.items())
    rows = found["rows"].values() if fits else ()
    fits = fits and all(_is_row(row) for row in rows)
    if not fits or not all(isinstance(word, str) and word for word in words):
        raise RequestError(
            f"{path} holds no table of a protocol: measure the run with `lead evaluate run=RUN "
            "protocol=open|t2m evaluator=E`"
        )
    return _Record(path, found)


def _agree(one: _Record, other: _Record) -> None:
    """RequestError where the numbers of two files do not compare."""
    first, second = one.found, other.found
    apart = "they cannot stand in one table, report them one by one"
    if first["evaluator"]["fingerprint"] != second["evaluator"]["fingerprint"]:
        raise RequestError(
            f"{one.path} was judged by {one.judge}, {other.path} by {other.judge}: {apart}"
        )
    if first["data_hash"] != second["data_hash"]:
        raise RequestError(
            f"{one.path} is of data {one.data}, {other.path} of {other.data}: {apart}"
        )
    terms = [_terms(record.found) for record in (one, other)]
    for key in (*terms[0], *terms[1]):
        here, there = (term.get(key) for term in terms)
        if here != there:
            raise RequestError(
                f"{one.path} has {key} {here}, {other.path} has {key} {there}: {apart}"
            )


def _terms(found: dict) -> dict[str, object]:
    """What else has to be the same for two tables to compare."""
    protocol = {
        f"protocol.{key}": value for key, value in found["protocol"].items() if key not in FREE
    }
    return {"split": found["split"], "clips": found["clips"], **protocol}


def _sources(paths: Sequence[Path]) -> list[str]:
    """A short name for each file: its folder's, or the whole path where that is not enough."""
    shorts = [
        path.resolve().parent.name if path.name == "metrics.json" else path.stem for path in paths
    ]
    return [
        short if shorts.count(short) == 1 else str(path)
        for short, path in zip(shorts, paths, strict=True)
    ]


def _rows(record: _Record, source: str) -> list[Row]:
    evaluator = record.found["evaluator"]
    origin = {"origin": MEASURED, "source": source, "judge": evaluator["name"]}
    return [
        Row(
            name,
            _values(record.path, name, row),
            {},
            **origin,
            fingerprint=evaluator["fingerprint"],
        )
        for name, row in record.found["rows"].items()
    ]


def _values(path: Path, name: str, row: Mapping) -> dict[str, Value]:
    values = {}
    for column in (*COLUMNS, *PHYSICAL):
        cell = row.get(column.key)
        if cell is None:
            continue
        mean, margin = cell.get("mean"), cell.get("margin")
        if not _is_number(mean) or not (margin is None or _is_number(margin)):
            raise WorkError(
                f"{path}: row '{name}' has no number in '{column.key}': measure the run again"
            )
        shown = column.show(Estimate(mean, margin, 0)).partition(" ± ")
        values[column.key] = Value(mean, margin, shown[0], shown[2])
    return values


def _is_row(row: object) -> bool:
    return isinstance(row, Mapping) and all(isinstance(cell, Mapping) for cell in row.values())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _repeats(row: Row, rows: Sequence[Row]) -> bool:
    return not row.competes and any(
        (row.name, row.values) == (other.name, other.values) for other in rows
    )
