"""Guided sampling of flows against plain loops."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.diffusion.samplers import SOLVERS
from lead.diffusion.sinks import SinkControl, sink_ratio
from lead.generation import FlowGuidance, sample_flow
from lead.models.blocks.watching import watch_attention
from lead.models.flow_transformer import FlowTransformer

CLOSE = {"atol": 1e-9, "rtol": 1e-9}


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module", params=[4, 2])
def flow(request):
    torch.manual_seed(0)
    sizes = {"joints": 4, "patch": request.param, "width": 16, "layers": 2, "heads": 2}
    flow = FlowTransformer(**sizes, text_dim=8, local_every=1, memory_slots=2).double().eval()
    for parameter in flow.parameters():
        nn.init.normal_(parameter, std=0.3)
    return flow


NOISE, TEXT = draw(2, 5, 4, 4), draw(2, 6, 8, seed=1)
MASK = lengths_to_mask(torch.tensor([5, 3]), 5)
WORD_MASK = lengths_to_mask(torch.tensor([6, 4]), 6)


def loop(flow, step, steps=6, row=1):
    """One row alone, without padding, by Euler steps of ``step(z, time, c, u, ratio)``."""
    frames, words = int(MASK[row].sum()), int(WORD_MASK[row].sum())
    z, text = NOISE[row : row + 1, :frames], TEXT[row : row + 1, :words]
    grid = [k / steps for k in range(steps + 1)]
    for time, following in pairwise(grid):
        now = torch.full((1,), time, dtype=torch.float64)
        with watch_attention(flow, "text_attention.attend") as maps:
            conditional = flow(z, now, text)
        ratio = float(sum(sink_ratio(each, 2).mean() for each in maps) / len(maps))
        without = flow(z, now, text, conditional=torch.tensor([False]))
        z = z + (following - time) * step(time, conditional, without, ratio)
    return z


def sampled(flow, **guidance):
    return sample_flow(
        *(flow, NOISE, TEXT),
        **{"mask": MASK, "word_mask": WORD_MASK, "steps": 6},
        guidance=FlowGuidance(**guidance),
    )


@torch.no_grad()
def test_guidance_extrapolates_each_row_as_if_alone(flow):
    got = sampled(flow, scale=2.5)
    wanted = loop(flow, lambda time, c, u, ratio: u + 2.5 * (c - u))
    torch.testing.assert_close(got[1:, :3], wanted, **CLOSE)
    assert not got[1, 3:].any()


@torch.no_grad()
def test_a_scale_of_one_runs_the_text_alone(flow):
    calls = []
    handle = flow.register_forward_pre_hook(lambda _, given: calls.append(len(given[0])))
    got = sampled(flow, scale=1.0)
    handle.remove()
    assert calls == [2] * 6
    torch.testing.assert_close(got[1:, :3], loop(flow, lambda time, c, u, ratio: c), **CLOSE)


@torch.no_grad()
def test_guidance_starts_at_its_time(flow):
    got = sampled(flow, scale=2.5, start=0.4)
    wanted = loop(flow, lambda time, c, u, ratio: u + 2.5 * (c - u) if time >= 0.4 else c)
    torch.testing.assert_close(got[1:, :3], wanted, **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("soft", [False, True])
def test_sink_control_by_the_attention_of_each_step(flow, soft):
    """k_eff = k_base (1 + alpha SinkRatio) of the conditional half, over layers and heads."""

    def step(time, c, u, ratio):
        k_eff, error = 0.05 * (1 + 2.0 * ratio), c - u
        strength = error.abs().clamp(max=k_eff) if soft else k_eff
        return u + 2.5 * (error - strength * error.sign())

    control = SinkControl(0.05, alpha=2.0, soft=soft)
    got = sampled(flow, scale=2.5, control=control, top_k=2)
    torch.testing.assert_close(got[1:, :3], loop(flow, step), **CLOSE)
    again = sampled(flow, scale=2.5, control=control, top_k=2)
    assert torch.equal(got, again), "a second sampling starts anew"


@torch.no_grad()
def test_control_with_memory(flow):
    before = []

    def step(time, c, u, ratio):
        error = c - u
        previous = before[-1] if before else error
        surface = (error - previous) + 5.0 * previous
        before.append(error - 0.2 * surface.sign())
        return u + 2.5 * before[-1]

    got = sampled(flow, scale=2.5, control=SinkControl(0.2, memory=5.0))
    torch.testing.assert_close(got[1:, :3], loop(flow, step), **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("sampler", sorted(SOLVERS))
def test_rows_are_independent_of_their_batch(flow, sampler):
    whole = sample_flow(
        *(flow, NOISE, TEXT), mask=MASK, word_mask=WORD_MASK, sampler=sampler, steps=4
    )
    alone = sample_flow(flow, NOISE[1:, :3], TEXT[1:, :4], sampler=sampler, steps=4)
    torch.testing.assert_close(whole[1:, :3], alone, atol=1e-7, rtol=1e-7)


def test_what_cannot_be_controlled_is_told(flow):
    plain = FlowTransformer(joints=4, patch=4, width=16, layers=1, heads=2, text_dim=8).double()
    with pytest.raises(RequestError, match="local conditioning"):
        sampled(plain, control=SinkControl(0.1, alpha=1.0))
    memory = FlowGuidance(control=SinkControl(0.1, memory=0.05))
    for wrong in ({"sampler": "heun"}, {"shift": 2.0}):
        with pytest.raises(RequestError, match="equal steps"):
            sample_flow(flow, NOISE, TEXT, guidance=memory, **wrong)
    with pytest.raises(RequestError, match="finite"):
        FlowGuidance(scale=float("nan"))
