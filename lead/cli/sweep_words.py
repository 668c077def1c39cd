"""From the words of a sweep to its jobs: Hydra's grammar of several values; experiments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from lead.cli.config import PATHS, SENTENCES
from lead.cli.paths import config_folder
from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import read_yaml
from lead.core.schema import ClosedSchema, read_file

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
    known = [path.stem for path in folder.glob("*.yaml")]
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
    if key in SENTENCES or (key in PATHS and Path(written).exists()):
        return [(word, None)]
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException:  # text with brackets and the like: the verb says what is wrong with it
        return [(word, None)]
    if not override.is_sweep_override():
        return [(word, None)]
    values = [*_several(key, override)]
    return [(f"{key}={value}", value) for value in values]


def _several(key: str, override) -> Iterator[str]:
    from hydra.core.override_parser.types import Glob, QuotedString, Transformer

    if isinstance(override.value(), Glob):
        names = sorted(path.stem for path in (config_folder() / key).glob("*.yaml"))
        yield from override.value().filter(names)
        return
    if not override.is_discrete_sweep():
        raise RequestError(f"'{override.input_line}' has no end of values: list them, {key}=A,B")
    for value in override.sweep_iterator(Transformer.identity):
        if key in PATHS:  # taken as they are, so without quotes
            yield value.text if isinstance(value, QuotedString) else str(value)
        else:
            word = Transformer.str(value)
            yield word.lower() if isinstance(value, bool) else word


def _short(key: str, others: Sequence[str]) -> str:
    """The last part of a key, where no other key ends in the same."""

    def last(name: str) -> str:
        return name.replace("/", ".").rpartition(".")[2]

    return last(key) if [last(other) for other in others].count(last(key)) == 1 else key
