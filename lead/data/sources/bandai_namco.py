"""The Bandai-Namco Research motion data sets 1 and 2 (2022), CC BY-NC 4.0.

BVH files ``dataset-D_CONTENT_STYLE_ID.bvh``, 30 fps, centimetres, y up. The collection has no
sentences: captions are put together from content and style by a book of phrases.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from lead.core.errors import RequestError, did_you_mean
from lead.data.archives import ARCHIVE_SUFFIXES, is_archive, unpack
from lead.data.bvh.loading import BvhSettings, load_bvh_items
from lead.data.bvh.survey import survey
from lead.data.captions.phrase_book import BANDAI_NAMCO, PhraseBook, read_phrase_book
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

_NAME = re.compile(r"(?P<set>dataset-\d+)_(?P<content>[^_]+)_(?P<style>[^_]+)_\d+")
_PATTERN = "dataset-D_CONTENT_STYLE_ID.bvh"


@dataclass(frozen=True)
class BandaiNamcoSource(Source):
    """``source`` is a folder with the BVH files anywhere below it, or archives of them.

    Archives (one file, or all of a folder that has no BVH files below it) are unpacked into
    ``cache``, or into a temporary folder that goes with this process. ``held_out`` names styles as
    ``dataset-1:chimpira``; their clips form the split ``heldout``. ``captions`` is another phrase
    book (YAML) than the shipped one.
    """

    source: Path | str
    held_out: Sequence[str] = ("dataset-1:chimpira", "dataset-1:childish", "dataset-2:elderly")
    splits: Mapping[str, float] = field(default_factory=SHARES.copy)
    captions_per_clip: Annotated[int, Field(ge=1)] = 8
    captions: Path | str | None = None
    cache: Path | str | None = None
    min_frames: int = 12  # the shortest clip: 19 frames at 30 fps
    max_frames: int = 199

    name: ClassVar[str] = "bandai_namco"
    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = 20.0
    licence: ClassVar[str] = "CC BY-NC 4.0"
    long_clips: ClassVar[str] = "split"

    def __post_init__(self) -> None:
        check_fractions_beside_held_out(self.splits)
        check_frame_limits(self.min_frames, self.max_frames)
        self._held_out_styles()

    def list_items(self) -> list[Item]:
        """Every BVH file in the order of their names, with captions, labels and split.

        A file that cannot be used becomes an item labelled ``problem``, which ``load`` reports.
        Raises RequestError where no file has a name of this collection.
        """
        folders = self._folders()
        found = {path: why for files in folders.values() for path, why in files.items()}
        matches: dict[str, tuple[Path, re.Match]] = {}
        unusable: list[Item] = []
        for path in sorted(found, key=lambda path: (path.name, len(path.parts), str(path))):
            match = _NAME.fullmatch(path.stem)
            reason = found[path] or self._problem(match, path, matches)
            if reason:
                relative = next(path.relative_to(f) for f in folders if path.is_relative_to(f))
                unusable.append(problem_item(str(relative), path, reason))
            else:
                matches[path.stem] = (path, match)
        if not matches:
            reason = next(iter(problems(unusable)), "there are no BVH files")
            raise RequestError(
                f"{self.source} has no file {_PATTERN} of the Bandai-Namco collection ({reason}): "
                "give the folder of the unpacked data sets, or of their .tar.xz archives"
            )
        return [*self._items(matches), *unusable]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """Features of each item at 20 fps, or Rejected with its reason."""
        return load_bvh_items(items, self._settings)

    def captions_of(self, clip_id: str, labels: Mapping[str, str]) -> tuple[Caption, ...]:
        """Sentences for one clip, of its content and style; the same for the same id always."""
        content, style = labels["content"], labels["style"]
        count = self.captions_per_clip
        texts = self._book.describe(content, style, seed_text=clip_id, count=count)
        return tuple(Caption(text) for text in texts)

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """What the headers and a few files say, counts per split, content and style, captions."""
        good = usable(items)
        captions = [caption.text for item in good for caption in item.captions]
        return {
            **survey([item.path for item in good], self._settings),
            "splits": dict(Counter(item.split for item in good)),
            "held_out": list(self.held_out),
            "contents": dict(sorted(Counter(item.labels["content"] for item in good).items())),
            "styles": dict(sorted(Counter(_style_of(item) for item in good).items())),
            "captions": len(captions),
            "different captions": len(set(captions)),
            "problems": problems(items),
            "licence": self.licence,
        }

    @property
    def _settings(self) -> BvhSettings:
        return BvhSettings("bandai_namco", units="cm", up_axis="y", fps=self.fps)

    @property
    def _book(self) -> PhraseBook:
        return read_phrase_book(BANDAI_NAMCO if self.captions is None else Path(self.captions))

    def _held_out_styles(self) -> set[tuple[str, str]]:
        styles = self._book.styles
        pairs = set()
        for entry in self.held_out:
            collection, _, style = str(entry).partition(":")
            if not re.fullmatch(r"dataset-\d+", collection) or not style:
                raise RequestError(f"held_out: '{entry}' has to read like dataset-1:chimpira")
            if style not in styles:
                hint = did_you_mean(style, styles)
                raise RequestError(f"held_out: unknown style '{style}' in '{entry}', {hint}")
            pairs.add((collection, style))
        return pairs

    def _folders(self) -> dict[Path, dict[Path, str]]:
        """The files (path -> problem) of each folder to search, archives unpacked."""
        source = Path(self.source).expanduser()
        archives = [source]
        if not is_archive(source):
            if source.exists() and not source.is_dir():
                endings = ", ".join(ARCHIVE_SUFFIXES)
                raise RequestError(f"{source} is neither a folder nor an archive ({endings})")
            found = find_files(source, ".bvh")
            if found:
                return {source: found}
            archives = sorted(path for path in source.iterdir() if is_archive(path))
        cache = None if self.cache is None else Path(self.cache).expanduser()
        unpacked = [unpack(archive, ".bvh", cache) for archive in archives]
        return {folder: find_files(folder, ".bvh") for folder in unpacked}

    def _problem(self, match: re.Match | None, path: Path, known: Mapping[str, tuple]) -> str:
        if match is None:
            return f"the name does not read {_PATTERN}: rename it, or import it with data=bvh"
        if path.stem in known:
            return f"the same name as {known[path.stem][0]}: remove one of them"
        return self._book.missing(match["content"], match["style"])

    def _items(self, usable: Mapping[str, tuple[Path, re.Match]]) -> Iterator[Item]:
        held_out = self._held_out_styles()
        strata = {
            name: match.group("set", "content", "style")
            for name, (_, match) in usable.items()
            if match.group("set", "style") not in held_out
        }
        splits = stratified_splits(strata, self.splits)
        for name, (path, match) in usable.items():
            captions = self.captions_of(name, match.groupdict())
            yield Item(name, path, splits.get(name, HELD_OUT), captions, match.groupdict())


def _style_of(item: Item) -> str:
    return f"{item.labels['set']}:{item.labels['style']}"
