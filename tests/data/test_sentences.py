"""Sentences for what learns language: none that is kept for judging is trained on."""

import json
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import LeadError
from lead.data.packed import Manifest, PackedDataset, PackedSplit
from lead.data.sentences import gather_sentences
from lead.data.shared_captions import plain_form


class Clips(PackedDataset):
    """A data set of captions alone."""

    def __init__(self, **splits: list[list[str]]):
        clips = {name: len(of) for name, of in splits.items()}
        super().__init__(Path("nowhere"), Manifest.model_construct(clips=clips))
        self.__dict__["splits"] = splits

    def split(self, name: str) -> PackedSplit:
        captions, none = self.splits[name], np.zeros(0)
        ids, labels = [str(n) for n in range(len(captions))], [{} for _ in captions]
        return PackedSplit(name, none, ids, none, none, captions, captions, labels)


def test_captions_with_the_words_of_an_unseen_one_are_left_out(tmp_path):
    dataset = Clips(
        train=[["a man walks", "he waves his left hand"], ["somebody sits", "A man runs."]],
        val=[["someone bows", "somebody sits", "a man runs"]],
        test=[["a man runs", "He waves his RIGHT hand."]],
        heldout=[["a man crawls"]],
    )
    humans = tmp_path / "one" / "captions.json"
    humans.parent.mkdir()
    humans.write_text(json.dumps({"1": ["a man crawls", "a man hops"], "2": ["x y"], "3": ["z"]}))
    (humans.parent / "val.txt").write_text("2\n")
    (humans.parent / "test.txt").write_text("3\n")
    listed = tmp_path / "annotations.json"
    listed.write_text(
        json.dumps({"7": {"path": "p", "annotations": [{"text": "Z!"}, {"text": "b"}]}})
    )
    found = gather_sentences(dataset, [humans, listed])
    assert found.train == ("a man hops", "a man walks", "b", "somebody sits")
    assert found.val == ("someone bows", "x y")
    unseen = {"a man runs", "He waves his RIGHT hand.", "a man crawls", "z"}
    assert set(found.unseen) == unseen
    forms = {plain_form(text) for text in unseen}
    assert not forms & {plain_form(text) for text in (*found.train, *found.val)}


def test_without_validation_sentences_those_of_the_training_validate():
    found = gather_sentences(Clips(train=[["one", "two"]]))
    assert found.val == found.train == ("one", "two")


@pytest.mark.parametrize("text", ["[]", '{"1": [2]}', '{"1": {"annotations": "x"}}', "nonsense"])
def test_other_files_are_refused_by_name(tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(LeadError, match=r"odd\.json"):
        gather_sentences(Clips(train=[["one"]]), [path])
