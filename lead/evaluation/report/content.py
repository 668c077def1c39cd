"""What a table of a report holds, whoever measured it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lead.core.errors import RequestError, did_you_mean
from lead.evaluation import caption_judging, physical, protocol
from lead.evaluation.estimate import Estimate
from lead.evaluation.table import Column

PAPER, MEASURED = "paper", "measured"


SHOWN = (
    *(*protocol.COLUMNS, *protocol.SINKS),
    *(*physical.COLUMNS, *caption_judging.COLUMNS),
)
"""Every measure that a report knows."""


@dataclass(frozen=True)
class Value:
    """A number with the margin of its interval, and both as they are to be read."""

    mean: float
    margin: float | None
    mean_text: str
    margin_text: str = ""

    @classmethod
    def of(cls, found: Estimate, column: Column) -> "Value":
        """An estimate as its column shows it."""
        mean, _, margin = column.show(found).partition(" ± ")
        return cls(found.mean, found.margin, mean, margin)

    @property
    def text(self) -> str:
        """``mean ± margin``, or the mean alone."""
        return f"{self.mean_text} ± {self.margin_text}" if self.margin_text else self.mean_text


def values_of(row: Mapping[str, Estimate], columns: Sequence[Column]) -> dict[str, Value]:
    """The estimates of a row that have a column."""
    return {c.key: Value.of(row[c.key], c) for c in columns if c.key in row}


@dataclass(frozen=True)
class Row:
    """One line: its name, the measures it has by key, and where they come from.

    ``labels`` are words between name and numbers, such as a number of steps. ``origin`` is paper
    or measured, ``source`` the published table or the run, ``judge`` the evaluator behind it.
    """

    name: str
    values: dict[str, Value]
    labels: dict[str, str]
    origin: str
    source: str
    judge: str
    fingerprint: str = ""

    @property
    def is_real(self) -> bool:
        """Whether this is the row of real motions."""
        return self.name.casefold() == "real"

    @property
    def competes(self) -> bool:
        """Whether it may be the best: real motions and reconstructions are only for scale."""
        return not self.is_real and "reconstruction" not in self.name

    @property
    def full_name(self) -> str:
        """Name with its labels, for places without columns: ``MTI_mld, project``."""
        words = [key if word == "✓" else f"{key} {word}" for key, word in self.labels.items()]
        return ", ".join([self.name, *words])

    @property
    def judged_by(self) -> str:
        """The judge, with the first letters of its hash where we ran it ourselves."""
        return f"{self.judge} {self.fingerprint[:12]}".strip()


@dataclass(frozen=True)
class Table:
    """Rows of one judge on one set of data, with the columns to show."""

    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """Titles of the label columns that a row has, in the order of appearance."""
        return list(dict.fromkeys(key for row in self.rows for key in row.labels))

    def best(self, column: Column) -> float | None:
        """The best mean among the competing rows; None for a column without a direction.

        Where better is ``real``, the mean closest to that of the first row of real motions.
        """
        key = column.key
        means = [row.values[key].mean for row in self.rows if row.competes and key in row.values]
        if not means or column.better is None:
            return None
        if column.better != "real":
            return min(means) if column.better == "lower" else max(means)
        real = [row.values[key].mean for row in self.rows if row.is_real and key in row.values]
        return min(means, key=lambda mean: abs(mean - real[0])) if real else None


def find_columns(keys: Sequence[str]) -> tuple[Column, ...]:
    """Columns by their keys, whatever lead measures of motions; RequestError if unknown.

    Without keys, the columns of the protocol.
    """
    known = {column.key: column for column in SHOWN}
    for key in keys:
        if key not in known:
            raise RequestError(f"unknown column '{key}': {did_you_mean(key, known)}")
    return tuple(known[key] for key in keys) if keys else protocol.COLUMNS
