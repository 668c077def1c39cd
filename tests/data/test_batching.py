"""The plan of training batches: a function of seed and step, and of nothing else."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead.core.errors import RequestError
from lead.data.batching import BUCKET_BATCHES, BatchPlan, StepSampler

LENGTHS = np.random.default_rng(0).integers(40, 200, size=103).tolist()


def make_plan(batch_size: int = 8, seed: int = 5, lengths=LENGTHS) -> BatchPlan:
    return BatchPlan(lengths, batch_size, seed)


@given(clips=st.integers(1, 60), batch_size=st.integers(1, 70), epoch=st.integers(0, 3))
def test_an_epoch_shows_every_clip_at_most_once(clips, batch_size, epoch):
    plan = make_plan(batch_size, lengths=list(range(clips)))
    steps = plan.steps_per_epoch
    shown = [place for step in range(steps) for place in plan.batch(epoch * steps + step)]
    assert len(set(shown)) == len(shown) > clips - min(batch_size, clips)
    assert set(shown) <= set(range(clips))


def test_what_an_epoch_drops_changes_from_epoch_to_epoch():
    plan = make_plan()
    shown = Counter(
        place for step in range(20 * plan.steps_per_epoch) for place in plan.batch(step)
    )
    assert set(shown) == set(range(len(LENGTHS)))
    assert max(shown.values()) <= 20 and min(shown.values()) >= 14


def test_batches_hold_clips_of_similar_length():
    lengths = np.random.default_rng(1).integers(40, 200, size=8 * BUCKET_BATCHES)
    plan = make_plan(lengths=lengths)
    batches = [lengths[plan.batch(step)] for step in range(plan.steps_per_epoch)]
    edges = sorted((batch.min(), batch.max()) for batch in batches)
    # A whole pool: sorted and cut, so that the ranges of lengths only touch.
    assert all(end <= begin for (_, end), (begin, _) in zip(edges, edges[1:], strict=False))
    assert [batch.min() for batch in batches] != sorted(batch.min() for batch in batches)


def test_every_epoch_is_another_order():
    plan = make_plan()
    epochs = [
        [tuple(plan.batch(epoch * plan.steps_per_epoch + step)) for step in range(3)]
        for epoch in range(4)
    ]
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_random_access_equals_the_sequence():
    sequence = [make_plan().batch(step) for step in range(40)]
    plan = make_plan()
    steps = np.random.default_rng(2).permutation(40)
    assert {int(step): plan.batch(int(step)) for step in steps} == dict(enumerate(sequence))
    assert make_plan().batch(39) == sequence[39]


def test_the_seed_decides():
    assert make_plan(seed=5).batch(3) == make_plan(seed=5).batch(3)
    assert make_plan(seed=5).batch(3) != make_plan(seed=6).batch(3)


def test_a_small_split_is_one_batch():
    plan = make_plan(64, lengths=[5, 3, 9])
    assert plan.steps_per_epoch == 1
    assert sorted(plan.batch(17)) == [0, 1, 2]


def test_weights_that_show_no_clip_are_one_line():
    with pytest.raises(RequestError, match="sum to less than one"):
        BatchPlan([5, 6], 4, 0, [0.4, 0.5])
    assert len(BatchPlan([5, 6], 4, 0, [0.5, 0.5]).batch(0)) == 1


def test_a_resumed_sampler_is_the_tail_of_the_whole():
    whole = list(StepSampler(make_plan(), 0, 30))
    assert list(StepSampler(make_plan(), 17, 30)) == whole[17:]
    assert [{step for step, _ in batch} for batch in whole] == [{step} for step in range(30)]
    assert [[place for _, place in batch] for batch in whole] == [
        make_plan().batch(step) for step in range(30)
    ]


def test_the_length_of_a_sampler_counts_from_the_first_step():
    """Lightning counts the batches of a resumed training from the first one, too."""
    assert len(StepSampler(make_plan(), 17, 30)) == 30


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_each_batch_out(world):
    whole = list(StepSampler(make_plan(), 0, 15))
    shares = [list(StepSampler(make_plan(), 0, 15, rank, world)) for rank in range(world)]
    for step, batch in enumerate(whole):
        parts = [share[step] for share in shares]
        assert [pair for part in parts for pair in part] == batch
        assert {len(part) for part in parts} == {8 // world}


def test_batches_that_cannot_be_shared_evenly_are_refused():
    with pytest.raises(RequestError, match="batches of 8 clips cannot be shared evenly by 3"):
        StepSampler(make_plan(), 0, 15, rank=0, world=3)
