"""The classifier: what it reads, which clips it is kept from, and that it learns."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from lead.core.building import build
from lead.core.errors import RequestError, WorkError
from lead.core.masks import lengths_to_mask
from lead.data.packed import PackedDataset
from lead.evaluation.classifier import Classifier, Prediction, divide_held_out, load_classifier
from lead.evaluation.classifier.network import ClipNetwork
from lead.representation.normalizer import Normalizer

CLASSES = {"style": ("low", "high"), "content": ("bow", "walk", "run")}


@pytest.fixture
def network() -> ClipNetwork:
    torch.manual_seed(1)
    return ClipNetwork(263, CLASSES, width=8, layers=2).eval()


@pytest.mark.parametrize("frames", [1, 2, 13, 40])
def test_a_motion_is_judged_alike_in_any_company(network, frames):
    short = torch.randn(1, frames, 263)
    batch = torch.full((2, 57, 263), 9.0)  # padding that has to be ignored
    batch[0, :frames] = short
    with torch.no_grad():
        alone = network(short, lengths_to_mask(torch.tensor([frames])))
        beside = network(batch, lengths_to_mask(torch.tensor([frames, 57])))
    for kind, logits in alone.items():
        assert torch.allclose(logits[0], beside[kind][0], atol=1e-5)


def test_it_reads_root_and_positions_alone(network):
    x = torch.randn(2, 20, 263)
    mask = torch.ones(2, 20, dtype=torch.bool)
    other = x.clone()
    other[..., 67:] = torch.randn(2, 20, 196)
    shown = x.clone()
    shown[..., 66] += 1
    with torch.no_grad():
        before, repeated, changed = (network(of, mask)["style"] for of in (x, other, shown))
    assert torch.equal(before, repeated) and not torch.allclose(before, changed)


def test_probabilities_and_names(network):
    classifier = Classifier(network, Normalizer(np.ones(263), np.full(263, 2.0)))
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(n, 263)).astype(np.float32) for n in (30, 12, 45)]
    found = classifier.predict(clips)
    with torch.no_grad():
        x = torch.tensor((clips[1] - 1) / 2)[None]
        logits = network(x, torch.ones(1, 12, dtype=torch.bool))["content"][0].double()
    by_hand = torch.exp(logits) / torch.exp(logits).sum()
    np.testing.assert_allclose(found["content"].probabilities[1], by_hand, atol=1e-5)
    assert found["content"].labels[1] == CLASSES["content"][int(by_hand.argmax())]
    for kind, prediction in found.items():
        assert prediction.classes == CLASSES[kind]
        np.testing.assert_allclose(prediction.probabilities.sum(axis=1), 1)


def test_the_probability_of_a_named_class():
    prediction = Prediction(("a", "b"), np.array([[0.25, 0.75], [0.6, 0.4]]))
    assert prediction.labels == ["b", "a"]
    np.testing.assert_array_equal(prediction.of(["a", "unheard"]), [0.25, 0.0])


@pytest.mark.parametrize(
    ("clip", "error", "message"),
    [
        (np.zeros((10, 251), np.float32), RequestError, r"motion 0 is \(10, 251\)"),
        (np.zeros((0, 263), np.float32), RequestError, "reads motions"),
        (np.full((10, 263), np.nan, np.float32), WorkError, "motion 0 holds values"),
    ],
)
def test_what_cannot_be_judged_is_one_line(network, clip, error, message):
    with pytest.raises(error, match=message):
        Classifier(network, Normalizer(np.zeros(263), np.ones(263))).predict([clip])


def test_a_classifier_needs_classes():
    for classes in ({}, {"style": ()}):
        description = {"_target_": "clip_network", "features": 263, "classes": classes}
        with pytest.raises(RequestError, match="'classes.*' takes at least 1 entries"):
            build("network", description)


def test_held_out_clips_are_halved_within_every_style_and_content(styled):
    halves = divide_held_out(styled)
    split = styled.split("heldout")
    assert sorted(halves["taught"] + halves["kept"]) == list(range(len(split)))
    for places in halves.values():
        counts = Counter(split.labels[place]["content"] for place in places)
        assert counts == {"bow": 3, "walk": 3, "run": 3}


def test_a_data_set_without_held_out_styles_keeps_nothing_back(styled):
    manifest = styled.manifest.model_copy(update={"clips": {"train": 36}})
    assert divide_held_out(PackedDataset(styled.folder, manifest)) == {"taught": [], "kept": []}


def test_another_kind_of_run_is_no_classifier(tmp_path):
    with pytest.raises(RequestError, match="train one with `lead train stage=classifier"):
        load_classifier(tmp_path)
    with pytest.raises(RequestError, match="is no classifier"):
        load_classifier(Path("nowhere"))
