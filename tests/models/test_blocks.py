"""Positions and the stack with long skips."""

import math

import pytest
import torch
from torch import nn

from lead.core.errors import RequestError
from lead.models.blocks.positions import LearnedPositions, SinusoidalPositions, sinusoid
from lead.models.blocks.quick import quicken
from lead.models.blocks.skip_stack import SkipStack, check_heads, xavier_init


@pytest.mark.parametrize("width", [2, 8, 9])
def test_sinusoid_is_cosines_then_sines(width):
    positions = torch.tensor([0, 1, 37, 999])
    half = width // 2
    expected = torch.zeros(len(positions), width, dtype=torch.float64)
    for row, t in enumerate(positions.tolist()):
        for k in range(half):
            angle = t / 10000 ** (k / half)
            expected[row, k], expected[row, half + k] = math.cos(angle), math.sin(angle)
    torch.testing.assert_close(sinusoid(positions, width).double(), expected, atol=1e-4, rtol=0)


def test_every_timestep_has_its_own_sinusoid():
    table = sinusoid(torch.arange(1000), 64)
    assert torch.cdist(table, table).fill_diagonal_(1).min() > 1e-3


def test_positions_are_added_to_the_tokens():
    x = torch.randn(2, 5, 6)
    learned, fixed = LearnedPositions(6), SinusoidalPositions(6)
    torch.testing.assert_close(learned(x) - x, learned.pe[:5].expand(2, -1, -1))
    torch.testing.assert_close(fixed(x), x + sinusoid(torch.arange(5), 6))
    assert not list(fixed.parameters()) and not fixed.state_dict()


def test_more_tokens_than_positions_is_one_line():
    positions = LearnedPositions(4)
    assert positions(torch.zeros(1, 500, 4)).shape == (1, 500, 4)
    with pytest.raises(RequestError, match="501 tokens, but positions were learned for 500"):
        positions(torch.zeros(1, 501, 4))


class Shift(nn.Module):
    """Adds its own number, and writes down what it was called with."""

    calls: list = []

    def __init__(self, number: float):
        super().__init__()
        self.number = number

    def forward(self, x, *memory, **masks):
        self.calls.append((self.number, memory, masks))
        return x + self.number


def test_skips_join_each_layer_with_its_mirror():
    numbers = iter((1.0, 10.0, 1000.0, 10000.0, 100.0))  # input 0, input 1, middle, output 0, 1
    made = [Shift(next(numbers)) for _ in range(5)]
    order = iter(made)
    stack = SkipStack(lambda: next(order), layers=5, width=1)
    stack.norm = nn.Identity()
    for join, weights in zip(stack.linear_blocks, ([2.0, 3.0], [5.0, 7.0]), strict=True):
        join.weight.data, join.bias.data = torch.tensor([weights]), torch.zeros(1)
    x = torch.tensor([[[0.5]]])
    first = 0.5 + made[0].number
    second = first + made[1].number
    middle = second + stack.middle_block.number
    third = 2 * middle + 3 * second + stack.output_blocks[0].number
    last = 5 * third + 7 * first + stack.output_blocks[1].number
    memory, mask = torch.zeros(1), torch.zeros(1, dtype=torch.bool)
    Shift.calls.clear()
    assert stack(x, memory, some_mask=mask).item() == last
    assert len(Shift.calls) == 5
    assert all(given == (memory,) and masks["some_mask"] is mask for _, given, masks in Shift.calls)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("quick", [False, True])
def test_the_first_tokens_alone_are_those_of_all(layers, quick):
    """Numbers and gradients; tokens that nobody reads are not computed in the last layer."""
    torch.manual_seed(0)
    stack = SkipStack(
        lambda: nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, activation="gelu", batch_first=True
        ),
        layers,
        8,
    ).train()
    if quick:
        quicken(stack)
    x, padding = torch.randn(2, 5, 8), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    rows, results = [], []
    last = [stack.middle_block, *stack.output_blocks][-1]
    last.linear1.register_forward_hook(lambda _m, given, _out: rows.append(given[0].shape[1]))
    for kept in (None, 2):
        own = x.clone().requires_grad_()
        stack.zero_grad()
        out = stack(own, kept=kept, src_key_padding_mask=padding)[:, :2]
        out.square().sum().backward()
        results.append([out, own.grad, *(part.grad.clone() for part in stack.parameters())])
    assert rows == [5, 2]
    for whole, alone in zip(*results, strict=True):
        torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layers", [0, 2, 8, -1])
def test_a_stack_with_long_skips_is_odd(layers):
    with pytest.raises(RequestError, match=f"odd number of layers, not {layers}"):
        SkipStack(nn.Identity, layers, 4)


def test_one_layer_is_only_the_middle():
    stack = SkipStack(lambda: Shift(2.0), 1, 3)
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(stack(x), nn.functional.layer_norm(x + 2, (3,)))


def test_xavier_keeps_to_its_bound_and_to_matrices():
    layer = nn.Linear(30, 50)
    bias = layer.bias.detach().clone()
    xavier_init(layer)
    bound = math.sqrt(6 / (30 + 50))
    assert layer.weight.abs().max() <= bound
    assert layer.weight.var().item() == pytest.approx(bound**2 / 3, rel=0.1)
    assert torch.equal(layer.bias, bias)


@pytest.mark.parametrize("heads", [0, -1, 3, 16])
def test_heads_share_the_width_evenly(heads):
    check_heads(8, 4)
    with pytest.raises(RequestError, match=f"width 8 cannot be shared by {heads} heads"):
        check_heads(8, heads)
