"""A user study's answers: read, unblinded by the key, and summed up with intervals."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from lead.core.errors import RequestError, WorkError
from lead.core.files import atomic_path
from lead.core.schema import Name, Schema, Sentence, read_file
from lead.core.seeding import derive_seed

SCHEMA = 1
QUESTIONS = ("realism", "relevance")
SCALE = (1, 2, 3, 4, 5)
SIDES = ("left", "right")
DRAWS = 2000  # of the bootstrap
PERCENTILES = (2.5, 97.5)


class _Pair(Schema):
    """A comparison, and which system is on which side."""

    pair: Name
    text: Sentence
    left: Name
    right: Name


class _Key(Schema):
    """``key.json``: what a study's page does not show."""

    layout: Literal[SCHEMA] = Field(alias="schema")
    study: Name
    systems: Annotated[list[Name], Field(min_length=2, max_length=2)]
    choice: Annotated[str, Field(max_length=1000)]
    pairs: Annotated[list[_Pair], Field(min_length=1)]

    @model_validator(mode="after")
    def _names(self) -> "_Key":
        if any({pair.left, pair.right} != {*self.systems} for pair in self.pairs):
            raise ValueError("a pair compares other systems than the study")
        if len({pair.pair for pair in self.pairs}) < len(self.pairs):
            raise ValueError("two pairs have the same name")
        return self


_Rating = Annotated[int, Field(ge=SCALE[0], le=SCALE[-1])]


class _Side(Schema):
    """What a participant said of one side; None where the question was left open."""

    realism: _Rating | None = None
    relevance: _Rating | None = None


class _Answer(Schema):
    """Ratings of both sides of a pair."""

    pair: str
    left: _Side | None = None
    right: _Side | None = None


class _File(Schema):
    """What a participant sent back."""

    layout: Literal[SCHEMA] = Field(alias="schema")
    study: str
    participant: Annotated[str, Field(max_length=200)]
    exported: str = ""
    answers: list[_Answer]


@dataclass(frozen=True)
class Answers:
    """All ratings of a study.

    ``ratings`` is (questions, participants, pairs, systems), NaN where nothing was answered.
    ``on_left`` is (pairs, systems): whether a system was on the left.
    """

    systems: tuple[str, str]
    choice: str  # how the clips were chosen
    pairs: tuple[str, ...]
    texts: tuple[str, ...]
    on_left: np.ndarray
    participants: tuple[str, ...]
    ratings: np.ndarray

    @property
    def unfinished(self) -> int:
        """How many participants left something open."""
        return int(np.isnan(self.ratings).any(axis=(0, 2, 3)).sum())


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap interval, over participants and pairs."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcome:
    """What one question says: a mean for each system, and the second minus the first.

    ``preferred`` counts the comparisons in which the first got more, both the same, the second
    more.
    """

    question: str
    systems: tuple[Interval, Interval]
    difference: Interval
    preferred: tuple[int, int, int]


def read_answers(key: Path, answers: Sequence[Path]) -> Answers:
    """Ratings of all answer files (or folders of them), unblinded by a study's ``key.json``.

    Of several files of one participant the last one saved counts. Raises RequestError for files
    that are missing or of another study, WorkError for what is no answer.
    """
    study = read_file(_Key, key, "give the key.json that was written with the study's page")
    saved: dict[str, tuple[Path, _File]] = {}
    for path in _files(answers):
        found = read_file(_File, path, "give the files that participants saved")
        if found.study != study.study:
            raise RequestError(
                f"{path} answers study {found.study:.40}, {key} is of {study.study:.40}: "
                "give the key that was written with its page"
            )
        earlier = saved.get(found.participant)
        if earlier is None or found.exported >= earlier[1].exported:
            saved[found.participant] = (path, found)
    pairs = study.pairs
    ratings = np.full((len(QUESTIONS), len(saved), len(pairs), 2), np.nan)
    for row, (path, found) in enumerate(saved.values()):
        _fill(ratings[:, row], path, found.answers, study)
    left = [[pair.left == system for system in study.systems] for pair in pairs]
    return Answers(
        *((study.systems[0], study.systems[1]), study.choice),
        *(tuple(pair.pair for pair in pairs), tuple(pair.text for pair in pairs)),
        *(np.array(left), tuple(saved), ratings),
    )


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not inside:
            raise RequestError(f"{path} holds no answers (*.json)")
        found.extend(inside)
    return found


def _fill(ratings: np.ndarray, path: Path, answers: Sequence[_Answer], study: _Key) -> None:
    """Write one participant's answers into (questions, pairs, systems)."""
    places = {pair.pair: place for place, pair in enumerate(study.pairs)}
    for answer in answers:
        place = places.get(answer.pair)
        if place is None:
            raise WorkError(f"{path} has an answer to no pair of the study: leave the file out")
        for side in SIDES:
            system = study.systems.index(getattr(study.pairs[place], side))
            given = getattr(answer, side) or _Side()
            for row, question in enumerate(QUESTIONS):
                value = getattr(given, question)
                if value is not None:
                    ratings[row, place, system] = value


def summarise(answers: Answers, seed: int) -> list[Outcome]:
    """One outcome a question; a question that nobody answered is left out, all is a RequestError.

    Intervals are percentiles of means over participants and pairs drawn anew with replacement, both
    at once (Owen 2007), so that they hold for other people and other clips; they lean to the wide
    side.
    """
    outcomes = []
    for question, ratings in zip(QUESTIONS, answers.ratings, strict=True):
        if not (~np.isnan(ratings)).any(axis=(0, 1)).all():
            continue
        rng = np.random.default_rng(derive_seed(seed, "study", question))
        apart = ratings[..., 1] - ratings[..., 0]
        both = apart[~np.isnan(apart)]
        outcomes.append(
            Outcome(
                question,
                (_interval(ratings[..., 0], rng), _interval(ratings[..., 1], rng)),
                _interval(apart, rng),
                (int((both < 0).sum()), int((both == 0).sum()), int((both > 0).sum())),
            )
        )
    if not outcomes:
        raise RequestError("the answers hold no rating of both systems yet: collect some more")
    return outcomes


def _interval(values: np.ndarray, rng: np.random.Generator) -> Interval:
    """Mean of (participants, pairs), NaN left out, with its bootstrap interval."""
    there = ~np.isnan(values)
    if not there.any():
        return Interval(np.nan, np.nan, np.nan)
    filled = np.where(there, values, 0.0)
    people, pairs = values.shape
    weights = rng.multinomial(people, np.full(people, 1 / people), DRAWS).astype(float)
    columns = rng.multinomial(pairs, np.full(pairs, 1 / pairs), DRAWS).astype(float)
    sums = ((weights @ filled) * columns).sum(axis=1)
    counts = ((weights @ there) * columns).sum(axis=1)
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.percentile(means, PERCENTILES)
    return Interval(float(values[there].mean()), float(low), float(high))


def markdown_summary(answers: Answers, outcomes: Sequence[Outcome]) -> str:
    """The outcome as a table with what has to be known to read it."""
    first, second = answers.systems
    lines = [
        f"# {second} against {first}",
        "",
        f"{len(answers.participants)} participants ({answers.unfinished} left something open), "
        f"{len(answers.pairs)} pairs. {answers.choice}",
        "",
        "Ratings from 1 to 5, higher is better; 95 % bootstrap intervals over participants and "
        "pairs. The last columns count comparisons.",
        "",
        f"| | {first} | {second} | difference | first better | equal | second better |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for outcome in outcomes:
        cells = [_shown(interval) for interval in (*outcome.systems, outcome.difference)]
        counts = " | ".join(map(str, outcome.preferred))
        lines.append(f"| {outcome.question} | {' | '.join(cells)} | {counts} |")
    return "\n".join(lines) + "\n"


def _shown(interval: Interval) -> str:
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def write_ratings(path: Path, answers: Answers) -> None:
    """Every rating as a line of CSV, for other statistics."""
    columns = ("participant", "pair", "text", "system", "side", *QUESTIONS)
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        for person, participant in enumerate(answers.participants):
            for place, (pair, text) in enumerate(zip(answers.pairs, answers.texts, strict=True)):
                for number, system in enumerate(answers.systems):
                    given = answers.ratings[:, person, place, number]
                    if np.isnan(given).all():
                        continue
                    side = SIDES[0] if answers.on_left[place, number] else SIDES[1]
                    shown = ["" if np.isnan(value) else int(value) for value in given]
                    rows.writerow([participant, pair, text, system, side, *shown])
