"""Sentences about trials of the CMU database, of three kinds that are kept apart.

- ``humanml3d``: people's sentences about a cut of a trial (HumanML3D, MIT), in frames at 20 fps;
  some describe the cut's mirror image
- ``kit_ml``: people's sentences about a whole trial (KIT-ML, MIT)
- ``cmu``: the line that the database itself has for a trial

A fourth kind is lead's own, about single windows: see lead.data.cmu.window_sentences.

They come from one JSON file with a list for each kind, and HumanML3D's also from its official
folder: ``index.csv``, ``texts/ID.txt`` and ``texts/MID.txt`` for the mirror image, ``test.txt``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from lead.core.errors import RequestError
from lead.core.reading import read_csv, read_json, read_text
from lead.core.schema import Count, Name, Positive, Schema, check
from lead.data.captions.tagged_lines import read_tagged_lines
from lead.data.source import Caption

_NO_SENTENCE = re.compile(r"https?:|www\.|<[a-z/]", re.IGNORECASE)
_INDEXED = re.compile(r"(?:.*/)?pose_data/CMU/\d+/(\d+_\d+)_poses\.npy")


@dataclass(frozen=True)
class Cut:
    """A part of a trial, in frames at 20 fps, with the sentences about it."""

    name: str  # HumanML3D's id, with an M in front for the mirror image
    trial: str
    start: int
    end: int
    captions: tuple[Caption, ...]
    mirrored: bool = False
    test: bool = False  # one of the official test clips


@dataclass
class Sentences:
    """All that is known about the trials, and what was wrong with some of it."""

    cuts: dict[str, list[Cut]] = field(default_factory=dict)  # trial -> its cuts, by start
    whole: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)  # -> kind, texts
    seconds: dict[str, float] = field(default_factory=dict)  # trial -> how long it is
    problems: dict[str, str] = field(default_factory=dict)  # what -> why it is left out

    def add_cut(self, cut: Cut) -> None:
        """Add a cut; the same id again, from another file, changes nothing."""
        cuts = self.cuts.setdefault(cut.trial, [])
        if all(cut.name != known.name for known in cuts):
            cuts.append(cut)
            cuts.sort(key=lambda cut: (cut.start, cut.end, cut.name))

    def add_whole(self, trial: str, kind: str, texts: tuple[str, ...]) -> None:
        """Add sentences about a whole trial; the first kind that has any is kept."""
        good = tuple(text for text in texts if not _NO_SENTENCE.search(text))
        if len(good) < len(texts):
            self.problems[f"{trial}:{kind}"] = "a sentence with a link or markup in it: left out"
        if good:
            self.whole.setdefault(trial, (kind, good))


class _Cut(Schema):
    id: Name
    split: Name
    trial: Name
    start_frame: Count
    end_frame: Count
    captions: list[str]
    captions_describe_the_mirrored_motion: bool = False


class _WholeTrial(Schema):
    trial: Name
    sentences: list[str]


class _Line(Schema):
    trial: Name
    description: str
    seconds: Positive | None = None


class _Row(Schema):
    model_config = ConfigDict(strict=False)  # a CSV knows text alone

    start_frame: Count
    end_frame: Count
    new_name: Annotated[
        str, Field(pattern=r"^\w{1,40}(\.npy)?$"), AfterValidator(lambda n: n.removesuffix(".npy"))
    ]

    @model_validator(mode="after")
    def _is_range(self) -> "_Row":
        if not self.start_frame < self.end_frame:
            raise ValueError("start_frame and end_frame are no range of frames")
        return self


class _File(Schema):
    humanml3d: list[_Cut] = []
    kit_ml: list[_WholeTrial] = []
    cmu: list[_Line] = []


def read_sentences(captions: Path | None, humanml3d: Path | None = None) -> Sentences:
    """Read the JSON file, HumanML3D's official folder, or both.

    Raises RequestError with the file, and what is wrong with it.
    """
    found = Sentences()
    if humanml3d is not None:
        _add_official(found, humanml3d)
    if captions is not None:
        _add_file(found, captions)
    return found


def _add_file(found: Sentences, path: Path) -> None:
    advice = "see the documentation of data=cmu for what it holds"
    file = check(_File, read_json(path), str(path), advice, error=RequestError)
    for cut in file.humanml3d:
        mirrored = cut.captions_describe_the_mirrored_motion
        texts = [_plain(text) for text in cut.captions if _plain(text)]
        if not cut.start_frame < cut.end_frame or not texts:
            found.problems[f"{cut.trial}:{cut.id}"] = "a cut without frames or sentences"
            continue
        name = f"M{cut.id}" if mirrored and not cut.id.startswith("M") else cut.id
        frames = (cut.start_frame, cut.end_frame)
        captions = tuple(Caption(text) for text in texts)
        found.add_cut(Cut(name, cut.trial, *frames, captions, mirrored, cut.split == "test"))
    for trial in file.kit_ml:
        texts = tuple(text for text in map(_plain, trial.sentences) if text)
        found.add_whole(trial.trial, "kit_ml", texts)
    for line in file.cmu:
        found.add_whole(line.trial, "cmu", tuple(filter(None, [_plain(line.description)])))
        if line.seconds is not None:
            found.seconds[line.trial] = line.seconds


def _plain(text: str) -> str:
    return " ".join(text.split())


def _add_official(found: Sentences, folder: Path) -> None:
    """Cuts of CMU's trials in HumanML3D's folder, and of their mirror images."""
    if not (folder / "texts").is_dir():
        raise RequestError(f"humanml3d={folder} has no folder texts: unpack texts.zip there")
    test = folder / "test.txt"
    tests = set(read_text(test).split()) if test.exists() else set()
    for name, trial, start, end in _indexed(folder / "index.csv"):
        for mirrored, id_ in ((False, name), (True, f"M{name}")):
            path = folder / "texts" / f"{id_}.txt"
            if not path.exists():
                continue
            captions, bad = read_tagged_lines(path)
            found.problems |= bad
            if captions:
                cut = Cut(id_, trial, start, end, tuple(captions), mirrored, id_ in tests)
                found.add_cut(cut)


def _indexed(path: Path) -> Iterator[tuple[str, str, int, int]]:
    """(id, trial, start, end) of every row of index.csv that cuts a trial of CMU."""
    columns = ("source_path", "start_frame", "end_frame", "new_name")
    for line, row in read_csv(path, columns):
        if match := _INDEXED.fullmatch(row["source_path"]):
            found = check(_Row, row, f"{path}:{line}", "get it again", error=RequestError)
            yield found.new_name, match[1], found.start_frame, found.end_frame
