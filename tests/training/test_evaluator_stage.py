"""Training a judge: its losses, its pairs of captions and motions, and the run it leaves."""

import csv
import math
import pickle

import numpy as np
import pytest
import torch

from lead.cli.train_request import train_request
from lead.core.errors import RequestError, WorkError
from lead.core.reading import read_tensors
from lead.core.runs import Run
from lead.data.packed import PackedSplit, open_dataset
from lead.evaluation import metrics
from lead.evaluation.extractor.tags import TAGGERS, tag_words
from lead.evaluation.extractor.words import vocabulary_of
from lead.evaluation.judge import load_judge
from lead.training.matching import contrastive_loss, margin_loss
from lead.training.pairs import PairDataset, share_a_caption, split_tokens
from lead.training.stages import train_stage

NONE_SAME = torch.eye(2, dtype=torch.bool)
ALL_SAME = torch.ones(2, 2, dtype=torch.bool)
TEXT = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
MOTION = torch.tensor([[0.0, 1.0], [3.0, 0.0]])
"""Distances of text (rows) to motion: 1 and 3; sqrt 18 and 4."""


def test_the_margin_loss_by_hand():
    pull = (1**2 + 4**2) / 2
    for margin in (10.0, 3.5):
        push = (max(margin - 3, 0) ** 2 + max(margin - math.sqrt(18), 0) ** 2) / 2
        loss = margin_loss(TEXT, MOTION, NONE_SAME, margin)
        assert float(loss) == pytest.approx(pull + push, rel=1e-5)
    assert float(margin_loss(TEXT, MOTION, ALL_SAME, 10.0)) == pytest.approx(pull)


def test_the_contrastive_loss_by_hand():
    temperature = 0.5
    d = [[1, 3], [math.sqrt(18), 4]]
    e = [[math.exp(-value / temperature) for value in row] for row in d]
    rows = [-math.log(e[i][i] / sum(e[i])) for i in range(2)]
    columns = [-math.log(e[i][i] / (e[0][i] + e[1][i])) for i in range(2)]
    loss = contrastive_loss(TEXT, MOTION, NONE_SAME, temperature)
    assert float(loss) == pytest.approx(sum(rows + columns) / 4, rel=1e-5)
    same = contrastive_loss(TEXT, MOTION, ALL_SAME, temperature)
    assert float(same) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("loss", [margin_loss, contrastive_loss])
def test_clips_that_mean_the_same_do_not_push_each_other(loss):
    """The force on sentence 0 does not depend on motion 1, where the two mean the same."""
    generator = torch.Generator().manual_seed(0)
    text, motion = (torch.randn(3, 4, generator=generator) for _ in range(2))
    moved = motion.clone()
    moved[1] += 0.5
    none_same, same = (torch.eye(3, dtype=torch.bool) for _ in range(2))
    same[0, 1] = same[1, 0] = True

    def force(motion, same):
        free = text.clone().requires_grad_()
        return torch.autograd.grad(loss(free, motion, same, 5.0), free)[0][0]

    torch.testing.assert_close(force(motion, same), force(moved, same))
    assert (force(motion, none_same) - force(moved, none_same)).abs().max() > 1e-3


# Pairs


@pytest.fixture(scope="module")
def pairs(micro_dataset) -> PairDataset:
    dataset = open_dataset(micro_dataset)
    tokens = split_tokens(dataset.split("train"), "words")
    return PairDataset(dataset, "train", tokens, vocabulary_of(sum(tokens, [])), crop_min=20)


def test_a_batch_is_a_function_of_its_step(pairs):
    once, again, later = (pairs.__getitems__([(s, p) for p in (3, 0, 7)]) for s in (5, 5, 6))
    assert torch.equal(once.x, again.x)
    assert torch.equal(once.captions.ids, again.captions.ids)
    assert once.ids == [pairs.clips.split.ids[place] for place in (3, 0, 7)]
    different = once.x.shape != later.x.shape or not torch.equal(once.x, later.x)
    assert different
    drawn = {tuple(pairs.__getitems__([(step, 3)]).captions.ids[0].tolist()) for step in range(30)}
    known = set(map(tuple, pairs.captions.ids[pairs.starts[3] :][: pairs.counts[3]].tolist()))
    assert drawn == known and len(drawn) == 3


def test_motions_come_cropped_to_whole_snippets(pairs):
    lengths = torch.cat(
        [pairs.__getitems__([(step, place) for place in range(18)]).lengths for step in range(4)]
    )
    assert (lengths % 4 == 0).all() and lengths.min() >= 20
    assert len(lengths.unique()) > 8
    assert (lengths.reshape(4, 18).amax(dim=0).numpy() <= pairs.frames).all()


def test_clips_that_share_a_caption_are_the_same(pairs):
    texts = pairs.clips.split.captions
    batch = pairs.__getitems__([(0, place) for place in range(len(pairs))])
    same = share_a_caption(batch.mentions)
    for one in range(len(pairs)):
        for other in range(len(pairs)):
            assert same[one, other] == bool(set(texts[one]) & set(texts[other]))


def test_captions_without_tokens_are_tagged(monkeypatch):
    monkeypatch.setitem(TAGGERS, "spacy", tag_words)
    empty = np.zeros(0)
    split = PackedSplit(
        *("train", empty, ["x", "y"], empty, empty),
        *([["A b.", "C"], ["D"]], [["a/DET b/NOUN", ""], ["d/X"]], [{}, {}]),
    )
    assert split_tokens(split, "spacy") == [[["a/DET", "b/NOUN"], ["c/OTHER"]], [["d/X"]]]
    assert split_tokens(split, "words") == [[["a/OTHER", "b/OTHER"], ["c/OTHER"]], [["d/OTHER"]]]


# Runs


@pytest.fixture(scope="module")
def trained(make_values, tmp_path_factory):
    """A run of 60 steps on 18 clips."""
    folder = tmp_path_factory.mktemp("evaluator") / "run"
    options = ("stages.evaluator.max_steps=60", "stages.evaluator.validate_every=60")
    values = make_values("evaluator", folder, *options, "stages.evaluator.batch_size=16")
    train_stage(train_request(values))
    return folder


def test_a_run_is_a_judge_that_learned_its_clips(trained, micro_dataset):
    record = Run(trained).contents
    assert record["stage"] == "evaluator" and record["status"] == "finished"
    assert record["judge"] == {"name": "lead-cmu_open-tiny", "tagger": "words"}
    weights = {path.stem for path in (trained / "weights").iterdir()}
    assert weights == {"extractor", "words", "normalizer"}
    split = open_dataset(micro_dataset).split("train")
    judge = load_judge(trained)
    motions = judge.embed_motions([split.clip(place) for place in range(len(split))])
    texts = judge.embed_texts([captions[0] for captions in split.captions])
    found = metrics.r_precision(texts, motions, pool_size=len(split), top_k=3)
    assert found[2] > 3 * 3 / 18, found  # three times chance


def test_the_log_holds_retrieval_and_loss_of_the_validation_split(trained):
    with (trained / "metrics.csv").open(newline="") as stream:
        last = {row["name"]: float(row["value"]) for row in csv.DictReader(stream)}
    shares = [last[f"val/r_precision_{rank}"] for rank in (1, 2, 3)]
    assert 0 <= shares[0] <= shares[1] <= shares[2] == 1  # three validation clips
    assert {"train/loss", "val/loss"} <= last.keys()
    assert Run(trained).record.best["val/loss"] == pytest.approx(last["val/loss"])


def test_a_stopped_run_ends_in_the_same_bits(
    make_values, tmp_path, at_step, assert_same_run, monkeypatch
):
    def stop():
        raise WorkError("stopped")

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train_stage(train_request(make_values("evaluator", whole)))
    at_step(4, stop)
    with pytest.raises(WorkError, match="stopped"):
        train_stage(train_request(make_values("evaluator", stopped)))
    monkeypatch.undo()
    train_stage(train_request(make_values("evaluator", stopped, "resume=true")))
    assert_same_run(whole, stopped)


def test_a_judge_is_trained_in_32_bits(make_values, tmp_path):
    for precision in ("fp32", "bf16"):
        option = f"trainer.precision={precision}"
        train_stage(train_request(make_values("evaluator", tmp_path / precision, option)))
    one, other = (Run(tmp_path / precision).tensors("extractor") for precision in ("fp32", "bf16"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_published_word_vectors_stay_as_they_are(make_values, tmp_path, monkeypatch, trained):
    words = ["sos", "eos", "unk", "a", "person", "walks"]
    vectors = np.random.default_rng(0).normal(size=(6, 5))
    np.save(tmp_path / "our_vab_data.npy", vectors)
    rows = {word: row for row, word in enumerate(words)}
    for name, value in (("words", words), ("idx", rows)):
        (tmp_path / f"our_vab_{name}.pkl").write_bytes(pickle.dumps(value))
    options = (f"stage.glove={tmp_path}", "stage.module.loss=margin")
    monkeypatch.setitem(TAGGERS, "spacy", tag_words)
    train_stage(train_request(make_values("evaluator", tmp_path / "run", *options)))
    kept = read_tensors(tmp_path / "run/weights/words.safetensors")["vectors"].numpy()
    np.testing.assert_array_equal(kept, vectors.astype(np.float32))
    judge = load_judge(tmp_path / "run")
    assert judge.vocabulary.words == tuple(words) and judge.tagger == "spacy"
    assert judge.fingerprint != load_judge(trained).fingerprint


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stage.module.loss=contrastiv"], "did you mean 'contrastive'"),
        (["stage.module.temperature=0"], "'temperature' takes a number greater than 0"),
        (["stage.glove=nowhere"], "nowhere lacks our_vab_data.npy"),
    ],
)
def test_wrong_options_get_one_line_and_leave_nothing(make_values, tmp_path, words, message):
    with pytest.raises(RequestError) as error:
        train_stage(train_request(make_values("evaluator", tmp_path / "run", *words)))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
