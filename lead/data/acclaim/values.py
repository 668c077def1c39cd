"""The numbers of an AMC file: one row a frame, one column for each degree of freedom.

Frames are read as one list of words: where every frame names the same bones in the same order, as
programs write them, a column is every n-th word. What is not so is read line by line, which also
finds the line of a mistake.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError
from lead.core.reading import check_regular
from lead.data.acclaim.skeleton import AcclaimSkeleton
from lead.data.acclaim.text import AMC_BYTES, LARGEST, number, quoted, read_plain
from lead.data.bvh.hierarchy import fail

MAX_FRAMES = 200_000  # half an hour at 120 frames a second
_END_BYTES = 1 << 16  # of a file, to look for the number of a frame: one frame has under 1 KB
_NUMBER = re.compile(rb"^[ \t]*(\d{1,9})[ \t]*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class _Header:
    degrees: bool
    complete: bool  # :FULLY-SPECIFIED, every frame names every bone
    start: int  # where the first frame begins
    line: int  # and its line


def read_values(path: Path, skeleton: AcclaimSkeleton) -> tuple[np.ndarray, bool]:
    """The values of an AMC file (frames, degrees of freedom), and whether angles are degrees.

    Columns stand in the order of the skeleton's bones. Raises RequestError with file and line.
    """
    data = read_plain(path, AMC_BYTES)
    header = _read_header(path, data, skeleton.degrees)
    counts = {bone.name.encode(): len(bone.dof) for bone in skeleton.bones if bone.dof}
    body = data[header.start :]
    values = _read_regular(body, counts)
    if values is None:
        values = _Scan(path, header, counts).read(body)
    return values, header.degrees


def count_frames(path: Path) -> int:
    """How many frames an AMC file has, by the numbers of its first and its last one.

    Raises RequestError where these are no numbers of frames. Reads both ends of the file only.
    """
    with check_regular(path, most=AMC_BYTES).open("rb") as stream:
        head = stream.read(_END_BYTES).replace(b"\r", b"\n")
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _END_BYTES))
        tail = stream.read().replace(b"\r", b"\n")
    first, numbers = _NUMBER.search(head), _NUMBER.findall(tail)
    if first is None or not numbers:
        raise RequestError(f"{path}: no line with the number of a frame: no whole AMC file")
    frames = int(numbers[-1]) - int(first[1]) + 1
    if not 0 < frames <= MAX_FRAMES:
        raise RequestError(f"{path}: {frames} frames by their numbers, {MAX_FRAMES} are the most")
    return frames


def _read_header(path: Path, data: bytes, degrees: bool) -> _Header:
    """Keywords in front of the first frame's number."""
    start, line, complete = 0, 1, False
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        words = data[start:end].split()
        if words and words[0].isdigit():
            return _Header(degrees, complete, start, line)
        keyword = words[0].upper() if words else b":"
        if not keyword.startswith(b":"):
            break
        if keyword in (b":DEGREES", b":RADIANS"):
            degrees = keyword == b":DEGREES"
        complete = complete or keyword == b":FULLY-SPECIFIED"
        start, line = end, line + 1
    found = quoted(words[0]) if words else "the end of the file"
    return fail(path, line, f":KEYWORD or the first frame's number expected, found {found}")


def _read_regular(body: bytes, counts: dict[bytes, int]) -> np.ndarray | None:
    """The values of a file in which all frames look like the first; None where they do not."""
    words = body.split()
    names, place = _first_frame(words, counts)
    if set(names) != set(counts) or len(words) % place or b"_" in _without(body, names):
        return None
    frames = len(words) // place
    if frames > MAX_FRAMES:
        return None
    values = np.empty((frames, sum(counts.values())))
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]), strict=False))
    try:
        numbers = list(map(int, words[::place]))
        if numbers != list(range(numbers[0], numbers[0] + frames)):
            return None
        for name, word in names.items():
            if words[word::place] != [name] * frames:
                return None
            for offset in range(counts[name]):
                column = words[word + 1 + offset :: place]
                values[:, starts[name] + offset] = list(map(float, column))
    except ValueError:
        return None
    return values if _plausible(values) else None


def _first_frame(words: Sequence[bytes], counts: dict[bytes, int]) -> tuple[dict[bytes, int], int]:
    """Bone -> the place of its name in the first frame, and the first place of the second."""
    names: dict[bytes, int] = {}
    place = 1
    while place < len(words) and words[place] in counts and words[place] not in names:
        names[words[place]] = place
        place += 1 + counts[words[place]]
    return names, place


def _without(body: bytes, names: dict[bytes, int]) -> bytes:
    """The text where names may hold the one sign that numbers may not: ``1_0`` is none."""
    if b"_" in body:
        for name in names:
            body = body.replace(name + b" ", b" ")
    return body


def _plausible(values: np.ndarray) -> bool:
    return bool((np.abs(values) <= LARGEST).all())  # not for NaN


class _Scan:
    """Line by line: bones in any order, some missing where the file does not promise all."""

    def __init__(self, path: Path, header: _Header, counts: dict[bytes, int]) -> None:
        self.path, self.header, self.counts = path, header, counts
        self.rows: list[dict[bytes, list[float]]] = []
        self.number = -1

    def read(self, body: bytes) -> np.ndarray:
        last = self.header.line
        for line, text in enumerate(body.split(b"\n"), self.header.line):
            words = text.split()
            if not words:
                continue
            last = line
            if words[0].isdigit() and len(words) == 1:
                self._check_complete(line)
                self._begin_frame(line, words[0])
            else:
                self._bone(line, *words)
        self._check_complete(last)
        missing = [name for name in self.counts if name not in self.rows[0]]
        for row in self.rows if missing else ():
            row.update({name: [0.0] * self.counts[name] for name in missing})
        return np.array([[v for name in self.counts for v in row[name]] for row in self.rows])

    def _begin_frame(self, line: int, word: bytes) -> None:
        if len(self.rows) == MAX_FRAMES:
            fail(self.path, line, f"more than {MAX_FRAMES} frames")
        value = int(word) if len(word) < 10 else -1
        if value < 0 or (self.rows and value != self.number + 1):
            follows = f"frame {self.number + 1}" if self.rows else "the number of a frame"
            fail(self.path, line, f"{follows} expected, found {quoted(word)}")
        self.number = value
        self.rows.append({})

    def _bone(self, line: int, name: bytes, *words: bytes) -> None:
        if name not in self.counts:
            reason = "is not in the skeleton, or has no dof: is the ASF file the right one?"
            fail(self.path, line, f"bone {quoted(name)} {reason}")
        if name in self.rows[-1]:
            fail(self.path, line, f"bone {quoted(name)} twice in frame {self.number}")
        if len(words) != self.counts[name]:
            counted = f"{len(words)} numbers, the skeleton has {self.counts[name]}"
            fail(self.path, line, f"bone {quoted(name)} has {counted}")
        where = f"bone {quoted(name)}"
        texts = (word.decode("utf-8", "replace") for word in words)
        self.rows[-1][name] = [number(self.path, line, text, where) for text in texts]

    def _check_complete(self, line: int) -> None:
        """A frame that ended has all bones, or those of the first where not all are promised."""
        if not self.rows:
            return
        wanted = self.counts if self.header.complete else self.rows[0]
        row = self.rows[-1]
        missing = next((name for name in wanted if name not in row), None)
        extra = next((name for name in row if name not in wanted), None)
        if missing is not None:
            fail(self.path, line, f"frame {self.number} ends without bone {quoted(missing)}")
        if extra is not None:
            fail(self.path, line, f"bone {quoted(extra)} in frame {self.number}, not in the first")
        if not row:
            fail(self.path, line, f"frame {self.number} names no bone")
