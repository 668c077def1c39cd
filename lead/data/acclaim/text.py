"""Text of ASF and AMC files: limits, line ends, comments, and numbers that are numbers."""

from pathlib import Path

import numpy as np

from lead.core.errors import RequestError
from lead.core.reading import check_regular
from lead.data.bvh.hierarchy import fail, finite_number

ASF_BYTES = 1 << 20  # a skeleton of 30 bones has 7 KB
AMC_BYTES = 64 << 20  # a minute at 120 frames a second has 5 MB
LINE_BYTES = 4096  # the longest line of a motion has 60
LARGEST = 1e9  # of any number: beyond it arithmetic on squares means nothing any more


def read_plain(path: Path, most: int) -> bytes:
    """A regular file of at most ``most`` bytes: LF line ends, no byte order mark, no comments.

    A comment is ``#`` to the end of the line where a word would begin (``1.#QNAN`` is none); its
    line stays, so that lines count as in the file. Raises RequestError with file and line.
    """
    try:
        data = check_regular(path, most=most).read_bytes()
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}): check it") from error
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    ends = np.flatnonzero(np.frombuffer(data + b"\n", np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1) - 1
    if (longest := int(lengths.max())) > LINE_BYTES:
        line = int(lengths.argmax()) + 1
        fail(path, line, f"a line of {longest} bytes, {LINE_BYTES} are the most")
    data = _without_comments(data)
    if not data.strip():
        fail(path, 1, "the file is empty")
    return data


def _without_comments(data: bytes) -> bytes:
    kept, start = [], 0
    while (mark := data.find(b"#", start)) >= 0:
        if mark and not data[mark - 1 : mark].isspace():
            kept.append(data[start : mark + 1])
            start = mark + 1
        else:
            kept.append(data[start:mark])
            end = data.find(b"\n", mark)
            start = len(data) if end < 0 else end
    return b"".join([*kept, data[start:]])


def number(path: Path, line: int, word: str, what: str) -> float:
    """The finite number that ``word`` spells; RequestError names file, line and ``what``."""
    value = finite_number(word)
    if value is None or abs(value) > LARGEST:
        fail(path, line, f"{what} takes numbers of at most {LARGEST:g}, found {quoted(word)}")
    return value


def quoted(word: str | bytes) -> str:
    """A word of the file as messages show it: short and printable."""
    text = word.decode("utf-8", "replace") if isinstance(word, bytes) else word
    shown = ascii(text[:40])
    return shown if len(text) <= 40 and len(shown) <= 60 else f"{shown[:57]}..."
