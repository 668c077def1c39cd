"""From the words of a sweep to its jobs: Hydra's grammar of several values; experiments."""

import os
from collections.abc import Sequence
from itertools import islice
from random import shuffle

from lead.cli.config import PATHS, SENTENCES, entries_of, parse
from lead.cli.paths import config_folder
from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import read_yaml
from lead.core.schema import read_file
from lead.sweeps.expanding import (
    JOBS_MOST,
    Experiment,
    Job,
    Values,
    check_count,
    chosen_rows,
    combine,
)


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
    chosen = chosen_rows(experiment, rows)
    axes: dict[str, Values] = {}
    for word in [*(experiment.words if experiment else ()), *words]:
        key = word.partition("=")[0]
        axes.pop(key, None)
        axes[key] = _values(word)
    return combine(verb, axes, chosen)


def _values(word: str) -> Values:
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
    check_count(len(values), f"the values of {key}")
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
