"""No caption of a test clip is read in training: by hand, and on the motions lead comes with."""

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from lead.data.packed import PackedSplit, open_dataset
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


@dataclass
class Clips:
    """A data set of captions and kinds alone."""

    splits: dict[str, list[tuple[str, list[str]]]]

    @property
    def manifest(self):
        return type("Manifest", (), {"clips": {name: len(of) for name, of in self.splits.items()}})

    def split(self, name: str) -> PackedSplit:
        clips = self.splits[name]
        captions = [texts for _, texts in clips]
        labels = [{"captions": kind} if kind else {} for kind, _ in clips]
        return PackedSplit(name, *([None] * 4), captions, captions, labels)


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


def test_the_embedded_motions_share_lines_alone(embedded):
    """Told apart here by letters alone, without the code that is tested."""

    def letters(text: str) -> str:
        return re.sub("left|right", "side", re.sub("[^a-z]", "", text.lower()))

    train, test = embedded.split("train"), embedded.split("test")
    of_people = {
        letters(text)
        for texts, labels in zip(test.captions, test.labels, strict=True)
        if labels["captions"] != "cmu"
        for text in texts
    }
    lines = {letters(text) for texts in test.captions for text in texts} - of_people
    assert len(of_people) > 100 and len(lines) > 10
    places = readable_captions(embedded).places
    read = Counter(
        (labels["captions"], letters(texts[place]) in lines)
        for texts, labels, own in zip(train.captions, train.labels, places, strict=True)
        for place in own
        if letters(texts[place]) not in of_people or pytest.fail(texts[place])
    )
    assert {kind for kind, shared in read if shared} == {"cmu"}
    assert read["humanml3d", False] > 100 and read["cmu", True] < 60


def test_no_trial_is_in_two_splits(embedded):
    trials = {
        name: {labels["trial"] for labels in embedded.split(name).labels}
        for name in ("train", "val", "test")
    }
    assert sum(map(len, trials.values())) == len(set.union(*trials.values()))
