"""The measures of the jobs of a sweep in one table, and their means over training seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lead.evaluation import protocol
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.report.content import MEASURED, Row, Table, Value, find_columns, values_of
from lead.evaluation.report.measured import read_runs
from lead.evaluation.table import Column

SEED = "seed"
COLUMNS = (
    *(column.key for column in protocol.COLUMNS),
    "foot_skating_ratio",
    "jitter",
    "sink_ratio",
)
PROJECTORS = {"generated": "LEAD", "reconstruction": "projector"}
"""What a row of each kind calls the projector of the run that was named first."""


@dataclass(frozen=True)
class Labelled:
    """A metrics.json with the labels of its job.

    Where it has rows of more projector runs, ``of_runs`` holds the labels of each by its name.
    """

    path: Path
    labels: Mapping[str, str]
    of_runs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def sweep_tables(measured: Sequence[Labelled]) -> list[Table]:
    """The rows of all jobs with their labels; then means over seeds, where there are several.

    The margin of such a mean is that over seeds, 1.96 s / sqrt(n). Raises RequestError where the
    files do not compare.
    """
    together = read_runs([one.path for one in measured])  # refuses what does not compare
    placed = [_placed(row, one) for one in measured for row in read_runs([one.path]).rows]
    rows = [row for place, row in enumerate(placed) if row.competes or row not in placed[:place]]
    title = (
        f"{together.dataset} {together.split}, {together.clips} clips, protocol {together.protocol}"
    )
    notes = tuple(dict.fromkeys(together.headlines))
    return with_means(title, rows, find_columns(COLUMNS), notes)


def with_means(
    title: str, rows: Sequence[Row], columns: tuple[Column, ...], notes: tuple[str, ...] = ()
) -> list[Table]:
    """A table of labelled rows; then one of means over seeds, where there are several of a row."""
    tables = [Table(title, tuple(rows), columns, notes)]
    means = _over_seeds(rows, columns)
    if means:
        note = "margins: 95 % over training seeds, 1.96 s / sqrt(n)"
        real = tuple(row for row in rows if row.is_real)
        tables.append(Table(f"{title}, means over seeds", real + means, columns, (*notes, note)))
    return tables


def labelled(
    name: str,
    estimates: Mapping[str, Estimate],
    columns: Sequence[Column],
    labels: Mapping[str, str],
    source: str,
) -> Row:
    """A row of measures that no judge made, with the labels of its job."""
    return Row(name, values_of(estimates, columns), dict(labels), MEASURED, source, judge="")


def _placed(row: Row, one: Labelled) -> Row:
    """A row with the labels of its job; one that owes nothing to a job's options has none."""
    kind = "reconstruction" if "reconstruction" in row.name else "generated"
    for run, labels in one.of_runs.items():
        if run in row.name:
            name = row.name.replace(run, PROJECTORS[kind])
            return replace(row, name=name, labels=dict(labels))
    fixed = row.is_real or row.name == "VAE reconstruction"
    if fixed or (one.of_runs and PROJECTORS[kind] not in row.name):
        return replace(row, source="")
    return replace(row, labels=dict(one.labels))


def _over_seeds(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Row, ...]:
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        if SEED in row.labels:
            others = tuple((key, word) for key, word in row.labels.items() if key != SEED)
            groups.setdefault((row.name, others), []).append(row)
    return tuple(
        replace(
            group[0],
            values=_mean_values(group, columns),
            labels={**dict(others), "seeds": str(len(group))},
            source="",
        )
        for (_, others), group in groups.items()
        if len(group) > 1
    )


def _mean_values(group: Sequence[Row], columns: Sequence[Column]) -> dict[str, Value]:
    """Mean of each measure that all rows have."""
    shared = set.intersection(*({*row.values} for row in group))
    means = {key: estimate([row.values[key].mean for row in group]) for key in shared}
    return values_of(means, columns)
