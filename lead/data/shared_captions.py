"""Captions that stand in two splits, and what a training may read of them.

Two texts are the same caption where their words are, whatever their case, punctuation and spaces
are, or where one describes the mirror image of the other.
"""

import re
from collections import Counter
from dataclasses import dataclass

from lead.data.caption_kinds import KIND
from lead.data.captions.mirroring import mirror_caption
from lead.data.packed import PackedDataset, PackedSplit

LINES = "cmu"  # the kind of captions that name a take, as many takes are named
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Readable:
    """The places of the captions of each training clip that may be read.

    ``left_out`` counts those that may not, ``lines`` those that a test clip has too and that stay,
    both by the kind of the training clip's captions.
    """

    places: list[list[int]]
    left_out: Counter
    lines: Counter


def plain_form(text: str) -> tuple[str, ...]:
    """The words of a caption, the same for its mirror image."""
    return min(tuple(_WORD.findall(side.lower())) for side in (text, mirror_caption(text)))


def readable_captions(dataset: PackedDataset) -> Readable:
    """The captions of ``train`` that no clip of ``test`` has; all where there is no such split.

    A clip whose captions are all taken away keeps them where they are lines that name a take
    ("walk", "boxing") and no clip of ``test`` has the like from people; else it has none left.
    """
    split = dataset.split("train")
    everyone, people = set(), set()
    if "test" in dataset.manifest.clips:
        everyone, people = _forms(dataset.split("test"))
    readable = Readable([], Counter(), Counter())
    for captions, labels in zip(split.captions, split.labels, strict=True):
        kind, forms = labels.get(KIND, labels.get("part", "captions")), map(plain_form, captions)
        taken = [(form in everyone, form in people) for form in forms]
        own = [place for place, (found, _) in enumerate(taken) if not found]
        if not own and kind == LINES:
            own = [place for place, (_, by_people) in enumerate(taken) if not by_people]
            readable.lines[kind] += len(own)
        readable.left_out[kind] += len(captions) - len(own)
        readable.places.append(own)
    return readable


def _forms(split: PackedSplit) -> tuple[set, set]:
    """The forms of all captions of a split, and of those that no line is among."""
    everyone, people = set(), set()
    for captions, labels in zip(split.captions, split.labels, strict=True):
        forms = set(map(plain_form, captions))
        everyone |= forms
        people |= set() if labels.get(KIND) == LINES else forms
    return everyone, people
