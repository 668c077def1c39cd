"""Quick dropout: zeros as often as asked for, the mean kept, gradients where values passed.

Quick attention: the numbers and gradients of torch's own.
"""

import copy

import pytest
import torch
from torch import nn

from lead.models.blocks.quick import QuickAttention, QuickDropout, quicken


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_of_zeros_and_mean(p, dtype):
    torch.manual_seed(0)
    calls, count = 400, 1003  # no multiple of eight
    x = torch.ones(calls, count, dtype=dtype, requires_grad=True)
    dropout = QuickDropout(p).train()
    y = torch.stack([dropout(row) for row in x])
    spread = p * (1 - p) / (calls * count) + 1 / 256**2 / calls  # of elements, and of shares
    assert abs(float((y == 0).float().mean()) - p) < 5 * spread**0.5
    rounding = 0.004 if dtype == torch.bfloat16 else 1e-6
    deviation = (p / (1 - p) / (calls * count)) ** 0.5
    assert abs(float(y.detach().float().mean()) - 1) < 5 * deviation + rounding
    y.float().sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("p", [0.1, 0.001])
def test_the_share_of_a_call_is_beside_the_one_asked_for(p):
    """25 or 26 of 256 for a tenth; for a thousandth most calls drop nothing."""
    torch.manual_seed(0)
    scales = torch.stack([QuickDropout(p).train()(torch.ones(512)).max() for _ in range(2000)])
    dropped = 256 - 256 / scales
    below = int(256 * p)
    torch.testing.assert_close(dropped, dropped.round(), atol=1e-3, rtol=0)
    assert set(dropped.round().int().tolist()) == {below, below + 1}
    assert abs(float(dropped.mean()) / 256 - p) < 5 * 0.5 / 256 / 2000**0.5


def test_neighbours_and_repeats_are_independent():
    torch.manual_seed(0)
    dropout = QuickDropout(0.5).train()
    first, second = (dropout(torch.ones(4, 50_000)) > 0 for _ in range(2))
    both = [(first == second)[0], first[0] == first[1], first[:, 1:] == first[:, :-1]]
    for equal in both:
        assert abs(float(equal.float().mean()) - 0.5) < 0.02


def test_the_seed_decides_and_evaluation_changes_nothing():
    dropout, x = QuickDropout(0.3).train(), torch.randn(100)
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(dropout(x))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    assert dropout.eval()(x) is x
    assert QuickDropout(0.0).train()(x) is x


def test_every_dropout_inside_is_replaced_and_no_weight_is_renamed():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True).train()
    model = nn.Sequential(layer, nn.Dropout(0.2))
    names = [*model.state_dict()]
    quicken(model)
    kinds = [type(part) for part in model.modules()]
    assert kinds.count(QuickDropout) == 4 and nn.Dropout not in kinds
    assert kinds.count(QuickAttention) == 1 and nn.MultiheadAttention not in kinds
    assert [*model.state_dict()] == names and model[1].training
    assert model(torch.randn(2, 3, 8)).shape == (2, 3, 8)


def twins(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A layer as it is, and a quick copy."""
    model = nn.Sequential(copy.deepcopy(layer))
    quicken(model)
    return layer, model[0]


def calls_of_torch(monkeypatch) -> list[int]:
    """Grows when torch's own multi-head attention computes."""
    called: list[int] = []
    own = nn.functional.multi_head_attention_forward

    def counted(*args, **options):
        called.append(1)
        return own(*args, **options)

    monkeypatch.setattr(nn.functional, "multi_head_attention_forward", counted)
    return called


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("tokens", "memory"), [(7, 0), (1, 0), (7, 1), (7, 2)])
def test_attention_equals_that_of_torch(tokens, memory, padded, monkeypatch):
    """An encoder, decoders of one and of several memory tokens."""
    torch.manual_seed(0)
    kind = nn.TransformerDecoderLayer if memory else nn.TransformerEncoderLayer
    layer = kind(16, 4, 32, dropout=0.0, batch_first=True)
    for name, parameter in layer.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    x, given = torch.randn(3, tokens, 16), [torch.randn(3, memory, 16)] if memory else []
    mask = torch.arange(tokens)[None] >= torch.tensor([7, 4, 1])[:, None]
    options = {f"{'tgt' if memory else 'src'}_key_padding_mask": mask} if padded else {}
    called = calls_of_torch(monkeypatch)
    results = []
    for one in twins(layer):
        called.clear()  # so that the quick copy's calls are left, which comes second
        inputs = [part.clone().requires_grad_() for part in (x, *given)]
        out = one.train()(*inputs, **options)
        out[~mask].square().sum().backward()
        parts = [*inputs, *one.parameters()]
        results.append([out[~mask], *(part.grad for part in parts)])
    assert not called
    for theirs, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("tokens", "memory"), [(1, 1), (2, 2), (2, 1)])
def test_attention_forgets_a_share_of_its_weights(tokens, memory):
    """All tokens are ones and so weigh the same: each stays, magnified, or is dropped."""
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, 0.25, bias=False, batch_first=True)
    with torch.no_grad():
        attention.in_proj_weight[16:] = torch.eye(8)
        attention.out_proj.weight.copy_(torch.eye(8))
    _, quick = twins(attention)
    x = torch.ones(4000 // tokens, tokens, 8)
    read = x if tokens == memory else x[:, :memory]
    out = quick.train()(x, read, read, need_weights=False)[0].reshape(4000, 2, 4)
    assert torch.equal(out, out[..., :1].expand_as(out))
    kept = out.detach()[..., 0] * memory * 0.75
    torch.testing.assert_close(kept, kept.round())
    assert abs(float(kept.mean()) / memory - 0.75) < 5 * (0.25 * 0.75 / 8000 / memory) ** 0.5
    torch.testing.assert_close(quick.eval()(x, read, read, need_weights=False)[0], x)


def test_attention_of_other_kinds_stays_as_it_is(monkeypatch):
    called = calls_of_torch(monkeypatch)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    _, quick = twins(attention)
    x, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    for given, options in (
        ((x, memory, memory.clone()), {"need_weights": False}),
        ((x, x, x), {}),
        ((x, x, x), {"need_weights": False, "attn_mask": torch.zeros(3, 3)}),
    ):
        called.clear()
        ours, theirs = (one(*given, **options)[0] for one in (quick, attention))
        assert len(called) == 2 and torch.equal(ours, theirs)
    _, wide = twins(nn.MultiheadAttention(8, 2, kdim=4, vdim=4, batch_first=True))
    assert type(wide) is nn.MultiheadAttention
