"""100STYLE (Mason, Starke, Komura 2022): 100 styles of locomotion, 60 fps, CC BY 4.0.

BVH files ``STYLE/STYLE_CONTENT.bvh`` and ``Frame_Cuts.csv``, which says between which frames of
each file the style is shown: columns STYLE_NAME, then CONTENT_START and CONTENT_STOP for every
content, ``N/A`` where a style lacks it. What stands before and after is no part of the style.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from lead.core.errors import RequestError, did_you_mean
from lead.data.bvh.caption_tables import name_words
from lead.data.bvh.loading import BvhSettings, load_bvh_items
from lead.data.bvh.survey import survey
from lead.data.folders import find_files
from lead.data.source import (
    Caption,
    Item,
    LoadedClip,
    Rejected,
    Source,
    problem_item,
    problems,
    usable,
)
from lead.data.splits import (
    HELD_OUT,
    SHARES,
    check_fractions_beside_held_out,
    check_frame_limits,
    stratified_splits,
)

CUTS = "Frame_Cuts.csv"
CONTENTS = {
    "BR": "runs backward",
    "BW": "walks backward",
    "FR": "runs forward",
    "FW": "walks forward",
    "ID": "stands idle",
    "SR": "runs sideways",
    "SW": "walks sideways",
    "TR1": "changes pace again and again",
    "TR2": "changes pace again and again",
    "TR3": "changes pace again and again",
}
"""What each code in a file's name means."""

_FIELDS = ("content", "style")


@dataclass(frozen=True)
class Style100Source(Source):
    """``source`` is a folder with Frame_Cuts.csv and the BVH files, anywhere below it.

    ``captions`` are sentences in which ``{content}`` and ``{style}`` become words. ``held_out``
    names styles whose clips form the split ``heldout``.
    """

    source: Path | str
    held_out: Sequence[str] = ("Aeroplane", "Superman")
    splits: Mapping[str, float] = field(default_factory=SHARES.copy)
    captions: Sequence[str] = ("a person {content} in {style} style",)
    min_frames: int = 40
    max_frames: int = 199

    name: ClassVar[str] = "style100"
    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = 20.0
    licence: ClassVar[str] = "CC BY 4.0"
    long_clips: ClassVar[str] = "split"

    def __post_init__(self) -> None:
        check_fractions_beside_held_out(self.splits)
        check_frame_limits(self.min_frames, self.max_frames)
        if not self.captions:
            raise RequestError("captions is empty: give sentences with {content} and {style}")
        for caption in self.captions:
            if set(re.findall(r"{(.*?)}", caption)) - set(_FIELDS):
                raise RequestError(f"captions: '{caption}' may hold {{content}} and {{style}} only")

    def list_items(self) -> list[Item]:
        """Every BVH file in the order of their names, with captions, labels and split.

        A file without a usable cut becomes an item labelled ``problem``, which ``load`` reports.
        Raises RequestError where the folder or the list of cuts is not right.
        """
        cuts = self._cuts
        found = find_files(self.source, ".bvh")
        if not found:
            raise RequestError(f"source={self.source} holds no .bvh file")
        reasons = {path: problem or _problem(path, cuts) for path, problem in found.items()}
        good = [path for path, reason in reasons.items() if not reason]
        if not good:
            raise RequestError("{}: {}".format(*next(iter(reasons.items()))))
        return [
            *self._items(good, cuts),
            *(problem_item(p.stem, p, reason) for p, reason in reasons.items() if reason),
        ]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """Features of each item's cut at 20 fps, or Rejected with its reason."""
        cuts = self._cuts
        chosen = {item.id: cuts[_parts(item.path)] for item in items}
        return load_bvh_items(items, self._settings, chosen)

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """What the headers and a few files say, counts per split, content and style."""
        good = usable(items)
        return {
            **survey([item.path for item in good], self._settings),
            "splits": dict(Counter(item.split for item in good)),
            "held_out": list(self.held_out),
            "contents": dict(sorted(Counter(item.labels["content"] for item in good).items())),
            "styles": len({item.labels["style"] for item in good}),
            "problems": problems(items),
            "licence": self.licence,
        }

    @property
    def _settings(self) -> BvhSettings:
        return BvhSettings("style100", units="cm", up_axis="y", fps=self.fps)

    @cached_property
    def _cuts(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(style, content) -> first frame and the one after the last, at the files' own rate."""
        found = [path for path in find_files(self.source, CUTS) if path.name == CUTS]
        if not found:
            raise RequestError(f"source={self.source} holds no {CUTS}: it comes with the BVH files")
        return _read_cuts(found[0])

    def _items(self, paths: Sequence[Path], cuts: Mapping) -> list[Item]:
        styles = {style for style, _ in cuts}
        for style in self.held_out:
            if style not in styles:
                hint = did_you_mean(style, styles)
                raise RequestError(f"held_out: {CUTS} lists no style '{style}', {hint}")
        strata = {
            path.stem: ("all", _parts(path)[0])
            for path in paths
            if _parts(path)[0] not in self.held_out
        }
        splits = stratified_splits(strata, self.splits)
        items = []
        for path in paths:
            style, content = _parts(path)
            texts = [
                text.replace("{content}", CONTENTS[content]).replace("{style}", name_words(style))
                for text in self.captions
            ]
            captions = tuple(map(Caption, texts))
            labels = {"style": style, "content": content}
            split = splits.get(path.stem, HELD_OUT)
            items.append(Item(path.stem, path, split, captions, labels))
        return items


def _parts(path: Path) -> tuple[str, str]:
    """Style and content of a file: ``Aeroplane_BR.bvh`` -> (Aeroplane, BR)."""
    style, _, content = path.stem.rpartition("_")
    return style, content


def _problem(path: Path, cuts: Mapping[tuple[str, str], tuple[int, int]]) -> str:
    style, content = _parts(path)
    if not style or content not in CONTENTS:
        return f"the name does not read STYLE_CONTENT.bvh, with one of {', '.join(CONTENTS)}"
    if (style, content) not in cuts:
        return f"{CUTS} has no frames for {style} {content}"
    return ""


def _read_cuts(path: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """The table of cuts; RequestError with file and line where it is not right."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read ({error}): fetch it again") from error
    rows = csv.DictReader(lines)
    names = [name.strip() for name in rows.fieldnames or ()]
    rows.fieldnames = names
    contents = [name.removesuffix("_START") for name in names if name.endswith("_START")]
    if "STYLE_NAME" not in names or not contents:
        raise RequestError(f"{path}:1: no columns STYLE_NAME, FW_START, FW_STOP, ...: wrong file?")
    cuts = {}
    for row in rows:
        for content in contents:
            cut = _cut(row.get(f"{content}_START"), row.get(f"{content}_STOP"))
            if cut is None:
                raise RequestError(
                    f"{path}:{rows.line_num}: {content} from {row.get(f'{content}_START')!r} to "
                    f"{row.get(f'{content}_STOP')!r} is no range of frames"
                )
            if cut:
                cuts[row["STYLE_NAME"].strip(), content] = cut
    return cuts


def _cut(start: str | None, stop: str | None) -> tuple[int, int] | tuple[()] | None:
    """The range, an empty tuple where the style lacks the content, None where it is no range."""
    texts = [(text or "").strip() for text in (start, stop)]
    if all(text.upper() in ("", "N/A", "NA", "NAN") for text in texts):
        return ()
    try:
        first, end = (int(float(text)) for text in texts)
    except ValueError:
        return None
    return (first, end) if 0 <= first < end else None
