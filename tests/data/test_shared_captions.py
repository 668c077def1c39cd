"""No caption of a test clip is read in training: by hand, and on the motions lead comes with."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lead.data.packed import Manifest, PackedDataset, PackedSplit, open_dataset
from lead.data.packing import pack
from lead.data.shared_captions import plain_form, readable_captions
from lead.data.sources.cmu_open import CmuOpenSource


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A person walks.", "a person   walks", True),
        ("turns left, then right", "Turns right, then left!", True),
        ("walks clockwise", "walks counter-clockwise", True),
        ("a person walks", "a person walked", False),
        ("raises the left hand", "raises the hand", False),
    ],
)
def test_what_counts_as_the_same_caption(one, other, same):
    assert (plain_form(one) == plain_form(other)) is same


class Clips(PackedDataset):
    """A data set of captions and kinds alone."""

    def __init__(self, splits: dict[str, list[tuple[str | None, list[str]]]]):
        clips = {name: len(of) for name, of in splits.items()}
        super().__init__(Path("nowhere"), Manifest.model_construct(clips=clips))
        self.__dict__["splits"] = splits

    def split(self, name: str) -> PackedSplit:
        clips = self.splits[name]
        captions = [texts for _, texts in clips]
        labels = [{"captions": kind} if kind else {} for kind, _ in clips]
        none, ids = np.zeros(0), [str(n) for n in range(len(clips))]
        return PackedSplit(name, none, ids, none, none, captions, captions, labels)


TRAIN = [
    ("humanml3d", ["a man walks", "he walks slowly", "He walks to the RIGHT."]),
    ("kit_ml", ["A person runs."]),
    ("cmu", ["boxing"]),
    ("cmu", ["run"]),
    (None, ["a girl waves", "a boy waves"]),
]
TEST = [
    ("humanml3d", ["a man walks.", "he walks to the left", "run"]),
    ("kit_ml", ["a person runs"]),
    ("cmu", ["Boxing"]),
    (None, ["a boy waves"]),
]


def test_what_a_training_may_read():
    readable = readable_captions(Clips({"train": TRAIN, "test": TEST}))
    assert readable.places == [[1], [], [0], [], [0]]
    assert readable.left_out == Counter(humanml3d=2, kit_ml=1, cmu=1, captions=1)
    assert readable.lines == Counter(cmu=1)


def test_without_a_test_split_everything_is_read():
    readable = readable_captions(Clips({"train": TRAIN}))
    assert [len(own) for own in readable.places] == [3, 1, 1, 1, 2]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded") / "cmu_open"
    pack(CmuOpenSource(), folder, workers=1)
    return open_dataset(folder)


def test_nothing_is_read_of_the_embedded_motions_that_a_test_clip_has(embedded):
    """Told apart here by letters alone, without the code that is tested."""

    def letters(text: str) -> str:
        return re.sub("left|right", "side", re.sub("[^a-z]", "", text.lower()))

    train, test = embedded.split("train"), embedded.split("test")
    tested = {letters(text) for texts in test.captions for text in texts}
    there = [[letters(text) in tested for text in texts] for texts in train.captions]
    assert len(tested) > 150 and sum(map(sum, there)) > 40  # lines of takes, ordinary walks
    readable = readable_captions(embedded)
    assert not any(there[clip][n] for clip, own in enumerate(readable.places) for n in own)
    assert all(readable.places) and not readable.lines
    left_out = sum(len(texts) - len(own) for texts, own in zip(there, readable.places, strict=True))
    assert left_out == sum(map(sum, there)) == sum(readable.left_out.values())


def test_no_trial_is_in_two_splits(embedded):
    trials = {
        name: {labels["trial"] for labels in embedded.split(name).labels}
        for name in ("train", "val", "test")
    }
    assert sum(map(len, trials.values())) == len(set.union(*trials.values()))
