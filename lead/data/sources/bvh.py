"""Any folder of BVH and ASF/AMC files, with captions from a table or from the file names."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lead.core.errors import RequestError
from lead.data.bvh.caption_tables import (
    CaptionRow,
    check_template,
    fill_template,
    read_caption_table,
)
from lead.data.bvh.conventions import METRES, UP_AXES
from lead.data.bvh.loading import BvhSettings, load_bvh_items
from lead.data.bvh.motion_files import AMC, AMC_FPS, BVH, SUFFIXES
from lead.data.bvh.survey import detect_collection_up_axis, survey
from lead.data.folders import find_files
from lead.data.source import (
    PROBLEM,
    Caption,
    Item,
    LoadedClip,
    Rejected,
    Source,
    problem_item,
    problems,
    usable,
)
from lead.data.splits import SHARES, check_fractions, check_frame_limits, stratified_splits


@dataclass
class BvhSource(Source):
    """BVH and AMC files in a folder and its subfolders, brought to 22 joints at 20 fps.

    An AMC file needs its ASF skeleton beside it (see lead.data.acclaim.find_skeleton). A file's id
    is its path in the folder without its ending. ``captions`` is a CSV or JSONL table
    (id, caption, optional split, start, end; several rows per id); without it ``template`` makes
    one caption per file, where ``{stem}`` and ``{folder}`` become the words of their names.
    A split column overrides ``splits``, the fractions of a seeded random split.
    """

    source: Path | str
    captions: Path | str | None = None
    template: str | None = None
    splits: Mapping[str, float] = field(default_factory=SHARES.copy)
    seed: int = 0
    skeleton_map: str | None = None  # shipped name or YAML file; None: by joint names
    units: Literal[(*METRES, "auto")] = "auto"
    up_axis: Literal[(*UP_AXES, "auto")] = "auto"  # auto: judged for each file
    amc_fps: Annotated[float | int, Field(ge=1, le=1000)] = (
        AMC_FPS  # of AMC files, which do not say theirs
    )
    min_frames: int = 40
    max_frames: int = 199
    long_clips: Literal["drop", "split"] = "split"
    licence: str = "unknown: ask the owner of the files"
    name: str = "bvh"

    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = 20.0

    def __post_init__(self) -> None:
        self.settings = BvhSettings(
            *(self.skeleton_map, self.units, self.up_axis, self.fps), amc_fps=self.amc_fps
        )
        check_fractions(self.splits)
        check_frame_limits(self.min_frames, self.max_frames)
        if self.captions is None and self.template is None:
            raise RequestError(
                "no captions: give data.captions=FILE or data.template='... {stem} ...'"
            )
        if self.template is not None:
            check_template(self.template)

    def list_items(self) -> list[Item]:
        """Every motion file with its captions and split, in the order of their ids.

        A caption row without a file, and a file without a caption, become items that ``load``
        rejects with the reason. Raises RequestError where the folder or the table is not right.
        """
        paths, closed = self._find_files()
        items = self._items_of_table(paths) if self.captions else self._items_of_template(paths)
        if not usable(items):
            reason = f"{self.captions}: no id names a file, ids are such as '{next(iter(paths))}'"
            if not self.captions:
                reason = f"{items[0].path}: {items[0].labels[PROBLEM]}"
            raise RequestError(reason)
        if self.up_axis == "auto":
            axis = detect_collection_up_axis([item.path for item in usable(items)], self.settings)
            self.settings = replace(self.settings, usual_axis=axis)
        return [*self._with_splits(items), *closed]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """One result per item: features, or Rejected with file, line and reason."""
        return load_bvh_items(items, self.settings)

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """Files, frames, rates, skeletons and lengths from the headers; units and axis of a few."""
        return {
            **survey([item.path for item in usable(items)], self.settings),
            "captions": sum(len(item.captions) for item in usable(items)),
            "splits": dict(Counter(item.split for item in usable(items))),
            "problems": problems(items),
            "licence": self.licence,
        }

    def _find_files(self) -> tuple[dict[str, Path], list[Item]]:
        """Id -> path, sorted by id, and items for what cannot be looked at."""
        paths, closed = {}, []
        for path, problem in find_files(self.source, *SUFFIXES).items():
            whole = path.relative_to(self.source).as_posix()
            name = whole.removesuffix(path.suffix)
            if name in paths:
                problem = f"the same motion as {paths[name].name} beside it: rename one of them"
            if problem:
                closed.append(problem_item(whole, path, problem))
            else:
                paths[name] = path
        if not paths:
            reason = "".join(f": {item.path} {item.labels[PROBLEM]}" for item in closed[:1])
            raise RequestError(f"source={self.source} holds no .bvh or .amc file{reason}")
        return dict(sorted(paths.items())), closed

    def _items_of_template(self, paths: Mapping[str, Path]) -> list[Item]:
        items = []
        for name, path in paths.items():
            if text := fill_template(self.template, path):
                items.append(Item(name, path, "", (Caption(text),)))
            else:
                problem = "its name holds no words for the template: give data.captions=FILE"
                items.append(problem_item(name, path, problem))
        return items

    def _items_of_table(self, paths: Mapping[str, Path]) -> list[Item]:
        stems = defaultdict(list)
        for name, path in paths.items():
            stems[path.stem].append(name)
        rows: dict[str, list[CaptionRow]] = {name: [] for name in paths}
        lost = []
        for row in read_caption_table(self.captions):
            name = row.id.removesuffix(BVH).removesuffix(AMC)
            matches = [name] if name in paths else stems.get(name, [])
            if len(matches) == 1:
                rows[matches[0]].append(row)
            else:
                reason = f"names {len(matches)} files" if matches else "names no motion file"
                problem = f"{self.captions}:{row.line}: id '{row.id}' {reason}"
                lost.append(problem_item(f"{row.id}:{row.line}", Path(self.captions), problem))
        return [self._item_of_rows(name, paths[name], found) for name, found in rows.items()] + lost

    def _item_of_rows(self, name: str, path: Path, rows: Sequence[CaptionRow]) -> Item:
        if not rows:
            return problem_item(name, path, f"{self.captions} has no caption for '{name}'")
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
            for item in usable(items)
            if not item.split
        }
        chosen = stratified_splits(strata, self.splits, seed=self.seed)
        return [replace(item, split=chosen.get(item.id, item.split)) for item in items]
