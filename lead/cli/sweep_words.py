"""From the words of a sweep to its jobs: Hydra's grammar of several values; experiments."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from random import shuffle

from lead.cli.config import PATHS, SENTENCES, entries_of, parse
from lead.cli.paths import config_folder
from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import read_yaml
from lead.core.schema import ClosedSchema, read_file

JOBS_MOST = 1000  # of one sweep
AFTERWARDS = "evaluate."
"""Words with this prefix are for the `lead evaluate` that follows a training."""


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


def load_experiment(name: str) -> Experiment:
    """The experiment of that name; RequestError for one that there is not."""
    folder = config_folder() / "experiment"
    known = entries_of("experiment")
    if name not in known:
        raise RequestError(f"unknown experiment '{name}': {did_you_mean(name, known)}")
    file = folder / f"{name}.yaml"
    return read_file(Experiment, file, "correct it", load=read_yaml, error=RequestError)


def expand(
    verb: str, words: Sequence[str], experiment: Experiment | None, rows: Sequence[str] = ()
) -> list[Job]:
    """Every combination of the values, in the order in which they are written, rows first.

    Later words for a key replace earlier ones, those of a row come last. Raises RequestError for
    rows that the experiment does not have.
    """
    chosen = _chosen_rows(experiment, rows)
    axes: dict[str, list[tuple[str, str | None]]] = {}
    for word in [*(experiment.words if experiment else ()), *words]:
        key = word.partition("=")[0]
        axes.pop(key, None)
        axes[key] = _values(word)
    counts = [len(chosen), *map(len, axes.values())]
    _check_count(math.prod(counts), " x ".join(str(count) for count in counts if count > 1))
    jobs = []
    for row, combination in product(chosen, product(*axes.values())):
        own = dict(zip(axes, (word for word, _ in combination), strict=True))
        own |= {word.partition("=")[0]: word for word in chosen[row]}
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


def _chosen_rows(
    experiment: Experiment | None, rows: Sequence[str]
) -> dict[str | None, tuple[str, ...]]:
    known = experiment.rows if experiment else {}
    for row in rows:
        if row not in known:
            raise RequestError(f"unknown row '{row}': {did_you_mean(row, known)}")
    return {row: tuple(known[row]) for row in rows or known} or {None: ()}


def _values(word: str) -> list[tuple[str, str | None]]:
    """The words that one word stands for, each with its value; the value is None for one alone."""
    key, _, written = word.partition("=")
    if key in SENTENCES or (key in PATHS and os.path.lexists(written)):
        return [(word, None)]
    try:
        override = parse(key, written)
    except RequestError:  # text with brackets and the like: the verb says what is wrong with it
        return [(word, None)]
    if not override.is_sweep_override():
        return [(word, None)]
    if not override.is_discrete_sweep():
        raise RequestError(f"'{word}' has no end of values: list them, {key}=A,B")
    try:
        values = _several(key, override.value())
    except (ValueError, ArithmeticError):  # range(0,9,0), range(nan)
        values = []
    if not values:
        raise RequestError(f"'{word}' gives no value: list some, {key}=A,B")
    _check_count(len(values), f"the values of {key}")
    return [(f"{key}={value}", value) for value in values]


def _several(key: str, given) -> list[str]:
    """The values of a choice, a range or a glob; one more than are taken where there are more."""
    from hydra.core.override_parser.types import Glob, QuotedString, RangeSweep, Transformer

    if isinstance(given, Glob):
        return given.filter(entries_of(key))
    values = given.range() if isinstance(given, RangeSweep) else given.list
    values = [*islice(values, JOBS_MOST + 1)]
    if given.shuffle:
        shuffle(values)
    if key in PATHS:  # taken as they are, so without quotes
        return [of.text if isinstance(of, QuotedString) else str(of) for of in values]
    words = [(Transformer.str(of), isinstance(of, bool)) for of in values]
    return [word.lower() if truth else word for word, truth in words]


def _check_count(jobs: int, what: str) -> None:
    if jobs > JOBS_MOST:
        raise RequestError(f"{what} make more than {JOBS_MOST} jobs: ask for fewer at once")


def _short(key: str, others: Sequence[str]) -> str:
    """The last part of a key, where no other key ends in the same."""

    def last(name: str) -> str:
        return name.replace("/", ".").rpartition(".")[2]

    return last(key) if [last(other) for other in others].count(last(key)) == 1 else key
