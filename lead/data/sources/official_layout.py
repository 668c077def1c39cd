"""The folder layout in which HumanML3D and KIT-ML are built and passed on.

::

    new_joint_vecs/ID.npy   (frames, features), in the data set's own unit
    texts/ID.txt            caption#word/POS word/POS#from#to, one a line
    Mean.npy Std.npy        (features,)
    train.txt val.txt test.txt, and others: one ID a line
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import map_array, read_floats, read_text
from lead.data.captions.tagged_lines import read_tagged_lines
from lead.data.source import (
    PROBLEM,
    Item,
    LoadedClip,
    Rejected,
    problem_item,
    problems,
    usable,
)
from lead.data.splits import check_frame_limits
from lead.representation.skeletons import SKELETONS, Skeleton, get_skeleton

TAG_FPS = 20.0
"""The field crops segments at frames ``int(tag * 20)``, whatever the frame rate."""

_SAFE_NAME = re.compile(r"\w[\w.-]*")
_SAMPLE = 16


@dataclass(frozen=True)
class OfficialSource:
    """A data set in the official layout: where it is, and the rules of the field for it.

    ``source`` is the folder, ``splits`` are the lists to read.
    """

    source: Path | str
    splits: Annotated[Sequence[str], Field(min_length=1)] = ("train", "val", "test")
    min_frames: int = 1
    max_frames: int = 199
    long_clips: Literal["drop", "split"] = "drop"

    name: ClassVar[str]
    skeleton: ClassVar[str]
    fps: ClassVar[float]
    licence: ClassVar[str]
    known_bad: ClassVar[Mapping[str, str]] = {}  # id -> why it is skipped

    def __post_init__(self) -> None:
        if not str(self.source):
            raise RequestError("no source folder given: say source=DIR")
        check_frame_limits(self.min_frames, self.max_frames)

    @property
    def folder(self) -> Path:
        """Where the data set is."""
        return Path(self.source)

    def list_items(self) -> list[Item]:
        """Every clip of the split lists, with its captions.

        What is wrong with a clip becomes an item labelled ``problem``, so that one result per
        item reports it. An id in two lists stays in the one named last. Raises RequestError where
        the folder is incomplete or no clip is left.
        """
        self._check_folder()
        self.statistics()
        present = {path.name for path in (self.folder / "new_joint_vecs").iterdir()}
        listed, items = self._listed()
        for name, (split, place) in listed.items():
            items.extend(self._items_of(name, split, place, present))
        if not usable(items):
            first = items[0]
            raise RequestError(
                f"{self.folder}: none of the {len(items)} listed clips can be used; "
                f"the first: {first.path}: {first.labels[PROBLEM]}"
            )
        return items

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """One result per item, in order: its features, float32 in the data set's unit."""
        return [self._load(item) for item in items]

    def _load(self, item: Item) -> LoadedClip | Rejected:
        try:
            features = self._features(item)
            self._check_length(len(features))
        except RequestError as error:
            return Rejected(item.id, str(item.path), str(error))
        return LoadedClip(item.id, item.split, features, item.captions, item.labels)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """The official mean and standard deviation, float32 (features,)."""
        mean, std = self._vector("Mean.npy"), self._vector("Std.npy")
        if not (std > 0).all():
            place = int(np.flatnonzero(~(std > 0))[0])
            raise RequestError(
                f"{self.folder / 'Std.npy'}: entry {place} is {std[place]:g}, "
                "a standard deviation must be above 0: compute the statistics again"
            )
        return mean, std

    def describe(self, items: Sequence[Item]) -> dict[str, object]:
        """What the folder holds; lengths are those of a few clips spread over the list."""
        good = usable(items)
        captions = [caption for item in good for caption in item.captions]
        per_clip = [len(item.captions) for item in good] or [0]
        skeleton = self._skeleton
        return {
            "layout": f"official, {skeleton.features} features a frame",
            "skeleton": skeleton.name,
            "fps": skeleton.fps,
            "unit": "metres" if skeleton.metres_per_unit == 1.0 else "millimetres",
            "up axis": "y",
            "clips per split": dict(Counter(item.split for item in good)),
            "mirrored clips": sum(item.id.startswith("M") for item in good),
            "captions": len(captions),
            "captions per clip": {
                "min": min(per_clip),
                "mean": round(sum(per_clip) / len(per_clip), 2),
                "max": max(per_clip),
            },
            "tagged segments": sum(caption.end > 0 for caption in captions),
            "captions with POS tags": sum(bool(caption.tokens) for caption in captions),
            "frames, sampled": self._sampled_lengths(good),
            "length limits": f"{self.min_frames}..{self.max_frames} frames",
            "problems": dict(Counter(problems(items))),
            "licence": self.licence,
        }

    @property
    def _skeleton(self) -> Skeleton:
        return get_skeleton(self.skeleton)

    def _listed(self) -> tuple[dict[str, tuple[str, str]], list[Item]]:
        """id -> (split, file:line) of every listed clip, and a problem for each repetition."""
        found: dict[str, tuple[str, str]] = {}
        repeated = []
        for split in self.splits:
            for place, name in self._read_list(split):
                if name in found:
                    reason = f"listed again in {split}.txt: kept there"
                    repeated.append(problem_item(name, Path(found[name][1]), reason))
                found[name] = (split, place)
        return found, repeated

    def _read_list(self, split: str) -> list[tuple[str, str]]:
        path = self.folder / f"{split}.txt"
        if not _SAFE_NAME.fullmatch(split) or not path.is_file():
            known = did_you_mean(split, [entry.stem for entry in self.folder.glob("*.txt")])
            raise RequestError(f"{self.folder} has no split list {split}.txt: {known}")
        listed = [
            (f"{path}:{number}", line.strip())
            for number, line in enumerate(read_text(path).split("\n"), start=1)
            if line.strip()
        ]
        if not listed:
            raise RequestError(f"{path} lists no clips: get it again, or leave it out of splits")
        return listed

    def _items_of(self, name: str, split: str, place: str, present: set[str]) -> Iterator[Item]:
        """The item of one listed id, and one more for each caption line that is wrong."""
        if not _SAFE_NAME.fullmatch(name):
            yield problem_item(name, Path(place), "not the name of a clip")
            return
        path = self.folder / "new_joint_vecs" / f"{name}.npy"
        if name in self.known_bad:
            yield problem_item(name, path, self.known_bad[name])
            return
        if path.name not in present:
            yield problem_item(name, path, "the motion file is missing")
            return
        captions, bad_lines = read_tagged_lines(
            self.folder / "texts" / f"{name}.txt", seconds_per_tag=TAG_FPS / self._skeleton.fps
        )
        for where, reason in bad_lines.items():
            yield problem_item(name, Path(where), reason)
        if captions:
            yield Item(name, path, split, tuple(captions))

    def _check_folder(self) -> None:
        if not self.folder.is_dir():
            raise RequestError(f"source folder {self.folder} does not exist: set source=DIR")
        for part in ("new_joint_vecs", "texts"):
            if (self.folder / part).is_dir():
                continue
            inner = [path.parent for path in sorted(self.folder.glob(f"*/{part}"))]
            if inner:
                hint = f"did you mean source={inner[0]}?"
            elif (self.folder / f"{part}.zip").is_file():
                hint = f"unpack {part}.zip first"
            else:
                hint = "see datasets/README.md for the layout"
            raise RequestError(f"{self.folder} has no folder {part}: {hint}")

    def _check_length(self, frames: int) -> None:
        """The official rule looks at the whole file, before segments are cut out of it."""
        if frames < self.min_frames or (self.long_clips == "drop" and frames > self.max_frames):
            limits = f"{self.min_frames}..{self.max_frames}"
            raise RequestError(f"{frames} frames, outside {limits}: left out")

    def _features(self, item: Item) -> np.ndarray:
        return read_floats(item.path, ("frames", self._skeleton.features))

    def _vector(self, name: str) -> np.ndarray:
        path, width = self.folder / name, self._skeleton.features
        shape = map_array(path).shape
        other = [s.name for s in SKELETONS.values() if s.name != self.skeleton]
        hints = [name for name in other if shape == (get_skeleton(name).features,)]
        hint = f"this is a folder for the skeleton '{hints[0]}'" if hints else "get it again"
        return read_floats(path, (width,), hint)

    def _sampled_lengths(self, items: Sequence[Item]) -> dict[str, int]:
        lengths = []
        for item in items[:: max(1, len(items) // _SAMPLE)][:_SAMPLE]:
            try:
                lengths.append(len(self._features(item)))
            except RequestError:
                continue
        if not lengths:
            return {}
        middle = int(np.median(lengths))
        return {"clips": len(lengths), "min": min(lengths), "median": middle, "max": max(lengths)}
