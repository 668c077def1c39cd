"""Sentences about single windows of trials, written for lead from pictures of the motion.

A trial's line ("playground - climb") is about all its windows, and often not in words that people
use. Each window of the train split has three sentences more: what is done in just that window,
short, longer and in detail. ``window_sentences.json`` holds them by the window's id, with its
frames at 20 fps; they are lead's own, under its licence. No window of a test trial has any.
"""

from functools import cache
from pathlib import Path

from lead.core.schema import Name, Schema, Sentence, read_file

FILE = Path(__file__).with_name("window_sentences.json")
_MAY_DIFFER = 2  # frames: the forms of a trial begin and end by one frame apart


class _Window(Schema):
    frames: Name
    sentences: list[Sentence]


class _File(Schema):
    windows: dict[str, _Window]


def sentences_about(window: str, start: int, end: int) -> tuple[str, ...]:
    """Lead's sentences about a window; none where the trial is cut in another way."""
    known = _windows().get(window)
    if known is None:
        return ()
    frames = map(int, known.frames.split("-"))
    near = all(abs(a - b) <= _MAY_DIFFER for a, b in zip(frames, (start, end), strict=True))
    return tuple(known.sentences) if near else ()


@cache
def _windows() -> dict[str, _Window]:
    return read_file(_File, FILE, "install lead again").windows
