"""Captions put together from what is done and how: a book of phrases, and one rule of drawing."""

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, product, zip_longest
from pathlib import Path
from random import Random
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from lead.core.errors import RequestError
from lead.core.reading import read_yaml
from lead.core.schema import ClosedSchema, read_file
from lead.core.seeding import derive_seed

BANDAI_NAMCO = Path(__file__).with_name("bandai_namco.yaml")

_ROUNDS = 64  # draws per wanted caption before giving up on finding a new one
_MOST = 10_000  # readings of one entry with {several|kinds} of words
_SHORT = 4  # words; an adverb stands in front of a longer action, where it cannot be misread


_CHOICE = re.compile(r"\{([^{}]*)\}")
_FORMS = ("adverbs", "manners", "subjects", "clauses")


def _readings(entry: list[str]) -> tuple[tuple[str, ...], ...]:
    readings = tuple(tuple(_alternatives(phrase)) for phrase in entry)
    for phrase in chain.from_iterable(readings):
        if not phrase or phrase != " ".join(phrase.split()):
            raise ValueError(f"'{phrase:.40}' is no phrase: words with single spaces between them")
    return readings


def _alternatives(phrase: str) -> list[str]:
    """Every reading of ``{raises|lifts} the {hand|arm}``; ValueError for an open bracket."""
    fixed, choices = _CHOICE.split(phrase)[::2], _CHOICE.findall(phrase)
    if any(set("{|}") & set(part) for part in fixed):
        raise ValueError(f"'{phrase:.40}' has a bracket without its other half")
    words = [choice.split("|") for choice in choices]
    if math.prod(map(len, words)) > _MOST:
        raise ValueError(f"'{phrase:.40}' has more than {_MOST} readings")
    readings = product(*words)
    return [fixed[0] + "".join(map("".join, zip(r, fixed[1:], strict=True))) for r in readings]


def _together(readings: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(readings))


_Readings = Annotated[list[str], Field(min_length=1), AfterValidator(_readings)]
_Phrases = Annotated[_Readings, AfterValidator(_together)]


class Style(ClosedSchema):
    """The ways to say how something is done; each list may be empty, not all of them."""

    adverbs: _Phrases = ()  # one word, before or after the action: "sadly"
    manners: _Phrases = ()  # after the action: "with a heavy heart"
    subjects: _Phrases = ()  # in place of the person: "a sad person"
    clauses: _Phrases = ()  # after a comma: "looking downcast"
    people: _Phrases = ()  # in place of the book's people
    plain: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of captions that name no style

    @model_validator(mode="after")
    def _says_something(self) -> "Style":
        if self.plain < 1 and not self.phrases:
            raise ValueError("a style has no phrases: give some, or plain: 1")
        return self

    @property
    def phrases(self) -> tuple[str, ...]:
        """Everything that names the style."""
        return (*self.adverbs, *self.manners, *self.subjects, *self.clauses)


class PhraseBook(ClosedSchema):
    """People, contents and styles; any content goes with any style.

    A content has entries, each with all its readings.
    """

    people: _Phrases
    contents: Annotated[dict[str, _Readings], Field(min_length=1)]
    styles: Annotated[dict[str, Style], Field(min_length=1)]
    _path: Path = BANDAI_NAMCO

    def missing(self, content: str, style: str) -> str:
        """Why these two cannot be described, or an empty string."""
        for kind, name, known in (
            ("content", content, self.contents),
            ("style", style, self.styles),
        ):
            if name not in known:
                return f"no captions for {kind} '{name}': add it to {self._path}"
        return ""

    def describe(self, content: str, style: str, seed_text: str, count: int) -> tuple[str, ...]:
        """``count`` distinct sentences for one clip, the same for the same ``seed_text`` always.

        Raises RequestError for an unknown content or style, and where the book has too few
        phrases for ``count`` distinct sentences.
        """
        if reason := self.missing(content, style):
            raise RequestError(reason)
        texts: list[str] = []
        for text in self._sentences(content, self.styles[style], seed_text, count * _ROUNDS):
            if len(texts) == count:
                break
            if text not in texts:
                texts.append(text)
        if len(texts) < count:
            raise RequestError(
                f"{self._path}: {content} + {style} gives only {len(texts)} different captions, "
                f"{count} are wanted: add phrases, or ask for fewer captions"
            )
        return tuple(texts)

    def _sentences(self, content: str, style: Style, seed: str, rounds: int) -> Iterator[str]:
        """A row of sentences, some alike, that goes through all entries and forms in turn."""
        actions = _in_turn(self.contents[content], seed)
        people = style.people or self.people
        names_style = [form for form in _FORMS if getattr(style, form)]
        forms = _shuffled(names_style, seed, "form")
        for turn in range(rounds):
            action = actions[turn % len(actions)]
            person = _draw(people, seed, "person", turn)
            if not forms or derive_seed(0, seed, "plain", turn) < style.plain * 2.0**63:
                yield f"{person} {action}."
                continue
            form = forms[(turn + turn // len(actions)) % len(forms)]
            place = derive_seed(0, seed, "place", turn) % 2
            options = [text for text in getattr(style, form) if _fits(text, action, form)]
            if options:
                yield _compose(form, person, action, _draw(options, seed, form, turn), place)


@lru_cache(maxsize=8)
def read_phrase_book(path: Path = BANDAI_NAMCO) -> PhraseBook:
    """Read a phrase book (YAML). Raises RequestError naming file and entry where it is wrong."""
    book = read_file(PhraseBook, path, "correct it", load=read_yaml, error=RequestError)
    book._path = path
    return book


def _compose(form: str, person: str, action: str, phrase: str, place: int) -> str:
    if form == "subjects":
        return f"{phrase} {action}."
    if form == "clauses":
        return f"{person} {action}, {phrase}."
    if form == "adverbs" and (place == 0 or len(action.split()) > _SHORT):
        is_doing = action.startswith("is ")
        rest = action.removeprefix("is ")
        return f"{person} is {phrase} {rest}." if is_doing else f"{person} {phrase} {action}."
    return f"{person} {action} {phrase}."


def _fits(phrase: str, action: str, form: str) -> bool:
    """Two phrases that hang on the same preposition in a row read badly: "with ... with ..."."""
    return form != "manners" or phrase.split()[0] not in action.split()


def _draw(options: Sequence[str], *purpose: object) -> str:
    return options[derive_seed(0, *purpose) % len(options)]


def _in_turn(entries: Sequence[Sequence[str]], seed: str) -> list[str]:
    """All readings: one of each entry, then a second of each that has one, and so on."""
    order = Random(derive_seed(0, seed, "action"))
    shuffled = [order.sample(entry, len(entry)) for entry in entries]
    order.shuffle(shuffled)
    return [reading for round_ in zip_longest(*shuffled) for reading in round_ if reading]


def _shuffled(options: Sequence[str], *purpose: object) -> list[str]:
    return sorted(options, key=lambda option: derive_seed(0, *purpose, option))
