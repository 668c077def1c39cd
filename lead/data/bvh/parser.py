"""Reads BVH files: any channel order, position channels on any joint, several end sites."""

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np

from lead.core.errors import RequestError
from lead.core.reading import TEXT_BYTES, check_regular
from lead.data.bvh.hierarchy import Hierarchy, fail, finite_number, parse_hierarchy
from lead.data.limits import FRAME_TIMES, HIERARCHY_MOST, LINE_MOST, NUMBER_MOST, VALUES_MOST

_MOTION = re.compile(r"(?:^|\})[ \t]*(MOTION)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_FRAME_TIME = re.compile(r"^[ \t]*Frame[ \t]*Time.*\n", re.IGNORECASE | re.MULTILINE)
_HEADER_READS = (1 << 15, 1 << 18, 4 * HIERARCHY_MOST + (1 << 15))  # bytes, until all of it is in


@dataclass(frozen=True)
class BvhHeader:
    """All of a BVH file but its numbers."""

    hierarchy: Hierarchy
    frames: int  # as the file says
    frame_time: float  # seconds


@dataclass(frozen=True)
class BvhMotion(Hierarchy):
    """A BVH file: a tree of joints and one row of channel values per frame.

    Lengths are in the file's own units, angles in degrees.
    """

    values: np.ndarray  # (frames, channels) float64, columns in file order
    frame_time: float  # seconds
    metres_per_unit: float | None = None  # where the file says its unit, as BVH files do not

    @property
    def fps(self) -> float:
        """Frames per second (see ``frame_rate``)."""
        return frame_rate(self.frame_time)


def frame_rate(frame_time: float) -> float:
    """Frames per second; a whole number where ``frame_time`` is one, printed with few digits.

    0.0333 and 0.033333 both mean 30; 0.033367 means 29.97.
    """
    whole = max(1, round(1 / frame_time))
    last_digit = 10.0 ** Decimal(repr(frame_time)).as_tuple().exponent
    tolerance = max(last_digit, 1e-6 * frame_time)
    return float(whole) if abs(1 / whole - frame_time) < tolerance else 1 / frame_time


def read_bvh(path: Path | str) -> BvhMotion:
    """Read a BVH file. Raises RequestError with file and line where it is broken."""
    path = Path(path)
    text = _decode(path, _read(path))
    header, start = _parse_header(path, text)
    tree = header.hierarchy
    values = _parse_values(path, text, start, header.frames, tree.num_channels)
    return BvhMotion(**vars(tree), values=values, frame_time=header.frame_time)


def read_bvh_header(path: Path | str) -> BvhHeader:
    """Read hierarchy, frame count and frame time only, without touching the numbers."""
    path = Path(path)
    for size in _HEADER_READS:
        data = _read(path, size)
        whole = len(data) < size
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        text = _decode(path, data if whole else data[:cut])
        if whole or _FRAME_TIME.search(text):
            break
    return _parse_header(path, text)[0]


def _read(path: Path, size: int = -1) -> bytes:
    check_regular(path, most=TEXT_BYTES)
    try:
        with path.open("rb") as stream:
            data = stream.read(size)
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror or error})") from error
    if not data or data.isspace():
        raise RequestError(f"{path}:1: the file is empty")
    return data


def _decode(path: Path, data: bytes) -> str:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        fail(path, line, f"not a BVH text file: byte 0x{byte:02x} is not UTF-8")


def _parse_header(path: Path, text: str) -> tuple[BvhHeader, int]:
    """The header, and where the first row of numbers starts."""
    motion = _MOTION.search(text, 0, HIERARCHY_MOST)
    hierarchy = parse_hierarchy(path, text[: motion.start(1)] if motion else _start_of(path, text))
    if motion is None:
        fail(path, text.rstrip().count("\n") + 1, "the file ends before MOTION: it is truncated")
    position = motion.end()
    words = []
    for keyword in ("Frames", "Frame Time"):
        line, position = _next_line(text, position)
        number = text.count("\n", 0, position - 1) + 1
        name, colon, value = line.partition(":")
        if not colon or "".join(name.split()).lower() != keyword.replace(" ", "").lower():
            found = f"'{line.strip()[:40]}'" if line.strip() else "the end of the file"
            fail(path, number, f"'{keyword}:' expected, found {found}")
        words.append((value.strip(), number))
    (count, count_line), (seconds, seconds_line) = words
    if not (count.isdecimal() and len(count) <= 9 and int(count) > 0):
        fail(path, count_line, f"Frames takes a whole number from 1 up, found '{count[:40]}'")
    frame_time = finite_number(seconds)
    low, high = FRAME_TIMES
    if frame_time is None or not low <= frame_time <= high:
        limits = f"from {low:g} to {high:g}"
        fail(path, seconds_line, f"Frame Time takes seconds {limits}, found '{seconds[:40]}'")
    if hierarchy.num_channels == 0:
        fail(path, count_line, "no joint has CHANNELS: there is no motion in the file")
    return BvhHeader(hierarchy, int(count), frame_time), position


def _start_of(path: Path, text: str) -> str:
    """A text that should begin with a hierarchy, where there is no MOTION in the allowed part."""
    if len(text) > HIERARCHY_MOST and text.lstrip()[:9].upper() == "HIERARCHY":
        fail(
            path, 1, f"no line MOTION in the first {HIERARCHY_MOST} characters, which are the most"
        )
    return text[:HIERARCHY_MOST]


def _next_line(text: str, position: int) -> tuple[str, int]:
    """The next line that is not blank, and the position after its end."""
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end]
        position = end + 1
        if line.strip():
            return line, position
    return "", max(position, 1)


def _parse_values(path: Path, text: str, start: int, frames: int, channels: int) -> np.ndarray:
    """The motion block as (frames, channels); the slow scan runs only where something is odd."""
    rows = _rows(path, text, start)
    if (first := next(rows, None)) is None:
        line = text.count("\n", 0, start) + 1
        fail(path, line, f"Frames says {frames}, no row follows: the file is truncated")
    if len(first[1].split()) == channels and frames * channels <= VALUES_MOST:
        lines = (line for _, line in islice(_rows(path, text, start), frames + 1))
        try:
            values = np.loadtxt(lines, dtype=np.float64, comments=None, ndmin=2)
        except ValueError:
            pass
        else:
            sensible = values.min() >= -NUMBER_MOST and values.max() <= NUMBER_MOST  # NaN is not
            if values.shape == (frames, channels) and sensible:
                return values
    return _scan_values(path, _rows(path, text, start), frames, channels)


def _rows(path: Path, text: str, start: int) -> Iterator[tuple[int, str]]:
    """Number and text of every line from ``start`` on that is not blank."""
    number = text.count("\n", 0, start) + 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if end - start > LINE_MOST:
            fail(path, number, f"a line of {end - start} characters, {LINE_MOST} are the most")
        line = text[start:end]
        if line and not line.isspace():
            yield number, line
        number, start = number + 1, end + 1


def _scan_values(
    path: Path, lines: Iterator[tuple[int, str]], frames: int, channels: int
) -> np.ndarray:
    """Read row by row: accept rows that are wrapped differently, or name the bad line."""
    values = array("d")
    rows, odd = 0, None
    for number, line in lines:
        words = line.split()
        values.extend(_numbers(path, number, words))
        rows += 1
        if len(words) != channels:
            odd = odd or (number, len(words))
        if len(values) > VALUES_MOST:
            fail(path, number, f"more than {VALUES_MOST} values, which are the most: cut the file")
        if len(values) > frames * channels:
            break
    if len(values) != frames * channels or (rows == frames and odd):
        _fail_count(path, rows, number, odd, frames, channels)
    return np.array(values).reshape(frames, channels)


def _fail_count(path, rows: int, last: int, odd, frames: int, channels: int) -> NoReturn:
    if odd is None:
        found = f"but {rows} rows follow" if rows < frames else "but more rows follow"
        fail(path, last, f"Frames says {frames}, {found}")
    line, count = odd
    if line == last and count < channels and rows <= frames:
        fail(path, line, f"the file ends after {count} of {channels} values: it is truncated")
    fail(path, line, f"a row of {count} values, the hierarchy has {channels} channels")


def _numbers(path: Path, line: int, words: Sequence[str]) -> list[float]:
    numbers = [finite_number(word) for word in words]
    if None in numbers:
        column = numbers.index(None)
        kind = f"not a finite number up to {NUMBER_MOST:g}"
        fail(path, line, f"value {column + 1} is '{words[column][:40]}', {kind}")
    return numbers
