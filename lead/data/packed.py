"""Reading a packed dataset: memory-mapped features and an index, opened without a copy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from lead.core.errors import RequestError, WorkError, did_you_mean
from lead.core.reading import check_regular, map_floats, read_floats
from lead.core.schema import Count, FileName, Hash, Name, Rate, Schema, read_file
from lead.data.contents import STATISTICS, Contents, find_changed, part_names
from lead.data.packing import SCHEMA_VERSION
from lead.representation.normalizer import Normalizer
from lead.representation.skeletons import SKELETONS, Skeleton, get_skeleton

AGAIN = "prepare it again"
WEIGHT = "weight"  # label of a clip, see PackedSplit.weights


class Manifest(Contents):
    """manifest.json: what a packed dataset is, and how its contents are known."""

    layout: Literal[SCHEMA_VERSION] = Field(alias="schema")
    name: Name
    skeleton: Literal[tuple(SKELETONS)]
    fps: Rate
    licence: str
    clips: Annotated[dict[FileName, Count], Field(min_length=1)]  # of each split
    frames: dict[str, Count] = {}
    left_out: Count = 0
    same_motions: list[Hash] = []  # earlier versions with other captions of the same motions


class Index(Schema):
    """SPLIT.index.json: a column for each fact, an entry for each clip."""

    id: Annotated[list[str], Field(min_length=1)]
    start: list[Count]
    frames: list[Annotated[Count, Field(gt=0)]]
    captions: list[Annotated[list[str], Field(min_length=1)]]
    tokens: list[list[str]]
    labels: list[dict[str, str]]

    @model_validator(mode="after")
    def _fits(self) -> "Index":
        if len({len(column) for _, column in self}) > 1:
            raise ValueError("its columns have different lengths")
        if [*map(len, self.captions)] != [*map(len, self.tokens)]:
            raise ValueError("a clip has captions and tokens of different number")
        for labels in self.labels:
            if WEIGHT in labels and not 0 < _number(labels[WEIGHT]) < math.inf:
                raise ValueError(f"a clip has {WEIGHT} '{labels[WEIGHT]:.20}', no number above 0")
        overlap = _overlap(self.id, self.start, self.frames)
        if overlap:
            raise ValueError(f"clips '{overlap[0]:.40}' and '{overlap[1]:.40}' share frames")
        return self


def _overlap(
    ids: Sequence[str], starts: Sequence[int], frames: Sequence[int]
) -> tuple[str, str] | None:
    """Two clips of different motions that share frames; parts of one motion may."""
    reach, owner = 0, ""
    for start, place in sorted(zip(starts, range(len(ids)), strict=True)):
        if start < reach and motion_of(ids[place]) != motion_of(owner):
            return owner, ids[place]
        if start + frames[place] > reach:
            reach, owner = start + frames[place], ids[place]
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def motion_of(clip_id: str) -> str:
    """The motion that a clip was cut from, by their names."""
    return clip_id.partition("#")[0].partition("@")[0]


@dataclass(frozen=True)
class PackedSplit:
    """The clips of one split. Captions and tokens are lists per clip, in the source's order."""

    name: str
    features: np.ndarray  # (all frames, features), memory-mapped, un-normalised
    ids: list[str]
    starts: np.ndarray
    frames: np.ndarray
    captions: list[list[str]]
    tokens: list[list[str]]
    labels: list[dict[str, str]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def weights(self) -> np.ndarray:
        """How often each clip comes in an epoch of training: 1, but for parts of a mix."""
        return np.array([float(labels.get(WEIGHT, 1)) for labels in self.labels])

    def clip(self, place: int) -> np.ndarray:
        """Features (frames, F) of one clip, a view into the mapped file."""
        start = self.starts[place]
        features = self.features[start : start + self.frames[place]]
        if not np.isfinite(features).all():
            file = getattr(self.features, "filename", self.name)
            raise WorkError(
                f"{file}: clip '{self.ids[place]}' holds a value that is not finite (NaN or "
                f"infinity): {AGAIN}"
            )
        return features


@dataclass(frozen=True)
class PackedDataset:
    """A folder written by lead.data.packing."""

    folder: Path
    manifest: Manifest

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton whose feature layout the dataset has."""
        return get_skeleton(self.manifest.skeleton)

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(self.manifest.fps)

    @property
    def data_hash(self) -> str:
        """Hash over all features, captions and statistics."""
        return self.manifest.data_hash

    @cached_property
    def normalizer(self) -> Normalizer:
        """The dataset's own standardisation."""
        width = self.skeleton.features
        mean, std = (_own(read_floats, self.folder / name, (width,)) for name in STATISTICS)
        if not (std > 0).all():
            raise WorkError(
                f"{self.folder / STATISTICS[1]} holds a deviation of 0 or less: {AGAIN}"
            )
        return Normalizer(mean, std)

    def split(self, name: str) -> PackedSplit:
        """Open one split; RequestError names the splits there are."""
        if name not in self.manifest.clips:
            raise RequestError(
                f"{self.folder} has no split '{name}': {did_you_mean(name, self.manifest.clips)}"
            )
        array, listed = (self.folder / part for part in part_names(name))
        index = read_file(Index, listed, AGAIN)
        features = _own(map_floats, array, ("frames", self.skeleton.features))
        starts, frames = np.asarray(index.start, int), np.asarray(index.frames, int)
        if len(starts) and int((starts + frames).max()) > len(features):
            raise WorkError(f"{array} is shorter than its index: {AGAIN}")
        return PackedSplit(
            *(name, features, index.id, starts, frames),
            *(index.captions, index.tokens, index.labels),
        )


def _own(read: Callable, path: Path, shape: tuple[int | str, ...]) -> np.ndarray:
    """An array of the dataset; what is there and broken is failed work, not a wrong request."""
    check_regular(path, advice=AGAIN)
    try:
        return read(path, shape, AGAIN)
    except RequestError as error:
        raise WorkError(str(error)) from error


def open_dataset(folder: Path | str) -> PackedDataset:
    """Open a packed dataset; RequestError says how to make one where there is none.

    Raises WorkError where a file has another content than the one that was prepared.
    """
    folder = Path(folder)
    path = folder / "manifest.json"
    if not path.is_file():
        raise RequestError(
            f"{folder} is not a prepared dataset: make it with `lead prepare data=NAME "
            f"output={folder}`"
        )
    manifest = read_file(Manifest, path, AGAIN)
    changed = find_changed(folder, manifest, AGAIN)
    if changed:
        raise WorkError(
            f"{folder / changed} has changed since the dataset was prepared: {AGAIN}, or bring "
            "the file of that time back"
        )
    return PackedDataset(folder, manifest)
