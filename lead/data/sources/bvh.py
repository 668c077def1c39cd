"""Any folder of BVH files, with captions from a table or from the file names."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from lead.core.errors import RequestError
from lead.data.bvh.caption_tables import (
    CaptionRow,
    check_template,
    fill_template,
    read_caption_table,
)
from lead.data.bvh.loading import BvhSettings, load_bvh_items
from lead.data.bvh.survey import detect_collection_up_axis, survey
from lead.data.source import PROBLEM, Caption, Item, LoadedClip, Rejected
from lead.data.splits import check_fractions, check_frame_limits, stratified_splits

_DEFAULT_SPLITS = {"train": 0.8, "val": 0.05, "test": 0.15}


@dataclass
class BvhSource:
    """BVH files in a folder and its subfolders, brought to 22 joints at 20 fps.

    A file's id is its path in the folder without ``.bvh``. ``captions`` is a CSV or JSONL table
    (id, caption, optional split, start, end; several rows per id); without it ``template`` makes
    one caption per file, where ``{stem}`` and ``{folder}`` become the words of their names.
    A split column overrides ``splits``, the fractions of a seeded random split.
    """

    source: Path | str
    captions: Path | str | None = None
    template: str | None = None
    splits: Mapping[str, float] = field(default_factory=lambda: dict(_DEFAULT_SPLITS))
    seed: int = 0
    skeleton_map: str | None = None  # shipped name or YAML file; None: by joint names
    units: str = "auto"  # m, cm, mm, inch, auto
    up_axis: str = "auto"  # y, z, x, auto: where heads are above feet in most of a few files
    min_frames: int = 40
    max_frames: int = 199
    long_clips: str = "split"
    licence: str = "unknown: ask the owner of the files"
    name: str = "bvh"

    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = 20.0

    def __post_init__(self) -> None:
        self.settings = BvhSettings(self.skeleton_map, self.units, self.up_axis, self.fps)
        check_fractions(self.splits)
        if self.long_clips not in ("drop", "split"):
            raise RequestError(f"long_clips={self.long_clips} is unknown: say drop or split")
        check_frame_limits(self.min_frames, self.max_frames)
        if self.captions is None and self.template is None:
            raise RequestError(
                "no captions: give data.captions=FILE or data.template='... {stem} ...'"
            )
        if self.template is not None:
            check_template(self.template)

    def list_items(self) -> list[Item]:
        """Every BVH file with its captions and split, in the order of their ids.

        A caption row without a file, and a file without a caption, become items that ``load``
        rejects with the reason. Raises RequestError where the folder or the table is not right.
        """
        paths = self._find_files()
        items = self._items_of_table(paths) if self.captions else self._items_of_template(paths)
        usable = [item for item in items if PROBLEM not in item.labels]
        if not usable:
            reason = f"{self.captions}: no id names a file, ids are such as '{next(iter(paths))}'"
            if not self.captions:
                reason = f"{items[0].path}: {items[0].labels[PROBLEM]}"
            raise RequestError(reason)
        if self.up_axis == "auto":
            axis = detect_collection_up_axis([item.path for item in usable], self.settings)
            self.settings = replace(self.settings, up_axis=axis)
        return self._with_splits(items)

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """One result per item: features, or Rejected with file, line and reason."""
        usable = [item for item in items if PROBLEM not in item.labels]
        rejected = [
            Rejected(item.id, str(item.path), item.labels[PROBLEM])
            for item in items
            if PROBLEM in item.labels
        ]
        return [*rejected, *load_bvh_items(usable, self.settings)]

    def statistics(self) -> tuple[np.ndarray, np.ndarray] | None:
        """None: they are computed from the train split."""
        return None

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """Files, frames, rates, skeletons and lengths from the headers; units and axis of a few."""
        usable = [item for item in items if PROBLEM not in item.labels]
        problems = [item.labels[PROBLEM] for item in items if PROBLEM in item.labels]
        return {
            **survey([item.path for item in usable], self.settings),
            "captions": sum(len(item.captions) for item in usable),
            "splits": dict(Counter(item.split for item in usable)),
            "problems": problems,
            "licence": self.licence,
        }

    def _find_files(self) -> dict[str, Path]:
        """Id -> path, sorted by id."""
        folder = Path(self.source)
        if not folder.is_dir():
            raise RequestError(f"source={folder} is not a folder: give the folder of the BVH files")
        found = (path for path in folder.rglob("*") if path.suffix.lower() == ".bvh")
        paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}
        if not paths:
            raise RequestError(f"source={folder} holds no .bvh file")
        return dict(sorted(paths.items()))

    def _items_of_template(self, paths: Mapping[str, Path]) -> list[Item]:
        items = []
        for name, path in paths.items():
            if text := fill_template(self.template, path):
                items.append(Item(name, path, "", (Caption(text),)))
            else:
                problem = "its name holds no words for the template: give data.captions=FILE"
                items.append(Item(name, path, "", labels={PROBLEM: problem}))
        return items

    def _items_of_table(self, paths: Mapping[str, Path]) -> list[Item]:
        stems = defaultdict(list)
        for name, path in paths.items():
            stems[path.stem].append(name)
        rows: dict[str, list[CaptionRow]] = {name: [] for name in paths}
        lost = []
        for row in read_caption_table(self.captions):
            name = row.id.removesuffix(".bvh")
            matches = [name] if name in paths else stems.get(name, [])
            if len(matches) == 1:
                rows[matches[0]].append(row)
            else:
                reason = f"names {len(matches)} files" if matches else "names no .bvh file"
                problem = f"{self.captions}:{row.line}: id '{row.id}' {reason}"
                place = Path(self.captions)
                lost.append(Item(f"{row.id}:{row.line}", place, "", labels={PROBLEM: problem}))
        return [self._item_of_rows(name, paths[name], found) for name, found in rows.items()] + lost

    def _item_of_rows(self, name: str, path: Path, rows: Sequence[CaptionRow]) -> Item:
        if not rows:
            problem = f"{self.captions} has no caption for '{name}'"
            return Item(name, path, "", labels={PROBLEM: problem})
        for row in rows:
            if row.split != rows[0].split:
                raise RequestError(
                    f"{self.captions}:{row.line}: '{name}' is in split '{row.split}', "
                    f"but in '{rows[0].split}' in line {rows[0].line}"
                )
        return Item(name, path, rows[0].split, tuple(row.caption for row in rows))

    def _with_splits(self, items: Sequence[Item]) -> list[Item]:
        """Items without a split get one by the fractions; their folders are the strata."""
        strata = {
            item.id: ("all", item.path.parent.as_posix())
            for item in items
            if not item.split and PROBLEM not in item.labels
        }
        chosen = stratified_splits(strata, self.splits, seed=self.seed)
        return [replace(item, split=chosen.get(item.id, item.split)) for item in items]
