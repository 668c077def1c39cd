"""SinkRatio and sink control against their formulas, written out with loops."""

import math

import pytest
import torch

from lead.core.errors import RequestError
from lead.diffusion.sinks import SinkControl, sink_ratio


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("top_k", [1, 2, 5, 9])
def test_the_ratio_is_the_mean_mass_of_the_largest_words(top_k):
    attention = draw(2, 3, 4, 5).softmax(-1)
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    got = sink_ratio(attention, top_k, mask)
    for row, frames in enumerate((4, 2)):
        for head in range(3):
            maps = attention[row, head, :frames].tolist()
            wanted = sum(sum(sorted(words)[::-1][:top_k]) for words in maps) / frames
            assert float(got[row, head]) == pytest.approx(wanted)
    assert torch.equal(sink_ratio(attention, top_k)[0], got[0])


def test_the_ratio_of_even_attention_and_of_a_sink():
    even = torch.full((1, 1, 3, 8), 1 / 8)
    sink = torch.nn.functional.one_hot(torch.zeros(1, 1, 3, dtype=torch.long), 8).double()
    assert float(sink_ratio(even, 2)) == pytest.approx(0.25)
    assert float(sink_ratio(sink, 1)) == 1


@pytest.mark.parametrize("soft", [False, True])
def test_control_without_memory(soft):
    error, ratio = draw(2, 4, 3), torch.tensor([0.9, 0.4])
    got = SinkControl(k_base=0.3, alpha=0.5, soft=soft)(error, ratio)
    for row in range(2):
        k_eff = 0.3 * (1 + 0.5 * float(ratio[row]))
        for before, after in zip(error[row].flatten(), got[row].flatten(), strict=True):
            before, sign = float(before), math.copysign(1, before)
            wanted = sign * max(abs(before) - k_eff, 0) if soft else before - k_eff * sign
            assert float(after) == pytest.approx(wanted)
    flipped = (got * error < 0).any()
    assert flipped == (not soft), "some entries are smaller than k_eff"


def test_control_with_memory_follows_the_sliding_surface():
    control, before = SinkControl(k_base=0.2, memory=0.05), None
    for step in range(4):
        error = draw(2, 3, seed=step)
        before = error if before is None else before
        surface = (error - before) + 0.05 * before
        wanted = torch.where(surface > 0, error - 0.2, error + 0.2)
        got = control(error)
        torch.testing.assert_close(got, wanted)
        before = got


def test_no_strength_changes_nothing():
    error = draw(2, 3)
    for control in (SinkControl(0.0), SinkControl(0.0, 2.0), SinkControl(0.0, soft=True)):
        assert torch.equal(control(error, torch.ones(2)), error)


@pytest.mark.parametrize("wrong", [{"k_base": -1.0}, {"alpha": math.nan}, {"memory": math.inf}])
def test_impossible_strengths_are_refused(wrong):
    with pytest.raises(RequestError, match=f"{next(iter(wrong))} of sink control"):
        SinkControl(**{"k_base": 0.1, **wrong})
