"""Learned words in sentences: how they are spelled, and where they stand."""

import re
from collections.abc import Iterable

from lead.core.errors import RequestError

_SPELLING = re.compile(r"<[A-Za-z][\w-]*>")


def check_spelling(word: str) -> str:
    """The word in lower case; RequestError unless it is spelled like ``<zombie>``."""
    if not _SPELLING.fullmatch(word):
        raise RequestError(
            f"a learned word is written in angle brackets, letters, digits, - and _ between them, "
            f"such as <zombie>: '{word}' is not"
        )
    return word.lower()


def words_in(text: str) -> list[str]:
    """Everything in a sentence that is spelled like a learned word, in lower case, in order."""
    return [found.lower() for found in _SPELLING.findall(text)]


def check_taught(text: str, known: Iterable[str]) -> None:
    """RequestError where a sentence has a learned word that is not ``known``."""
    for word in words_in(text):
        if word not in known:
            raise RequestError(
                f"no word file teaches {word} of '{text}': add its file, words=[FILE], or write "
                "the sentence without angle brackets"
            )


def split_at_words(text: str, known: Iterable[str]) -> list[tuple[str, bool]]:
    """Parts of a sentence in order: (text, False), or (learned word, True) for a known one."""
    parts, end = [], 0
    for found in _SPELLING.finditer(text):
        if found.group().lower() in known:
            parts += [(text[end : found.start()], False), (found.group().lower(), True)]
            end = found.end()
    return [*parts, (text[end:], False)]
