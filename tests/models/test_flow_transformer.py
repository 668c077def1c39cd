"""The flow transformer: ACMDM's habits, and each of MLA-Gen's parts against its equation."""

import math

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.models.blocks.flow_layers import MemorySlots, TextAttention, rotary_waves, rotate
from lead.models.blocks.rms_norm import unit_rms
from lead.models.blocks.watching import WatchedAttention, watch_attention
from lead.models.flow_transformer import FlowTransformer, sink_mask

CLOSE = {"atol": 1e-9, "rtol": 1e-9}
TOKENS, JOINTS, WORDS, DIM = 5, 4, 6, 8
LENGTHS, WORD_COUNTS = [5, 3], [6, 4]  # the pooled vector counts


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def make(**options):
    """A small flow as trained ones are: no gate is zero."""
    torch.manual_seed(0)
    sizes = {"joints": JOINTS, "patch": JOINTS, "width": 16, "layers": 3, "heads": 2}
    flow = FlowTransformer(**{**sizes, "text_dim": DIM, **options}).double().eval()
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return flow


FULL = {"memory_slots": 3, "local_every": 1, "local_weight": 2.0}
Z, TEXT, TIME = draw(2, TOKENS, JOINTS, 4), draw(2, WORDS, DIM, seed=1), torch.tensor([0.1, 0.7])
TIME = TIME.double()
MASK = lengths_to_mask(torch.tensor(LENGTHS), TOKENS)
WORD_MASK = lengths_to_mask(torch.tensor(WORD_COUNTS), WORDS)


def test_an_untrained_flow_stands_still():
    flow = FlowTransformer(joints=JOINTS, patch=2, width=16, layers=2, heads=2, text_dim=DIM)
    assert not flow(Z.float(), TIME.float(), TEXT.float(), MASK).any()


def test_untrained_local_conditioning_changes_nothing():
    torch.manual_seed(0)
    layer = FlowTransformer(layers=1, width=16, heads=2, local_every=1).blocks[0]
    read = layer.text_attention(torch.randn(1, 3, 16), torch.randn(1, 4, 512), None)
    assert not read.any()


@torch.no_grad()
@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("options", [{}, FULL], ids=["acmdm", "mla"])
def test_padding_reaches_no_real_token(patch, options):
    flow = make(patch=patch, **options)
    z, text = Z.clone(), TEXT.clone()
    z[1, 3:], text[1, 4:] = 1e3, -1e3
    got = flow(z, TIME, text, MASK, WORD_MASK)
    alone = flow(Z[1:, :3], TIME[1:], TEXT[1:, :4])
    torch.testing.assert_close(got[1:, :3], alone, **CLOSE)
    torch.testing.assert_close(got[:1], flow(Z[:1], TIME[:1], TEXT[:1]), **CLOSE)


@torch.no_grad()
def test_no_text_is_a_vector_of_zeros_before_the_bias():
    flow = make()
    without = flow(Z, TIME, TEXT[:, :1], conditional=torch.tensor([False, True]))
    zeros = flow(Z, TIME, torch.zeros_like(TEXT[:, :1]))
    torch.testing.assert_close(without[:1], zeros[:1], **CLOSE)
    assert (without[1:] - zeros[1:]).abs().max() > 1e-3
    flow.text_layer.bias.zero_()
    assert (flow(Z, TIME, torch.zeros_like(TEXT[:, :1])) - zeros).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize(("patch", "joint", "tokens"), [(4, 3, [0]), (2, 3, [1]), (1, 2, [2])])
def test_a_patch_is_some_joints_of_one_frame(patch, joint, tokens):
    """Two blocks' attention see all tokens; without them a token is its own patch's."""
    flow = make(patch=patch, layers=1)
    flow.blocks[0].attention.out.weight.zero_()
    z = Z.clone()
    z[:, 2, joint] += 1
    changed = (flow(z, TIME, TEXT) - flow(Z, TIME, TEXT)).abs().amax((0, 3)) > 1e-12
    wanted = torch.zeros(TOKENS, JOINTS, dtype=torch.bool)
    wanted[2].view(-1, patch)[tokens] = True
    assert torch.equal(changed, wanted)


def test_turned_vectors_meet_by_the_distance_of_their_places():
    waves = rotary_waves(9, 8, 200, torch.device("cpu")).double()
    q, k = (draw(1, 1, 1, 8, seed=seed).expand(1, 1, 9, 8) for seed in (0, 1))
    meet = (rotate(q, waves) @ rotate(k, waves).transpose(-1, -2))[0, 0]
    for distance in range(-8, 9):
        diagonal = meet.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rotate(q, waves).norm(dim=-1), q.norm(dim=-1), atol=1e-5, rtol=1e-5)
    assert waves[0, 1, :4].acos().tolist() == pytest.approx(
        [1, 200 ** (-1 / 3), 200 ** (-2 / 3), 1 / 200], rel=1e-2
    )


def unit(x):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


@torch.no_grad()
def test_memory_slots():
    """h + Attn(h, M, M), head by head."""
    torch.manual_seed(0)
    layer, h = MemorySlots(3, 8, 2).double(), draw(2, 4, 8)
    layer.slots.copy_(draw(3, 8, seed=1))
    wanted = h.clone()
    for part in (slice(0, 4), slice(4, 8)):
        slots = layer.slots[:, part]
        weights = (unit(h[..., part]) @ unit(slots).T / math.sqrt(4)).softmax(-1)
        wanted[..., part] += weights @ slots
    torch.testing.assert_close(layer(h), wanted, **CLOSE)


@torch.no_grad()
def test_local_conditioning_reads_words():
    """W_down Attn(W_q z, W_up T, W_up T), head by head; nothing where no word is seen."""
    torch.manual_seed(0)
    layer, z, words = TextAttention(8, 2, 5).double(), draw(3, 4, 8), draw(3, 6, 5, seed=1)
    for norm in (layer.q_norm, layer.k_norm):
        norm.weight.copy_(draw(4, seed=2))
    seen = torch.tensor([[True] * 6, [False, True, False, True, True, False], [False] * 6])
    got = layer(z, words, seen)
    for row in range(2):
        up = words[row, seen[row]] @ layer.up.weight.T
        query = unit(z[row]) @ layer.query.weight.T + layer.query.bias
        read = []
        for part in (slice(0, 4), slice(4, 8)):
            q = layer.q_norm.weight * unit(query[:, part])
            k = layer.k_norm.weight * unit(up[:, part])
            read.append((q @ k.T / math.sqrt(4)).softmax(-1) @ up[:, part])
        wanted = torch.cat(read, dim=1) @ layer.down.weight.T
        torch.testing.assert_close(got[row], wanted, **CLOSE)
    assert not got[2].any()
    torch.testing.assert_close(layer(z[:1], words[:1], None), got[:1], **CLOSE)


@torch.no_grad()
def test_each_token_has_a_condition_of_its_own():
    """C = C_g + lambda C_l: what reaches AdaLN, layer by layer, and its half without text."""
    flow = make(local_every=2, local_weight=3.0, unconditional_local=0.5)
    local = [block.text_attention is not None for block in flow.blocks]
    assert local == [False, True, False]
    read, conditions = [], []
    flow.blocks[1].text_attention.register_forward_hook(lambda *call: read.append(call[2]))
    for block in flow.blocks:
        block.modulation.register_forward_pre_hook(lambda _, given: conditions.append(given[0]))
    flow(Z, TIME, TEXT, conditional=torch.tensor([True, False]))
    plain, own, again = conditions
    assert plain.shape == (2, 1, 16) and torch.equal(plain, again)

    def before_silu(x):  # SiLU is no bijection: compare behind it
        return torch.nn.functional.silu(x)

    pooled = flow.text_layer(TEXT[:, 0] * torch.tensor([[1.0], [0.0]]))
    angles = TIME[:, None] * torch.exp(-math.log(1e4) * torch.arange(128) / 128)
    time = flow.time_layers(torch.cat([angles.cos(), angles.sin()], dim=1).double())
    whole = (time + pooled)[:, None]
    weights = torch.tensor([3.0, 1.5])[:, None, None]
    torch.testing.assert_close(plain, before_silu(whole), atol=1e-6, rtol=1e-6)
    wanted = before_silu(whole + weights * read[0])
    torch.testing.assert_close(own, wanted, atol=1e-6, rtol=1e-6)
    assert own.shape == (2, TOKENS, 16)


def maps_of(flow, *given):
    with watch_attention(flow, "text_attention.attend") as maps, torch.no_grad():
        out = flow(Z, TIME, TEXT, *given)
    return out, torch.stack(maps)


@torch.no_grad()
def test_watching_changes_nothing_and_shows_all_layers():
    flow = make(**FULL)
    plain = flow(Z, TIME, TEXT, MASK, WORD_MASK)
    out, maps = maps_of(flow, MASK, WORD_MASK)
    torch.testing.assert_close(out, plain, **CLOSE)
    assert maps.shape == (3, 2, 2, TOKENS, WORDS - 1)  # layers batch heads tokens words
    torch.testing.assert_close(maps.sum(-1), torch.ones_like(maps[..., 0]))
    assert not maps[:, 1, ..., 3:].any(), "padded words are never read"
    with watch_attention(flow) as everything:
        with watch_attention(flow, "memory.attend") as slots:
            flow(Z, TIME, TEXT)
        assert len(slots) == 3 and slots[0].shape[-1] == 3
        assert len(everything) == 3 * 3, "memory, words and tokens of each layer"
    flow(Z, TIME, TEXT)
    assert len(everything) == 9, "nobody watches any more"


def test_the_sink_mask():
    """Row 1 is at t = 0.7, above the threshold; row 0 at 0.1 is not."""
    flow = make(**FULL, sink_threshold=0.2)
    _, maps = maps_of(flow, MASK, WORD_MASK)
    assert maps[:, 0, ..., 0].min() > 0 and not maps[:, 1, ..., 0].any()
    torch.testing.assert_close(maps.sum(-1), torch.ones_like(maps[..., 0]))
    flow.sink_threshold = 0.8
    _, before = maps_of(flow, MASK, WORD_MASK)
    assert before[..., 0].min() > 0
    share = before[:, 1, ..., 1:] / before[:, 1, ..., 1:].sum(-1, keepdim=True)
    torch.testing.assert_close(maps[0, 1, ..., 1:], share[0], **CLOSE)  # logits of minus infinity
    flow.sink_threshold, flow.sink_word = 0.0, torch.tensor([1, 2])
    _, other = maps_of(flow, MASK, WORD_MASK)
    assert not other[:, 0, ..., 1].any() and not other[:, 1, ..., 2].any()
    assert other[..., 0].min() > 0


def test_the_sink_mask_as_a_table():
    words = torch.tensor([[True, True, False]] * 3)
    got = sink_mask(words, torch.tensor([0.2, 0.21, 1.0]), 0.2)
    assert got.tolist() == [[True, True, False], [False, True, False], [False, True, False]]


def test_gradients_reach_every_weight():
    flow = make(**FULL)
    flow(Z, TIME, TEXT, MASK, WORD_MASK).square().sum().backward()
    silent = [name for name, weight in flow.named_parameters() if weight.grad is None]
    assert not silent


def test_what_does_not_fit_is_told():
    flow = make()
    with pytest.raises(RequestError, match="text embeddings are 3 wide"):
        flow(Z, TIME, TEXT[..., :3])
    for options, message in (
        ({"joints": 22, "patch": 3}, "no multiple of patch 3"),
        ({"width": 6, "heads": 2}, "heads of 3"),
        ({"width": 16, "heads": 3}, "multiple"),
    ):
        with pytest.raises(RequestError, match=message):
            FlowTransformer(**options)


@torch.no_grad()
@pytest.mark.parametrize("patch", [1, 2, 4])
def test_patches_are_the_convolution_that_its_weights_are_named_for(patch):
    flow = make(patch=patch)
    convolved = flow.input_layer(Z.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(flow._patches(Z), convolved, **CLOSE)


def test_training_on_a_processor_calls_neither_a_convolution_nor_the_slow_attention(monkeypatch):
    """The first gives NaN in bfloat16 on some processors, the second costs 45 ms a layer."""

    def refuse(*_, **__):
        raise AssertionError("called")

    flow = make(**FULL).float()
    monkeypatch.setattr(torch.nn.Conv2d, "forward", refuse)
    monkeypatch.setattr("lead.models.blocks.watching.scaled_dot_product_attention", refuse)
    with torch.autocast("cpu", torch.bfloat16):
        out = flow(Z.float(), TIME.float(), TEXT.float(), MASK, WORD_MASK)
    out.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in flow.parameters())
    with torch.no_grad(), pytest.raises(AssertionError, match="called"):
        flow(Z.float(), TIME.float(), TEXT.float(), MASK, WORD_MASK)


@pytest.mark.parametrize("seen", [None, MASK[:, None, None]], ids=["all", "some"])
def test_attention_by_products_is_attention(seen):
    """Values and gradients of both forms; the watched map is that of the products."""
    q, k, v = (draw(2, 2, TOKENS, 4, seed=seed).requires_grad_() for seed in range(3))
    made = WatchedAttention()(q, k, v, seen)
    torch_made = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    torch.testing.assert_close(made, torch_made, **CLOSE)
    weights = draw(*made.shape, seed=4)
    ours, theirs = (
        torch.autograd.grad((out * weights).sum(), (q, k, v)) for out in (made, torch_made)
    )
    torch.testing.assert_close(ours, theirs, **CLOSE)


@torch.no_grad()
def test_sentence_and_words_have_a_scale_each():
    scaled, plain = make(text_scale=2.0, word_scale=3.0, **FULL), make(**FULL)
    text = TEXT * torch.tensor([2.0] + [3.0] * (WORDS - 1))[:, None]
    given = (MASK, WORD_MASK)
    torch.testing.assert_close(scaled(Z, TIME, TEXT, *given), plain(Z, TIME, text, *given), **CLOSE)
    alone = scaled(Z, TIME, TEXT[:, :1], MASK)
    torch.testing.assert_close(alone, plain(Z, TIME, text[:, :1], MASK), **CLOSE)


@pytest.mark.parametrize("weighted", [True, False])
def test_the_gradient_of_rms_norm_is_that_of_its_formula(weighted):
    x = draw(2, 3, 5).requires_grad_()
    weight = draw(5, seed=1).requires_grad_() if weighted else None
    given = (x, weight) if weighted else (x,)
    formula = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * (weight if weighted else 1)
    torch.testing.assert_close(unit_rms(*given), formula, **CLOSE)
    assert torch.autograd.gradcheck(unit_rms, given)
    with torch.no_grad():
        assert torch.equal(unit_rms(*given), unit_rms(*given)) and not unit_rms(x).requires_grad
        torch.testing.assert_close(unit_rms(*given), formula, **CLOSE)
