"""Acclaim skeletons: ASF files with any order of axes, in degrees or radians."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lead.data.acclaim.text import ASF_BYTES, number, quoted, read_plain
from lead.data.bvh.hierarchy import fail

MAX_BONES = 256
METRES_PER_INCH = 0.0254
ROOT = "root"

_ROTATIONS = ("rx", "ry", "rz")
_TRANSLATIONS = ("tx", "ty", "tz")
_SECTIONS = (":root", ":bonedata", ":hierarchy")


@dataclass(frozen=True)
class Bone:
    """One bone, or the root as a bone of no length."""

    name: str
    parent: int  # -1 for the root
    vector: np.ndarray  # (3,) from its start to its end at rest, in the file's units
    axis: tuple[tuple[str, float], ...]  # its own axes at rest: turns in degrees, first one first
    dof: tuple[str, ...]  # what an AMC line of it holds; turns are made in this order


@dataclass(frozen=True)
class AcclaimSkeleton:
    """A tree of bones, the root first, each after its parent."""

    bones: tuple[Bone, ...]
    position: np.ndarray  # (3,) of the root, added to what the motion says
    metres_per_unit: float
    degrees: bool  # the unit of angles in motions that name none


def read_skeleton(path: Path | str) -> AcclaimSkeleton:
    """Read an ASF file. Raises RequestError with file and line where it is broken."""
    path = Path(path)
    return _Parser(path, read_plain(path, ASF_BYTES).decode("utf-8", "replace")).parse()


Rows = list[tuple[int, list[str]]]  # number and words of lines


@dataclass
class _Draft:
    """The root, or a bone, as it is written: the line where it begins, keyword -> line, words."""

    line: int
    values: dict[str, tuple[int, list[str]]]


class _Parser:
    """Sections first, meaning afterwards: units may stand behind what they are the units of."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        lines = [(n, line.split()) for n, line in enumerate(text.split("\n"), 1)]
        self.lines = [(n, words) for n, words in lines if words]
        self.last = self.lines[-1][0]

    def parse(self) -> AcclaimSkeleton:
        sections = self._sections()
        self.units = self._attributes(sections.get(":units", []))
        values = self._attributes(sections[":root"])
        self.root = _Draft(next((line for line, _ in values.values()), self.last), values)
        self.drafts = list(self._bones(sections[":bonedata"]))
        self.parents = self._parents(sections[":hierarchy"])
        self.degrees = self._degrees()
        return AcclaimSkeleton(
            bones=self._tree(),
            position=np.array(self._triple(self.root, "position", optional=True)),
            metres_per_unit=METRES_PER_INCH / self._length_unit(),
            degrees=self.degrees,
        )

    def _sections(self) -> dict[str, Rows]:
        """keyword -> the lines below it; what stands on the keyword's line counts too."""
        found: dict[str, Rows] = {}
        for line, words in self.lines:
            if words[0].startswith(":"):
                name = words[0].lower()
                if name in found and name in (":units", *_SECTIONS):
                    fail(self.path, line, f"a second {name}")
                rows = found[name] = [(line, words[1:])] if words[1:] else []
            elif found:
                rows.append((line, words))
            else:
                fail(self.path, line, f"no ASF file: ':' expected, found {quoted(words[0])}")
        for name in _SECTIONS:
            if name not in found:
                fail(self.path, self.last, f"the file ends without {name}: no whole ASF skeleton")
        return found

    def _attributes(self, rows: Rows) -> dict[str, tuple[int, list[str]]]:
        """keyword -> (line, words); a keyword stands once."""
        found: dict[str, tuple[int, list[str]]] = {}
        for line, words in rows:
            key = words[0].lower()
            if key in found:
                fail(self.path, line, f"a second {quoted(key)}")
            found[key] = (line, words[1:])
        return found

    def _bones(self, rows: Rows) -> Iterator[_Draft]:
        block: Rows | None = None
        count, start = 0, 0
        for line, words in rows:
            keyword = words[0].lower()
            if block is None:
                if keyword != "begin":
                    fail(self.path, line, f"'begin' of a bone expected, found {quoted(words[0])}")
                block, count, start = [], count + 1, line
                if count == MAX_BONES:
                    fail(self.path, line, f"more than {MAX_BONES} bones with the root")
            elif keyword == "begin":
                fail(self.path, line, "'end' of the bone before expected, found 'begin'")
            elif keyword == "end":
                yield _Draft(start, self._attributes(block))
                block = None
            elif not words[0].startswith("("):  # limits go on over several lines
                block.append((line, words))
        if block is not None:
            fail(self.path, self.last, f"the bone of line {start} has no 'end': truncated")

    def _parents(self, rows: Rows) -> dict[str, tuple[str, int]]:
        """bone -> its parent, and the line."""
        found: dict[str, tuple[str, int]] = {}
        for line, (parent, *children) in rows:
            for child in children if parent.lower() not in ("begin", "end") else ():
                if child in found:
                    fail(self.path, line, f"bone {quoted(child)} has a second parent")
                if child == ROOT:
                    fail(self.path, line, "the root hangs on a bone: a circle")
                found[child] = (parent, line)
        return found

    def _tree(self) -> tuple[Bone, ...]:
        """The root and every bone after its parent; RequestError where they make no tree."""
        drafts = self._named_drafts()
        children: dict[str, list[str]] = {}
        for child, (parent, line) in self.parents.items():
            for name in (parent, child):
                if name != ROOT and name not in drafts:
                    fail(self.path, line, f"bone {quoted(name)} is not in :bonedata")
            children.setdefault(parent, []).append(child)
        bones = [self._root_bone()]
        open_ = [(name, 0) for name in reversed(children.get(ROOT, ()))]
        while open_:
            name, parent = open_.pop()
            open_ += [(child, len(bones)) for child in reversed(children.get(name, ()))]
            bones.append(self._bone(name, drafts[name], parent))
        if len(bones) <= len(drafts):
            lost = next(iter(drafts.keys() - {bone.name for bone in bones}))
            line = drafts[lost].line
            fail(self.path, line, f"bone {quoted(lost)} hangs on nothing, or in a circle")
        return tuple(bones)

    def _named_drafts(self) -> dict[str, _Draft]:
        drafts: dict[str, _Draft] = {}
        for draft in self.drafts:
            line, words = self._words(draft, "name", 1)
            name = words[0]
            if name in drafts or name == ROOT:
                fail(self.path, line, f"a second bone {quoted(name)}")
            drafts[name] = draft
        return drafts

    def _root_bone(self) -> Bone:
        line, words = self._words(self.root, "order")
        order = self._order(line, words, _TRANSLATIONS + _ROTATIONS)
        if any(self._triple(self.root, "orientation", optional=True)):
            line = self.root.values["orientation"][0]
            fail(self.path, line, "an orientation of the root other than 0 0 0 is not read")
        return Bone(ROOT, -1, np.zeros(3), (), order)

    def _bone(self, name: str, draft: _Draft, parent: int) -> Bone:
        line, words = self._words(draft, "length", 1)
        length = number(self.path, line, words[0], "length")
        vector = length * np.array(self._triple(draft, "direction"))
        line, words = draft.values.get("dof", (draft.line, []))
        return Bone(name, parent, vector, self._axis(draft), self._order(line, words, _ROTATIONS))

    def _axis(self, draft: _Draft) -> tuple[tuple[str, float], ...]:
        """Turns about x, y or z that make a bone's own axes; the first is made first."""
        if "axis" not in draft.values:
            return ()
        line, words = self._words(draft, "axis")
        order = words[3].lower() if len(words) == 4 else "xyz" if len(words) == 3 else ""
        if sorted(order) != ["x", "y", "z"]:
            fail(self.path, line, "axis takes three angles and an order such as XYZ")
        angles = [number(self.path, line, word, "axis") for word in words[:3]]
        if not self.degrees:
            angles = [math.degrees(angle) for angle in angles]
        return tuple(zip(order, angles, strict=True))

    def _order(self, line: int, words: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(word.lower() for word in words)
        for name in names:
            if name not in known:
                fail(self.path, line, f"{', '.join(known)} are read here, found {quoted(name)}")
        if len(set(names)) < len(names):
            fail(self.path, line, f"the same twice in {quoted(' '.join(names))}")
        return names

    def _triple(self, draft: _Draft, key: str, *, optional: bool = False) -> list[float]:
        if optional and key not in draft.values:
            return [0.0, 0.0, 0.0]
        line, words = self._words(draft, key, 3)
        return [number(self.path, line, word, key) for word in words]

    def _words(self, draft: _Draft, key: str, count: int | None = None) -> tuple[int, list[str]]:
        if key not in draft.values:
            fail(self.path, draft.line, f"no '{key}' here")
        line, words = draft.values[key]
        if count is not None and len(words) != count:
            fail(self.path, line, f"{key} takes {count} words, found {len(words)}")
        return line, words

    def _degrees(self) -> bool:
        line, words = self.units.get("angle", (1, ["deg"]))
        word = words[0].lower() if words else ""
        if not word.startswith(("deg", "rad")):
            fail(self.path, line, f"angle takes deg or rad, found {quoted(word)}")
        return word.startswith("deg")

    def _length_unit(self) -> float:
        line, words = self.units.get("length", (1, ["1.0"]))
        unit = number(self.path, line, words[0] if words else "", "length")
        if not 1e-6 < unit < 1e6:
            fail(self.path, line, f"a unit of length {unit:g} is none: 0.45 is usual")
        return unit
