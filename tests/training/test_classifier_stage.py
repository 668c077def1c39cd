"""Training the classifier: rare classes, the unseen half, and a run that names unseen clips."""

from collections import Counter

import numpy as np
import pytest
import torch

from lead.cli.config import compose
from lead.cli.train_request import train_request
from lead.core.errors import RequestError
from lead.data.packed import PackedDataset
from lead.evaluation.classifier import divide_held_out, load_classifier
from lead.training.classifier_stage import ClassifierStage
from lead.training.labelled_clips import (
    UNKNOWN,
    LabelledClips,
    classes_of,
    collate_labelled,
    evened,
)
from lead.training.stages import train_stage

KINDS = ["style", "content"]


def values_of(folder, run, *words: str) -> dict:
    given = (f"dataset={folder}", f"run={run}", "trainer.progress=false", "trainer.threads=1")
    light = ("trainer.accelerator=cpu", "trainer.precision=fp32", "stages.classifier.max_steps=60")
    small = ("stages.classifier.batch_size=16", "model.classifier.width=16")
    few = ("stages.classifier.validate_every=30", "stages.classifier.optimizer.warmup_steps=5")
    own = ("stages.classifier.optimizer.lr=0.01",)
    return compose("train", ["stage=classifier", *given, *light, *small, *few, *own, *words])


def members_of(dataset: PackedDataset, split: str) -> list:
    clips = dataset.split(split)
    return [(clips, place) for place in range(len(clips))]


def test_it_names_clips_that_it_never_saw(styled, tmp_path):
    values = values_of(styled.folder, tmp_path / "run")
    run = train_stage(train_request(values))
    classifier = load_classifier(run.folder)
    assert classifier.classes == {
        "style": ("elderly", "low", "middle"),
        "content": ("bow", "run", "walk"),
    }
    held_out, test = styled.split("heldout"), styled.split("test")
    unseen = [(held_out, place) for place in divide_held_out(styled)["kept"]]
    unseen += [(test, place) for place in range(len(test))]
    found = classifier.predict([split.clip(place) for split, place in unseen])
    for kind in KINDS:
        wanted = [split.labels[place][kind] for split, place in unseen]
        assert np.mean(np.array(found[kind].labels) == wanted) > 0.8  # chance is a third


def test_it_is_never_shown_the_kept_half(styled, tmp_path):
    values = values_of(styled.folder, tmp_path / "run")
    data = ClassifierStage.set_up(train_request(values), styled).data
    kept = set(divide_held_out(styled)["kept"])
    shown = {split.ids[p] for split, p in (*data.train.members, *data.validation.members)}
    held_out = styled.split("heldout")
    assert not shown & {held_out.ids[place] for place in kept}
    assert not shown & set(styled.split("test").ids)
    assert shown & {held_out.ids[place] for place in divide_held_out(styled)["taught"]}


def test_rare_classes_come_more_often(styled):
    train = members_of(styled, "train")
    low = [m for m in train if m[0].labels[m[1]]["style"] == "low"]
    middle = [m for m in train if m[0].labels[m[1]]["style"] == "middle"][:2]
    counts = Counter(split.ids[place] for split, place in evened([*low, *middle], ["style"]))
    assert {counts[split.ids[place]] for split, place in low} == {1}
    assert {counts[split.ids[place]] for split, place in middle} == {3}  # sqrt(18 / 2)


def test_crops_hang_on_step_and_place_alone(styled):
    clips = LabelledClips(styled, members_of(styled, "train"), {"style": ["low"]}, crop_min=0.5)
    (_, first, _), (_, again, _), (_, later, _) = clips[3, 5], clips[3, 5], clips[4, 5]
    assert np.array_equal(first, again)
    assert first.shape != later.shape or not np.array_equal(first, later)
    lengths = {len(clips[step, 5][1]) for step in range(50)}
    whole = int(clips.frames[5])
    assert min(lengths) >= whole / 2 and max(lengths) <= whole and len(lengths) > 5


def test_a_class_without_training_clips_is_left_out_of_the_loss(styled):
    clips = LabelledClips(styled, members_of(styled, "test"), {"style": ["middle"]})
    batch = collate_labelled([clips[0, row] for row in range(len(clips))])
    styles = [split.labels[place]["style"] for split, place in clips.members]
    expected = [0 if style == "middle" else UNKNOWN for style in styles]
    assert torch.equal(batch.labels["style"], torch.tensor(expected))


def test_a_batch_of_classes_without_training_clips_has_no_loss(styled, tmp_path):
    request = train_request(values_of(styled.folder, tmp_path / "run"))
    stage = ClassifierStage.set_up(request, styled).module
    clips = LabelledClips(styled, members_of(styled, "test"), {"style": ["none"], "content": []})
    batch = collate_labelled([clips[0, row] for row in range(len(clips))])
    assert all((of == UNKNOWN).all() for of in batch.labels.values())
    assert stage._loss(stage._logits(batch), batch) == 0


def test_a_missing_label_is_one_line(styled):
    with pytest.raises(RequestError, match="has no label 'mood' .*style, content"):
        classes_of(members_of(styled, "val"), ["mood"])
