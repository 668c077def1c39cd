"""The jobs of a sweep: every combination of the values that its words give, and experiments."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from lead.core.errors import RequestError, did_you_mean
from lead.core.schema import ClosedSchema

JOBS_MOST = 1000  # of one sweep
AFTERWARDS = "evaluate."
"""Words with this prefix are for the `lead evaluate` that follows a training."""

Values = Sequence[tuple[str, str | None]]
"""The words that one word stands for, each with its value; the value is None for one alone."""


@dataclass(frozen=True)
class Job:
    """One command of a sweep: a verb with its words, and those that measure what it trained.

    ``labels`` say how it differs from the others.
    """

    verb: str
    words: tuple[str, ...]
    measure: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


class Experiment(ClosedSchema):
    """A file of configs/experiment: words of every job, and named rows with words of their own."""

    verb: str
    words: list[str] = []
    rows: dict[str, list[str]] = {}
    measure: str | None = None


def combine(
    verb: str, axes: Mapping[str, Values], rows: Mapping[str | None, Sequence[str]]
) -> list[Job]:
    """Every combination of the values of ``axes``, rows first; the words of a row replace them."""
    counts = [len(rows), *map(len, axes.values())]
    check_count(math.prod(counts), " x ".join(str(count) for count in counts if count > 1))
    jobs = []
    for row, combination in product(rows, product(*axes.values())):
        own = dict(zip(axes, (word for word, _ in combination), strict=True))
        own |= {word.partition("=")[0]: word for word in rows[row]}
        labels = {"row": row} if row else {}
        for key, (_, value) in zip(axes, combination, strict=True):
            if value is not None:
                labels[_short(key, [key for key in axes if len(axes[key]) > 1])] = value
        measure = [key for key in own if key.startswith(AFTERWARDS)]
        jobs.append(
            Job(
                verb,
                tuple(word for key, word in own.items() if key not in measure),
                tuple(own[key].removeprefix(AFTERWARDS) for key in measure),
                labels,
            )
        )
    return jobs


def chosen_rows(
    experiment: Experiment | None, rows: Sequence[str]
) -> dict[str | None, tuple[str, ...]]:
    """Words of the rows, of all where none is named; RequestError for one that there is not."""
    known = experiment.rows if experiment else {}
    for row in rows:
        if row not in known:
            raise RequestError(f"unknown row '{row}': {did_you_mean(row, known)}")
    return {row: tuple(known[row]) for row in rows or known} or {None: ()}


def check_count(jobs: int, what: str) -> None:
    """RequestError for more jobs than a sweep takes."""
    if jobs > JOBS_MOST:
        raise RequestError(f"{what} make more than {JOBS_MOST} jobs: ask for fewer at once")


def _short(key: str, others: Sequence[str]) -> str:
    """The last part of a key, where no other key ends in the same."""

    def last(name: str) -> str:
        return name.replace("/", ".").rpartition(".")[2]

    return last(key) if [last(other) for other in others].count(last(key)) == 1 else key
