"""Reads BVH files: any channel order, position channels on any joint, several end sites."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import numpy as np

from lead.core.errors import RequestError
from lead.data.bvh.hierarchy import Hierarchy, fail, finite_number, parse_hierarchy

_MOTION = re.compile(r"(?:^|\})[ \t]*(MOTION)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_FRAMES = re.compile(r"\s*Frames\s*:\s*(.*?)\s*", re.IGNORECASE)
_FRAME_TIME = re.compile(r"\s*Frame\s*Time\s*:\s*(.*?)\s*", re.IGNORECASE)
_FIRST_READ = 1 << 15  # bytes; grows fourfold until the whole header is in


@dataclass(frozen=True)
class BvhHeader:
    """All of a BVH file but its numbers."""

    hierarchy: Hierarchy
    frames: int  # as the file says
    frame_time: float  # seconds


@dataclass(frozen=True)
class BvhMotion:
    """A BVH file: a tree of joints and one row of channel values per frame.

    Lengths are in the file's own units, angles in degrees.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]  # -1 for the root; a parent comes before its children
    offsets: np.ndarray  # (joints, 3)
    end_sites: Mapping[int, list[np.ndarray]]  # joint index -> offsets (3,) of its end sites
    channels: tuple[tuple[str, ...], ...]  # per joint, in file order
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
    lines = text[start:].split("\n")
    first_line = text.count("\n", 0, start) + 1
    values = _parse_values(path, lines, first_line, header.frames, tree.num_channels)
    return BvhMotion(
        names=tree.names,
        parents=tree.parents,
        offsets=tree.offsets,
        end_sites=tree.end_sites,
        channels=tree.channels,
        values=values,
        frame_time=header.frame_time,
    )


def read_bvh_header(path: Path | str) -> BvhHeader:
    """Read hierarchy, frame count and frame time only, without touching the numbers."""
    path = Path(path)
    size = _FIRST_READ
    while True:
        data = _read(path, size)
        whole = len(data) < size
        head = data if whole else data[: data.rfind(b"\n") + 1]
        text = _decode(path, head)
        if whole or re.search(r"^\s*Frame\s*Time.*\n", text, re.IGNORECASE | re.MULTILINE):
            return _parse_header(path, text)[0]
        size *= 4


def _read(path: Path, size: int = -1) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(size)
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not data.strip():
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
    motion = _MOTION.search(text)
    hierarchy = parse_hierarchy(path, text[: motion.start(1)] if motion else text)
    if motion is None:
        fail(path, text.rstrip().count("\n") + 1, "the file ends before MOTION: it is truncated")
    position = motion.end()
    words = []
    for keyword, pattern in (("Frames", _FRAMES), ("Frame Time", _FRAME_TIME)):
        line, position = _next_line(text, position)
        number = text.count("\n", 0, position - 1) + 1
        match = pattern.fullmatch(line)
        if match is None:
            found = f"'{line.strip()[:40]}'" if line.strip() else "the end of the file"
            fail(path, number, f"'{keyword}:' expected, found {found}")
        words.append((match[1], number))
    (count, count_line), (seconds, seconds_line) = words
    if not (count.isdecimal() and len(count) <= 9 and int(count) > 0):
        fail(path, count_line, f"Frames takes a whole number from 1 up, found '{count[:40]}'")
    frame_time = finite_number(seconds)
    if frame_time is None or frame_time <= 0:
        fail(path, seconds_line, f"Frame Time takes seconds above 0, found '{seconds[:40]}'")
    if hierarchy.num_channels == 0:
        fail(path, count_line, "no joint has CHANNELS: there is no motion in the file")
    return BvhHeader(hierarchy, int(count), frame_time), position


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


def _parse_values(
    path: Path, lines: Sequence[str], first_line: int, frames: int, channels: int
) -> np.ndarray:
    """The motion block as (frames, channels); the slow scan runs only where something is odd."""
    if not any(line.strip() for line in lines):
        fail(path, first_line, f"Frames says {frames}, no row follows: the file is truncated")
    try:
        values = np.loadtxt(lines, dtype=np.float64, comments=None, ndmin=2)
    except ValueError:
        return _scan_values(path, lines, first_line, frames, channels)
    if values.shape != (frames, channels) or not np.isfinite(values).all():
        return _scan_values(path, lines, first_line, frames, channels)
    return values


def _scan_values(
    path: Path, lines: Sequence[str], first_line: int, frames: int, channels: int
) -> np.ndarray:
    """Read number by number: accept rows that are wrapped differently, or name the bad line."""
    rows: list[tuple[int, int]] = []  # (line, how many numbers)
    values: list[float] = []
    for line, text in enumerate(lines, start=first_line):
        words = text.split()
        for column, word in enumerate(words, start=1):
            value = finite_number(word)
            if value is None:
                fail(path, line, f"value {column} is '{word[:40]}', not a finite number")
            values.append(value)
        if words:
            rows.append((line, len(words)))
    one_row_each = len(rows) == frames
    if len(values) != frames * channels or (one_row_each and {c for _, c in rows} != {channels}):
        _fail_count(path, rows, frames, channels)
    return np.array(values).reshape(frames, channels)


def _fail_count(path: Path, rows: list[tuple[int, int]], frames: int, channels: int) -> NoReturn:
    last_line = rows[-1][0]
    odd = next(((line, count) for line, count in rows if count != channels), None)
    if odd is None:
        fail(path, last_line, f"Frames says {frames}, but {len(rows)} rows follow")
    line, count = odd
    if line == last_line and count < channels and len(rows) <= frames:
        fail(path, line, f"the file ends after {count} of {channels} values: it is truncated")
    fail(path, line, f"a row of {count} values, the hierarchy has {channels} channels")
