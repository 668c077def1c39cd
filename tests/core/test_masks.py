"""Masks mark real frames, and padding has no say in a mean."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lead.core.masks import lengths_to_mask, masked_mean

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=5)


def mean_by_loops(values: torch.Tensor, lengths: list[int]) -> float:
    real = [float(v) for row, n in zip(values, lengths, strict=True) for v in row[:n].flatten()]
    return sum(real) / len(real) if real else 0.0


def test_true_is_a_real_frame():
    mask = lengths_to_mask(torch.tensor([2, 0, 3]))
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[True, True, False], [False] * 3, [True] * 3]


def test_the_number_of_frames_can_be_given():
    mask = lengths_to_mask(torch.tensor([2, 9]), frames=4)
    assert mask.tolist() == [[True, True, False, False], [True] * 4]


@given(lengths=LENGTHS)
def test_each_row_has_its_length_of_real_frames_in_front(lengths):
    mask = lengths_to_mask(torch.tensor(lengths), frames=6)
    assert mask.sum(1).tolist() == lengths
    assert all(row == sorted(row, reverse=True) for row in mask.int().tolist())


@given(lengths=LENGTHS, shape=st.sampled_from([(), (3,), (2, 3)]), seed=st.integers(0, 99))
def test_the_mean_is_that_of_the_real_values(lengths, shape, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(len(lengths), 6, *shape, generator=generator, dtype=torch.float64)
    mask = lengths_to_mask(torch.tensor(lengths), frames=6)
    assert masked_mean(values, mask).item() == pytest.approx(mean_by_loops(values, lengths))


def test_the_mean_weighs_frames_not_clips():
    values = torch.tensor([[1.0, 99.0, 99.0, 99.0], [2.0, 2.0, 2.0, 99.0]])
    assert masked_mean(values, lengths_to_mask(torch.tensor([1, 3]), 4)).item() == 7 / 4


@pytest.mark.parametrize("garbage", [0.0, 1e30, float("inf"), float("nan")])
def test_padding_has_neither_value_nor_gradient(garbage):
    lengths = torch.tensor([2, 5, 1])
    mask = lengths_to_mask(lengths, 5)
    clean = torch.randn(3, 5, 4)
    values = torch.where(mask[..., None], clean, garbage).requires_grad_(True)
    mean = masked_mean(values, mask)
    mean.backward()
    assert mean.item() == pytest.approx(mean_by_loops(clean, [2, 5, 1]), rel=1e-5)
    expected = mask[..., None].expand(3, 5, 4) / (8 * 4)
    torch.testing.assert_close(values.grad, expected)
    assert (values.grad[~mask] == 0).all()


def test_a_batch_without_a_real_frame_has_mean_zero():
    values = torch.full((2, 3, 4), float("nan"))
    assert masked_mean(values, torch.zeros(2, 3, dtype=torch.bool)).item() == 0.0
    assert masked_mean(torch.zeros(0, 3, 4), torch.zeros(0, 3, dtype=torch.bool)).item() == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_mean_keeps_the_number_type(dtype):
    values = torch.ones(2, 3, dtype=dtype)
    mean = masked_mean(values, torch.ones(2, 3, dtype=torch.bool))
    assert mean.dtype == dtype
    assert mean.item() == 1.0
