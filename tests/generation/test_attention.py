"""Attention maps of a sampling: against the layers' own arithmetic, and what masks do to them."""

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.generation import Sampling, load_motion_model
from lead.generation.attention import sink_shares, watch

TEXTS = ["a person walks", "a person runs in a circle and stops"]
FRAMES, SEEDS = [31, 60], [1, 2]
FEW = {"sampler": "euler", "steps": 3, "guidance_scale": 2.0}


@pytest.fixture(scope="module", params=["flow_run", "timed_flow_run"])
def model(request):
    return load_motion_model(request.getfixturevalue(request.param))


def test_the_first_map_is_the_softmax_of_its_layer(model):
    """From noise at time 0, by the weights of the first layer; joints of a frame are averaged."""
    (seen,) = watch(model, TEXTS[:1], [24], [5], Sampling(**FEW))
    (noise,) = model._noise(TEXTS[:1], [5], [model.coder.token_count(24)])
    block, flow = model.flow.blocks[0], model.flow
    words = model.text_encoder.encode(TEXTS[:1]).tokens[0].double() * flow.word_scale
    x = block.memory(flow._patches(noise[None])).double()[0]
    of = block.text_attention.double()
    x = x / (x**2).mean(-1, keepdim=True).add(1e-5).sqrt()
    q, k = of.query(x), of.up(words)

    def heads(z, norm):
        z = z.unflatten(-1, (of.heads, -1))
        return norm.weight * z / (z**2).mean(-1, keepdim=True).add(1e-5).sqrt()

    q, k = heads(q, of.q_norm), heads(k, of.k_norm)
    logits = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5
    block.text_attention.float()
    wanted = logits.softmax(-1).unflatten(1, (len(noise), -1)).mean(2).detach()
    np.testing.assert_allclose(seen.weights[0, 0], wanted, atol=1e-4)
    assert seen.times == pytest.approx((0, 1 / 3, 2 / 3))
    assert seen.weights.shape[:2] == (3, 2) and seen.seconds == 1.2


def test_rows_are_as_alone_and_padding_is_read_by_nobody(model):
    first, second = watch(model, TEXTS, FRAMES, SEEDS, Sampling(**FEW))
    assert first.words == (("(start)", 1), ("a", 1), ("person", 1), ("walks", 1), ("(padding)", 5))
    assert [word for word, _ in second.words[1:]] == TEXTS[1].split()
    (alone,) = watch(model, TEXTS[:1], FRAMES[:1], SEEDS[:1], Sampling(**FEW))
    np.testing.assert_allclose(first.by_word[..., :4], alone.by_word, atol=1e-4)
    assert not first.by_word[..., 4].any()
    for each in (first, second, alone):
        np.testing.assert_allclose(each.by_word.sum(-1), 1, atol=1e-5)
    shares = sink_shares(model, TEXTS, FRAMES, SEEDS, Sampling(**FEW))
    for row, each in enumerate((first, second)):
        wanted = each.weights[..., 0].mean()
        assert shares["start_share"][row] == pytest.approx(wanted, rel=1e-3)
        if model.flow.joints == 1:  # else the strongest word of a frame's joints is another
            assert shares["sink_ratio"][row] == pytest.approx(each.sink_ratio().mean(), rel=1e-3)


@pytest.mark.parametrize("word", ["start", "random"])
def test_a_word_is_not_read_above_the_threshold(model, word):
    masked = Sampling(**FEW, sink_threshold=0.5, sink_word=word)
    before = model.flow.sink_threshold, model.flow.sink_word
    for each in watch(model, TEXTS, FRAMES, SEEDS, masked):
        early, late = each.weights[:2], each.weights[2]
        count = sum(n for word, n in each.words if word != "(padding)")
        silent = [place for place in range(count) if not late[..., place].any()]
        assert len(silent) == 1 and (early[..., silent] > 0).all()
        assert silent == [0] if word == "start" else 0 < silent[0] < count - 1
        np.testing.assert_allclose(late.sum(-1), 1, atol=1e-5)
    assert (model.flow.sink_threshold, model.flow.sink_word) == before
    plain = model.sample(TEXTS, FRAMES, SEEDS, Sampling(**FEW))
    assert not torch.equal(model.sample(TEXTS, FRAMES, SEEDS, masked), plain)


def test_padding_is_read_where_that_is_asked_for(model):
    """A padded token is zeros: its logit is zero, whatever the batch."""
    padded = Sampling(**FEW, sink_padding=12)
    first, _ = watch(model, TEXTS, FRAMES, SEEDS, padded)
    assert first.words[-1] == ("(padding)", 8) and first.weights[..., -1].min() > 0
    np.testing.assert_allclose(first.weights[..., -1], first.weights[..., -8], atol=1e-6)
    together = model.sample(TEXTS, FRAMES, SEEDS, padded)
    alone = model.sample(TEXTS[:1], FRAMES[:1], SEEDS[:1], padded)
    torch.testing.assert_close(together[:1, : alone.shape[1]], alone, rtol=1e-3, atol=1e-3)


def test_who_reads_no_words_says_so(sticks):
    stick = sticks.make_sticks()
    assert not stick.can("attention")
    with pytest.raises(RequestError, match="^this model reads no text word by word"):
        watch(stick, TEXTS, FRAMES, SEEDS, Sampling(**FEW))
