"""What may be asked for, checked before any work is done; one line says what is wrong."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import plain_text
from lead.models.text_encoders.learned_words import check_spelling

TEXT_MOST = 500  # characters of a sentence
SEED_MOST = 2**53 - 1  # what JavaScript can count to
GUIDANCE = (0.0, 30.0)
STEPS_MOST = 1000
PROJECTOR = ("on", "off", "both")
MEANINGS = ("manner", "motion")


@dataclass(frozen=True)
class ClipForm:
    """One clip to generate, or two of the same latent: with the projector and without."""

    text: str
    seconds: float = 4.0
    seed: int = 1
    guidance: float = 7.5
    steps: int = 50
    projector: str = "on"
    clean_feet: bool = False
    joints: bool = False  # answer with the joints' places
    wait: bool = True  # answer when the clip is there, not when it is asked for


@dataclass(frozen=True)
class WordForm:
    """One word to learn from an uploaded BVH file."""

    word: str
    init: str
    means: str = "manner"  # a <word> person waves; or motion: a person <word>
    file: str = "upload.bvh"  # what messages call the upload; no file gets this name
    wait: bool = True


@dataclass(frozen=True)
class Limits:
    """What the loaded model can do."""

    fps: float
    frames: tuple[int, int]
    projector: bool

    @property
    def seconds(self) -> tuple[float, float]:
        """Shortest and longest clip."""
        return self.frames[0] / self.fps, self.frames[1] / self.fps


def read_json_object(body: bytes) -> dict:
    """A JSON object; RequestError for anything else, NaN and Infinity included."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON in UTF-8 ({error})") from error
    if not isinstance(value, dict):
        raise RequestError('the body must be a JSON object, such as {"text": "a person waves"}')
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def read_clip_form(values: Mapping[str, object], defaults: ClipForm, limits: Limits) -> ClipForm:
    """The form that ``values`` fill in; RequestError for what the model could not do."""
    form = ClipForm(**_filled(values, defaults))
    text = checked_text("text", form.text)
    _within("seed", form.seed, 0, SEED_MOST)
    _within("guidance", form.guidance, *GUIDANCE)
    _within("steps", form.steps, 1, STEPS_MOST)
    _one_of("projector", form.projector, PROJECTOR)
    if form.projector != "off" and not limits.projector:
        raise RequestError('the model has no projector: ask for "projector": "off"')
    low, high = limits.frames
    if not low <= form.seconds * limits.fps <= high:
        shortest, longest = limits.seconds
        raise RequestError(
            f"seconds must be from {shortest:g} to {longest:g}, as long as the model has seen "
            f"motions; got {form.seconds:g}"
        )
    return ClipForm(**{**vars(form), "text": text})


def read_word_form(values: Mapping[str, object]) -> WordForm:
    """The form that ``values`` fill in; RequestError for what could not be a word."""
    form = WordForm(**_filled(values, WordForm("", "")))
    for name, example in (("word", "<zombie>"), ("init", "walk")):
        if not getattr(form, name).strip():
            raise RequestError(f"{name} is missing: give one, such as {example}")
        checked_text(name, getattr(form, name))
    _one_of("means", form.means, MEANINGS)
    clean = {
        "word": check_spelling(form.word.strip()),
        "init": form.init.strip(),
        "file": _shown_name(form.file),
    }
    return WordForm(**{**vars(form), **clean})


def checked_text(name: str, text: str) -> str:
    """The sentence on one line; RequestError where it is empty, too long or not plain text."""
    text = " ".join(plain_text(name, text).split())
    if not text:
        raise RequestError(f"{name} is empty: give a sentence, such as a person walks forward")
    if len(text) > TEXT_MOST:
        raise RequestError(f"{name} has {len(text)} characters: {TEXT_MOST} are the most")
    if not text.isprintable():
        raise RequestError(f"{name} must be plain text without control characters")
    return text


def _filled(values: Mapping[str, object], defaults: ClipForm | WordForm) -> dict[str, object]:
    """The defaults with ``values`` over them, each of its default's type."""
    known = {entry.name: getattr(defaults, entry.name) for entry in fields(defaults)}
    for name, value in values.items():
        if name not in known:
            raise RequestError(f"unknown field '{name:.40}': {did_you_mean(name, known)}")
        fits, wanted = _KINDS[type(known[name])]
        if not fits(value):
            raise RequestError(f"{name} takes {wanted}, got {json.dumps(value):.60}")
    return known | {
        name: float(value) if isinstance(known[name], float) else value
        for name, value in values.items()
    }


def _is_number(value: object) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)


_KINDS = {
    str: (lambda value: isinstance(value, str), "a text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (lambda value: isinstance(value, int) and _is_number(value), "a whole number"),
    float: (lambda value: _is_number(value) and abs(value) < 1e9, "a number"),
}


def _within(name: str, value: float | int, low: float | int, high: float | int) -> None:
    if not low <= value <= high:
        raise RequestError(f"{name} must be from {low:g} to {high:.16g}, got {value:.16g}")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise RequestError(f"unknown {name} '{value:.40}': {did_you_mean(value, choices)}")


def _shown_name(name: str) -> str:
    """The last part of a file name, printable and short."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[-80:] or "upload.bvh"
