"""Cached latents with one caption drawn per step."""

from collections import Counter

import numpy as np
import pytest
import torch

from lead.data.cache import NULL_TEXT
from lead.data.latents import LatentDataset, keep
from lead.data.packed import PackedSplit

CAPTIONS = [["one"], ["two", "three"], ["four", "five", "six", "one"], ["", "two"]]
CLIPS, TOKENS, DIM, WORDS, TEXT = len(CAPTIONS), 2, 3, 1, 5


@pytest.fixture(scope="module")
def rows() -> dict[str, int]:
    texts = sorted({text for captions in CAPTIONS for text in captions} | {NULL_TEXT})
    return {text: row for row, text in enumerate(reversed(texts))}


@pytest.fixture(scope="module")
def make(rows):
    def make_dataset(seed: int = 0) -> LatentDataset:
        split = PackedSplit(
            *("train", np.zeros((4, 2)), [f"clip{n}" for n in range(CLIPS)]),
            *(np.arange(CLIPS), np.ones(CLIPS), CAPTIONS, [[]] * CLIPS, [{}] * CLIPS),
        )
        place = torch.arange(CLIPS, dtype=torch.float32)[:, None, None]
        posterior = place.expand(-1, TOKENS, DIM), -place.expand(-1, TOKENS, DIM)
        number = torch.arange(len(rows), dtype=torch.float32)[:, None, None]
        return LatentDataset(split, posterior, number.expand(-1, WORDS, TEXT), rows, seed)

    return make_dataset


def drawn(dataset: LatentDataset, step: int, places=range(CLIPS)) -> list[int]:
    """The row of the caption that each clip gets at a step."""
    batch = dataset.__getitems__([(step, place) for place in places])
    return [int(row) for row in batch.text[:, 0, 0]]


def test_rows_belong_together(make, rows):
    batch = make().__getitems__([(3, 2), (3, 0)])
    assert batch.ids == ["clip2", "clip0"]
    assert batch.mu.shape == (2, TOKENS, DIM) and batch.text.shape == (2, WORDS, TEXT)
    assert batch.mu[:, 0, 0].tolist() == [2, 0] and batch.logvar[:, 0, 0].tolist() == [-2, 0]
    assert batch.text[1, 0, 0] == rows["one"]
    assert batch.text[0, 0, 0] in [rows[text] for text in CAPTIONS[2]]
    assert batch.null_text.shape == (1, WORDS, TEXT) and batch.null_text[0, 0, 0] == rows[""]
    assert keep(batch) is batch


def test_every_caption_of_a_clip_comes_up_equally_often(make, rows):
    dataset, steps = make(), 2000
    counts = Counter(
        (place, row) for step in range(steps) for place, row in enumerate(drawn(dataset, step))
    )
    for place, captions in enumerate(CAPTIONS):
        for text in captions:
            share = counts[place, rows[text]] / steps
            assert share == pytest.approx(1 / len(captions), abs=0.05)
    assert sum(counts.values()) == steps * CLIPS


def test_a_draw_depends_on_seed_step_and_clip_alone(make):
    dataset = make()
    together = {step: drawn(dataset, step) for step in range(30)}
    for step in reversed(range(30)):
        assert [drawn(make(), step, [place])[0] for place in range(CLIPS)] == together[step]
    assert any(together[step] != together[0] for step in together)
    assert any(drawn(make(1), step) != together[step] for step in together)


def test_it_serves_a_loader_of_whole_batches(make):
    loader = torch.utils.data.DataLoader(
        make(), batch_sampler=[[(0, 1), (0, 3)], [(1, 0)]], collate_fn=keep
    )
    assert [batch.ids for batch in loader] == [["clip1", "clip3"], ["clip0"]]
    assert len(make()) == CLIPS
