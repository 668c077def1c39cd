"""Sentences of a data set and of files beside it, for what learns language without motions.

A file is JSON: a list of sentences for each motion, as HumanML3D's captions.json has it, or the
motion's ``annotations`` with a ``text`` each, as KIT-ML's annotations.json. Where ``val.txt`` and
``test.txt`` lie beside it, the motions that they list are for validation and left unseen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import RootModel

from lead.core.errors import RequestError
from lead.core.reading import read_text
from lead.core.schema import Schema, Sentence, read_file
from lead.data.packed import PackedDataset
from lead.data.shared_captions import plain_form

UNSEEN = ("test", "heldout")


class _Annotation(Schema):
    text: Sentence


class _Motion(Schema):
    annotations: list[_Annotation]


class _File(RootModel[dict[str, list[Sentence] | _Motion]]):
    pass


@dataclass(frozen=True)
class Sentences:
    """Different sentences, sorted: to train on, to choose a checkpoint by, and never to see.

    None of the first two has the words of one that is unseen, or of its mirror image.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    unseen: tuple[str, ...]


def gather_sentences(dataset: PackedDataset, files: Sequence[str | Path] = ()) -> Sentences:
    """The captions of a data set, and the sentences of ``files``.

    Without a split ``val``, or a file for it, training sentences validate. Raises RequestError for
    a file that cannot be read.
    """
    found: dict[str, set[str]] = {"train": set(), "val": set(), "unseen": set()}
    for split in dataset.manifest.clips:
        place = "unseen" if split in UNSEEN else split
        for captions in dataset.split(split).captions:
            found.setdefault(place, set()).update(captions)
    for path in map(Path, files):
        _add(found, path)
    unseen = {plain_form(text) for text in found["unseen"]}
    train, val = (
        {text for text in found[name] if text.strip() and plain_form(text) not in unseen}
        for name in ("train", "val")
    )
    parts = (train, (val - train) or train, found["unseen"])
    return Sentences(*(tuple(sorted(part)) for part in parts))


def _add(found: dict[str, set[str]], path: Path) -> None:
    motions = read_file(_File, path, "give a file of sentences", error=RequestError).root
    places = {}
    for name, place in (("val", "val"), ("test", "unseen")):
        listed = path.parent / f"{name}.txt"
        if listed.is_file():
            places |= dict.fromkeys(read_text(listed).split(), place)
    for motion, own in motions.items():
        texts = own if isinstance(own, list) else [one.text for one in own.annotations]
        found[places.get(motion, "train")].update(texts)
