"""What every data source hands to the packer, and nothing more.

A source lists its items without opening them (``list_items``) and loads a handful at a time
(``load``). ``load`` runs in worker processes, so a source is a plain, picklable dataclass. One bad
file never stops the rest: it comes back as ``Rejected`` with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from lead.core.errors import one_line, plain

PROBLEM = "problem"
"""Label of an item that listing already found unusable: it is told, and never loaded."""


@dataclass(frozen=True)
class Caption:
    """One sentence about a clip or about a part of it."""

    text: str
    tokens: str = ""  # "word/POS word/POS", empty where the source has no tags
    start: float = 0.0  # seconds; start = end = 0 means the whole clip
    end: float = 0.0


@dataclass(frozen=True)
class Item:
    """One motion that can be loaded, known by name only."""

    id: str
    path: Path
    split: str  # train, val, test, or any other name (e.g. heldout)
    captions: tuple[Caption, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)  # e.g. content, style


def problem_item(name: str, path: Path, reason: str) -> Item:
    """An item that cannot be used, for a reason that listing saw."""
    return Item(plain(name), path, "", labels={PROBLEM: reason})


def usable(items: Sequence[Item]) -> list[Item]:
    """The items that listing found nothing wrong with."""
    return [item for item in items if PROBLEM not in item.labels]


def problems(items: Sequence[Item]) -> list[str]:
    """What is wrong with the others."""
    return [item.labels[PROBLEM] for item in items if PROBLEM in item.labels]


@dataclass(frozen=True)
class LoadedClip:
    """A motion in the feature layout of the source's skeleton, un-normalised."""

    id: str
    split: str
    features: np.ndarray  # (frames, features) float32
    captions: tuple[Caption, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejected:
    """A motion that could not be used, and why (file and line where known), on one line.

    Names of files need not be UTF-8: the bytes that are not stand as escapes.
    """

    id: str
    path: str
    reason: str

    def __post_init__(self):
        for name in ("id", "path"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        object.__setattr__(self, "reason", one_line(plain(self.reason)))


@runtime_checkable
class Source(Protocol):
    """The adapter between one collection on disk and the packed dataset."""

    name: str
    skeleton: str  # "humanml3d" or "kit"
    fps: float
    licence: str
    min_frames: int  # shorter clips are rejected with a reason
    max_frames: int  # longer clips: see long_clips
    long_clips: str  # "drop" (HumanML3D's rule) or "split" into consecutive windows

    def list_items(self) -> list[Item]:
        """Every motion of the collection. Raises RequestError where the folder is not right."""

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """Load some motions, one result per item, in any order."""

    def statistics(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The collection's own (mean, std); None, as here, to compute them from the train split."""
        return None

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """For ``inspect=true``: what would be read, e.g. units, up-axis, frame rate, skeleton.

        Opens at most a few files.
        """
