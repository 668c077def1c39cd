"""Judging learned words: means by concept, intervals over concepts, sets by seed."""

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.evaluation.classifier import Classifier, Prediction
from lead.evaluation.classifier.network import ClipNetwork
from lead.evaluation.metrics import frechet_distance
from lead.evaluation.word_judging import Request, WordJudge
from lead.representation import get_skeleton
from lead.representation.normalizer import Normalizer

SKELETON = get_skeleton("humanml3d")
CLASSES = {"style": ("young", "old"), "content": ("walk", "run")}


class ByFirstFrame(Classifier):
    """Style old where the first feature is above 0, content run where the second is."""

    def __init__(self):
        network = ClipNetwork(263, CLASSES, width=2, layers=1)
        super().__init__(network, Normalizer(np.zeros(263), np.ones(263)))

    def predict(self, features):
        def one_hot(column: int) -> np.ndarray:
            return np.eye(2)[[int(motion[0, column] > 0) for motion in features]]

        return {
            kind: Prediction(names, one_hot(place))
            for place, (kind, names) in enumerate(CLASSES.items())
        }


class MeanJudge:
    """A motion lies at the mean of three features, a sentence at what its words spell."""

    def embed_motions(self, features) -> np.ndarray:
        return np.array([motion[:, 10:13].mean(axis=0) for motion in features])

    def embed_texts(self, captions, tokens=None) -> np.ndarray:
        return np.array([[float(number) for number in caption.split()] for caption in captions])


def clip(style: float, content: float, mean: float = 0.0) -> np.ndarray:
    features = np.zeros((20, 263), np.float32)
    features[:, 3] = 0.9
    features[:, 10:13] = mean
    features[0, :2] = style, content
    return features


def request(concept: str, content: str = "walk", caption: str = "0 0 0", mean: float = 0.0):
    return Request(concept, caption, "", clip(1, -1, mean), "old", content)


def test_style_and_content_are_means_of_concepts():
    """<a> has three motions, two of them old; <b> one, not old: the mean is over two concepts."""
    bench = WordJudge(None, ByFirstFrame(), 20.0, SKELETON)
    asked = [request("<a>"), request("<a>", "run"), request("<a>"), request("<b>")]
    bench.add("words", asked, [clip(1, -1), clip(1, -1), clip(-1, -1), clip(-1, -1)], seed=1)
    row = bench.estimates({})["words"]
    assert row["style"].mean == pytest.approx(100 * (2 / 3 + 0) / 2)
    assert row["content"].mean == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert row["both"].mean == pytest.approx(100 * (1 / 3 + 0) / 2)
    spread = np.std([200 / 3, 0], ddof=1)
    assert row["style"].margin == pytest.approx(1.96 * spread / np.sqrt(2))
    assert row["style"].count == 2


def test_seeds_are_averaged_within_a_concept_and_told_apart_in_the_record():
    bench = WordJudge(None, ByFirstFrame(), 20.0, SKELETON)
    asked = [request("<a>"), request("<b>")]
    bench.add("words", asked, [clip(1, -1), clip(1, -1)], seed=1)
    bench.add("words", asked, [clip(-1, -1), clip(1, -1)], seed=2)
    row = bench.rows["words"]
    assert row.concept_means("style") == {"<a>": 50.0, "<b>": 100.0}
    assert row.seed_means("style") == {1: 100.0, 2: 50.0}
    assert bench.estimates({})["words"]["style"].mean == 75.0


def test_the_gain_is_paired_by_concept():
    """Both concepts gain 100, so the gain has no spread, though the accuracies have one."""
    bench = WordJudge(None, ByFirstFrame(), 20.0, SKELETON)
    asked = [request("<a>"), request("<a>"), request("<b>"), request("<b>")]
    old, young = clip(1, -1), clip(-1, -1)
    bench.add("plain", asked, [young, young, young, old], seed=1)
    bench.add("words", asked, [young, old, old, old], seed=1)
    found = bench.estimates({"words": "plain"})
    assert found["words"]["style"].margin > 0
    assert found["words"]["style_gain"].mean == 50.0
    assert found["words"]["style_gain"].margin == 0.0
    assert "style_gain" not in found["plain"]


def test_sets_are_measured_once_a_seed():
    means = [0.0, 3.0, 6.0, 9.0]
    asked = [request(f"<{n}>", caption=f"{m} {m} {m}", mean=m) for n, m in enumerate(means)]
    bench = WordJudge(MeanJudge(), None, 20.0, SKELETON)
    moved = [clip(1, 1, mean + 1) for mean in means]
    for seed in (1, 2):
        bench.add("real", asked, [one.reference for one in asked], seed)
        bench.add("moved", asked, moved, seed)
    found = bench.estimates({})
    assert found["real"]["fid"].mean == pytest.approx(0, abs=1e-9)
    assert found["real"]["r_precision_1"].mean == 1.0
    rows = np.array([[mean] * 3 for mean in means])
    expected = frechet_distance(rows, rows + 1)
    assert expected == pytest.approx(3.0)  # the means are (1, 1, 1) apart, the covariances equal
    assert found["moved"]["fid"].mean == pytest.approx(3.0, abs=1e-5)
    assert found["moved"]["fid"].count == 2
    assert found["moved"]["multimodal_distance"].mean == pytest.approx(3**0.5, abs=1e-5)
    assert "style" not in found["moved"]


def test_somebody_has_to_judge():
    with pytest.raises(RequestError, match="nothing to judge by"):
        WordJudge(None, None, 20.0, SKELETON)


def test_sliding_is_measured_of_every_motion():
    """A root that moves at 2 m/s with stiff legs slides all the time it is low."""
    sliding, standing = clip(1, 1), clip(1, 1)
    sliding[:, 2] = 0.1
    for motion in (sliding, standing):
        motion[:, 4:67] = 0.0
        motion[:, 3] = 0.0
        motion[0, :2] = 0.0
    bench = WordJudge(None, ByFirstFrame(), 20.0, SKELETON)
    bench.add("row", [request("<a>"), request("<b>")], [sliding, standing], seed=0)
    found = bench.rows["row"].concept_means("foot_skating_ratio")
    assert found["<a>"] == pytest.approx(1.0, abs=0.06) and found["<b>"] == 0.0
    assert torch.isfinite(torch.tensor(found["<a>"]))
