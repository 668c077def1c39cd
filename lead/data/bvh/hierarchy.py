"""The first half of a BVH file: joints, offsets, channels and end sites."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import numpy as np

from lead.core.errors import RequestError, did_you_mean, one_line
from lead.data.limits import NUMBER_MOST

CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_SPELLING = {name.lower(): name for name in CHANNELS}
_TOKEN = re.compile(r"[{}]|[^\s{}]+")


@dataclass(frozen=True)
class Hierarchy:
    """A tree of joints, each listed after its parent."""

    names: tuple[str, ...]
    parents: tuple[int, ...]  # -1 for the root
    offsets: np.ndarray  # (joints, 3), in the file's units
    end_sites: Mapping[int, list[np.ndarray]]  # joint index -> offsets (3,) of its end sites
    channels: tuple[tuple[str, ...], ...]  # per joint, in file order

    @property
    def num_channels(self) -> int:
        """How many numbers one frame holds."""
        return sum(len(names) for names in self.channels)


def fail(path: Path, line: int, message: str) -> NoReturn:
    """Raise the one-line error of a BVH file: ``path:line: message``."""
    raise RequestError(one_line(f"{path}:{line}: {message}"))


def finite_number(text: str) -> float | None:
    """The finite number that ``text`` spells, up to NUMBER_MOST in size, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= NUMBER_MOST and "_" not in text else None


def parse_hierarchy(path: Path, text: str) -> Hierarchy:
    """Parse everything before ``MOTION``. Raises RequestError naming file and line."""
    try:
        return _parse(text)
    except _BrokenError as broken:
        fail(path, broken.line, broken.message)


class _BrokenError(Exception):
    """What is wrong, and in which line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(line, message)
        self.line, self.message = line, message


@lru_cache(maxsize=32)  # the files of one collection often share their hierarchy
def _parse(text: str) -> Hierarchy:
    return _HierarchyParser(text).parse()


@dataclass
class _HierarchyParser:
    text: str
    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[np.ndarray | None] = field(default_factory=list)
    end_sites: dict[int, list[np.ndarray]] = field(default_factory=dict)
    channels: list[tuple[str, ...] | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        lines = enumerate(self.text.split("\n"), start=1)
        self.tokens = [(word, number) for number, line in lines for word in _TOKEN.findall(line)]
        self.position = 0
        self.line = 1
        self.open: list[int] = []  # joints whose brace is open, outermost first

    def parse(self) -> Hierarchy:
        statements: dict[str, Callable[[], None]] = {
            "JOINT": self._joint,
            "END": self._end_site,
            "OFFSET": self._offset,
            "CHANNELS": self._channels,
            "}": self._close,
        }
        if self._take("HIERARCHY").upper() != "HIERARCHY":
            raise _BrokenError(self.line, "not a BVH file: it has to begin with HIERARCHY")
        if (word := self._take("ROOT")).upper() != "ROOT":
            raise _BrokenError(self.line, f"ROOT expected, found '{word}'")
        self._joint()
        while self.open:
            word = self._take("'}'")
            if word.upper() not in statements:
                hint = "JOINT, End Site, OFFSET, CHANNELS or '}' expected"
                raise _BrokenError(self.line, f"{hint}, found '{word}'")
            statements[word.upper()]()
        self._check_end()
        offsets = np.stack(self.offsets)
        offsets.flags.writeable = False
        return Hierarchy(
            names=tuple(self.names),
            parents=tuple(self.parents),
            offsets=offsets,
            end_sites=self.end_sites,
            channels=tuple(names or () for names in self.channels),
        )

    def _take(self, expected: str) -> str:
        if self.position == len(self.tokens):
            raise _BrokenError(self.line, f"the hierarchy ends where {expected} is expected")
        word, self.line = self.tokens[self.position]
        self.position += 1
        return word

    def _name(self) -> str:
        """Words up to the opening brace; they stand on the line of their keyword."""
        words, start = [], self.line
        while (word := self._take("'{'")) != "{":
            if self.line != start or word == "}":
                raise _BrokenError(self.line, f"'{{' expected, found '{word}'")
            words.append(word)
        return " ".join(words)

    def _joint(self) -> None:
        line = self.line
        name = self._name()
        if not name:
            raise _BrokenError(line, "a joint without a name")
        self.parents.append(self.open[-1] if self.open else -1)
        self.open.append(len(self.names))
        self.names.append(name)
        self.offsets.append(None)
        self.channels.append(None)

    def _end_site(self) -> None:
        self._name()
        if (word := self._take("OFFSET")).upper() != "OFFSET":
            raise _BrokenError(self.line, f"OFFSET of the end site expected, found '{word}'")
        self.end_sites.setdefault(self.open[-1], []).append(self._triple())
        if (word := self._take("'}'")) != "}":
            raise _BrokenError(self.line, f"'}}' after the end site expected, found '{word}'")

    def _offset(self) -> None:
        joint = self.open[-1]
        if self.offsets[joint] is not None:
            raise _BrokenError(self.line, f"a second OFFSET of joint '{self.names[joint]}'")
        self.offsets[joint] = self._triple()

    def _triple(self) -> np.ndarray:
        values = []
        for _ in range(3):
            word = self._take("a number")
            if (value := finite_number(word)) is None:
                kind = f"three finite numbers up to {NUMBER_MOST:g}"
                raise _BrokenError(self.line, f"OFFSET takes {kind}, found '{word}'")
            values.append(value)
        return np.array(values)

    def _channels(self) -> None:
        joint = self.open[-1]
        if self.channels[joint] is not None:
            raise _BrokenError(self.line, f"a second CHANNELS of joint '{self.names[joint]}'")
        word = self._take("the number of channels")
        if not (word.isdecimal() and len(word) <= 2 and int(word) <= len(CHANNELS)):
            limits = f"from 0 to {len(CHANNELS)}"
            raise _BrokenError(self.line, f"CHANNELS takes a count {limits}, found '{word}'")
        names = [self._channel() for _ in range(int(word))]
        positions = [name for name in names if name.endswith("position")]
        if len(set(positions)) < len(positions):
            raise _BrokenError(self.line, f"joint '{self.names[joint]}' names a position twice")
        self.channels[joint] = tuple(names)

    def _channel(self) -> str:
        word = self._take("a channel name")
        if word.lower() not in _SPELLING:
            hint = did_you_mean(word[:40], CHANNELS)
            raise _BrokenError(self.line, f"unknown channel '{word}', {hint}")
        return _SPELLING[word.lower()]

    def _close(self) -> None:
        joint = self.open.pop()
        if self.offsets[joint] is None:
            raise _BrokenError(self.line, f"joint '{self.names[joint]}' has no OFFSET")

    def _check_end(self) -> None:
        if self.position == len(self.tokens):
            return
        word = self._take("MOTION")
        if word.upper() == "ROOT":
            raise _BrokenError(self.line, "a second ROOT: split the file, one figure each")
        raise _BrokenError(self.line, f"MOTION expected, found '{word}'")
