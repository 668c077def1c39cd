"""What `lead evaluate` wrote about runs, checked and brought together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, create_model

from lead.core.errors import RequestError, plain
from lead.core.schema import Count, Finite, Name, Schema, read_file, shown
from lead.evaluation.estimate import Estimate
from lead.evaluation.report.content import MEASURED, SHOWN, Row, values_of

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


class _Cell(Schema):
    mean: Finite
    margin: Finite | None = None
    count: Count = 0


_Row = create_model(
    "_Row",
    __base__=Schema,
    **{column.key: (_Cell | None, None) for column in SHOWN},
)
"""What a report shows of a row; other measures are passed over."""


class Measures(Schema):
    """Any metrics.json with a table."""

    protocol: object = None
    rows: dict[str, _Row]

    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """The measures of each row by their keys."""
        return {
            name: {key: Estimate(**dict(cell)) for key, cell in row if cell is not None}
            for name, row in self.rows.items()
        }


class _Protocol(Schema):
    model_config = ConfigDict(extra="allow")

    name: Name


class _Evaluator(Schema):
    name: Name
    fingerprint: Name


class _Record(Measures):
    """A metrics.json with a table of a protocol."""

    headline: str
    protocol: _Protocol
    evaluator: _Evaluator
    dataset: Name
    split: Name
    clips: Count
    data_hash: Name

    @property
    def judge(self) -> str:
        return f"{self.evaluator.name} {self.evaluator.fingerprint[:12]}"

    @property
    def data(self) -> str:
        return f"{self.dataset} {self.data_hash[:12]}"


def read_runs(paths: Sequence[str | Path]) -> Measured:
    """The rows of metrics.json files, named themselves or by their run directory.

    Raises RequestError for a file without a protocol, and for two files whose judge, data, clips
    or protocol differ: such numbers do not compare. Rows of real motions and of reconstructions
    that a later run merely repeats come once.
    """
    if not paths:
        raise RequestError("no runs were named: there is nothing measured to report")
    files = [path / "metrics.json" if path.is_dir() else path for path in map(Path, paths)]
    records = [_read(path) for path in files]
    for path, other in zip(files[1:], records[1:], strict=True):
        _agree(files[0], records[0], path, other)
    rows: list[Row] = []
    for record, source in zip(records, _sources(files), strict=True):
        rows.extend(row for row in _rows(record, source) if not _repeats(row, rows))
    first = records[0]
    return Measured(
        *(first.dataset, first.split, first.clips),
        *(first.evaluator.name, first.evaluator.fingerprint, first.protocol.name),
        tuple(record.headline for record in records),
        tuple(rows),
    )


def _read(path: Path) -> _Record:
    advice = "measure the run with `lead evaluate run=RUN protocol=open|t2m evaluator=E`"
    return read_file(_Record, path, advice, error=RequestError)


def _agree(path: Path, first: _Record, other_path: Path, second: _Record) -> None:
    """RequestError where the numbers of two files do not compare."""
    apart = "they cannot stand in one table, report them one by one"
    if first.evaluator.fingerprint != second.evaluator.fingerprint:
        raise RequestError(
            f"{path} was judged by {first.judge}, {other_path} by {second.judge}: {apart}"
        )
    if first.data_hash != second.data_hash:
        raise RequestError(
            f"{path} is of data {first.data}, {other_path} of {second.data}: {apart}"
        )
    terms = [_terms(record) for record in (first, second)]
    for key in (*terms[0], *terms[1]):
        here, there = (term.get(key) for term in terms)
        if here != there:
            raise RequestError(
                f"{path} has {key:.60} {shown(here)}, {other_path} has {key:.60} {shown(there)}: "
                f"{apart}"
            )


def _terms(found: _Record) -> dict[str, object]:
    """What else has to be the same for two tables to compare."""
    protocol = {f"protocol.{key}": value for key, value in found.protocol if key not in FREE}
    return {"split": found.split, "clips": found.clips, **protocol}


def _sources(paths: Sequence[Path]) -> list[str]:
    """A short name for each file: its folder's, or the whole path where that is not enough."""
    shorts = [
        path.resolve().parent.name if path.name == "metrics.json" else path.stem for path in paths
    ]
    return [
        plain(short if shorts.count(short) == 1 else path)
        for short, path in zip(shorts, paths, strict=True)
    ]


def _rows(record: _Record, source: str) -> list[Row]:
    origin = {"origin": MEASURED, "source": source, "judge": record.evaluator.name}
    return [
        Row(name, values_of(row, SHOWN), {}, **origin, fingerprint=record.evaluator.fingerprint)
        for name, row in record.estimates().items()
    ]


def _repeats(row: Row, rows: Sequence[Row]) -> bool:
    return not row.competes and any(
        (row.name, row.values) == (other.name, other.values) for other in rows
    )
