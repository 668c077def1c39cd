"""The Bandai-Namco Research motion data sets 1 and 2 (2022), CC BY-NC 4.0.

BVH files ``dataset-D_CONTENT_STYLE_ID.bvh``, 30 fps, centimetres, y up. The collection has no
sentences: captions are put together from content and style by a book of phrases.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from lead.core.errors import RequestError, did_you_mean
from lead.data.archives import ARCHIVE_SUFFIXES, is_archive, unpack
from lead.data.bvh.loading import BvhSettings, load_bvh_items
from lead.data.bvh.survey import survey
from lead.data.captions.phrase_book import BANDAI_NAMCO, PhraseBook, read_phrase_book
from lead.data.source import PROBLEM, Caption, Item, LoadedClip, Rejected
from lead.data.splits import (
    HELD_OUT,
    check_fractions_beside_held_out,
    check_frame_limits,
    stratified_splits,
)

"""The split of the styles that no stage trains, validates or tests on."""

_NAME = re.compile(r"(?P<set>dataset-\d+)_(?P<content>[^_]+)_(?P<style>[^_]+)_\d+")
_PATTERN = "dataset-D_CONTENT_STYLE_ID.bvh"


@dataclass(frozen=True)
class BandaiNamcoSource:
    """``source`` is a folder with the BVH files anywhere below it, or archives of them.

    Archives (one file, or all of a folder that has no BVH files below it) are unpacked into
    ``cache``, or into a temporary folder that goes with this process. ``held_out`` names styles as
    ``dataset-1:chimpira``; their clips form the split ``heldout``. ``captions`` is another phrase
    book (YAML) than the shipped one.
    """

    source: Path | str
    held_out: Sequence[str] = ("dataset-1:chimpira", "dataset-1:childish", "dataset-2:elderly")
    splits: Mapping[str, float] = field(
        default_factory=lambda: {"train": 0.8, "val": 0.05, "test": 0.15}
    )
    captions_per_clip: int = 8
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
        if self.captions_per_clip < 1:
            raise RequestError(f"captions_per_clip is {self.captions_per_clip}: at least 1")
        self._held_out_styles()

    def list_items(self) -> list[Item]:
        """Every BVH file in the order of their names, with captions, labels and split.

        A file that cannot be used becomes an item labelled ``problem``, which ``load`` reports.
        Raises RequestError where no file has a name of this collection.
        """
        folders = self._folders()
        paths = sorted(
            (path for folder in folders for path in _bvh_files(folder)),
            key=lambda path: (path.name, len(path.parts), str(path)),
        )
        usable: dict[str, tuple[Path, re.Match]] = {}
        problems: list[Item] = []
        for path in paths:
            match = _NAME.fullmatch(path.stem)
            reason = self._problem(match, path, usable)
            if reason:
                relative = next(path.relative_to(f) for f in folders if path.is_relative_to(f))
                problems.append(Item(str(relative), path, "rejected", labels={PROBLEM: reason}))
            else:
                usable[path.stem] = (path, match)
        if not usable:
            reason = problems[0].labels[PROBLEM] if problems else "there are no BVH files"
            raise RequestError(
                f"{self.source} has no file {_PATTERN} of the Bandai-Namco collection ({reason}): "
                "give the folder of the unpacked data sets, or of their .tar.xz archives"
            )
        return [*self._items(usable), *problems]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """Features of each item at 20 fps, or Rejected with its reason."""
        broken = [item for item in items if PROBLEM in item.labels]
        rejected = [Rejected(item.id, str(item.path), item.labels[PROBLEM]) for item in broken]
        usable = [item for item in items if PROBLEM not in item.labels]
        return [*rejected, *load_bvh_items(usable, self._settings)]

    def captions_of(self, clip_id: str, labels: Mapping[str, str]) -> tuple[Caption, ...]:
        """Sentences for one clip, of its content and style; the same for the same id always."""
        content, style = labels["content"], labels["style"]
        count = self.captions_per_clip
        texts = self._book.describe(content, style, seed_text=clip_id, count=count)
        return tuple(Caption(text) for text in texts)

    def statistics(self) -> tuple[np.ndarray, np.ndarray] | None:
        """None: they are computed from the train split."""
        return None

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """What the headers and a few files say, counts per split, content and style, captions."""
        usable = [item for item in items if PROBLEM not in item.labels]
        captions = [caption.text for item in usable for caption in item.captions]
        return {
            **survey([item.path for item in usable], self._settings),
            "splits": dict(Counter(item.split for item in usable)),
            "held_out": list(self.held_out),
            "contents": dict(sorted(Counter(item.labels["content"] for item in usable).items())),
            "styles": dict(sorted(Counter(_style_of(item) for item in usable).items())),
            "captions": len(captions),
            "different captions": len(set(captions)),
            "problems": [item.labels[PROBLEM] for item in items if PROBLEM in item.labels],
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

    def _folders(self) -> list[Path]:
        """The folders to search, archives unpacked."""
        source = Path(self.source).expanduser()
        if is_archive(source):
            archives = [source]
        elif source.is_dir():
            if next(_bvh_files(source), None):
                return [source]
            archives = sorted(path for path in source.iterdir() if is_archive(path))
        elif source.exists():
            endings = ", ".join(ARCHIVE_SUFFIXES)
            raise RequestError(f"{source} is neither a folder nor an archive ({endings})")
        else:
            raise RequestError(f"{source} does not exist: set source=DIR")
        cache = None if self.cache is None else Path(self.cache).expanduser()
        return [unpack(archive, ".bvh", cache) for archive in archives]

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


def _bvh_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() == ".bvh" and not path.name.startswith(".") and path.is_file():
            yield path
