"""Quick dropout: zeros as often as asked for, the mean kept, gradients where values passed."""

import pytest
import torch
from torch import nn

from lead.models.blocks.dropout import QuickDropout, quicken_dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_of_zeros_and_mean(p, dtype):
    torch.manual_seed(0)
    count = 200_003  # no multiple of four
    x = torch.ones(count, dtype=dtype, requires_grad=True)
    y = QuickDropout(p).train()(x)
    deviation = (p * (1 - p) / count) ** 0.5
    assert abs(float((y == 0).float().mean()) - p) < 5 * deviation
    assert abs(float(y.detach().float().mean()) - 1) < 5 * deviation / (1 - p) + 0.004
    y.float().sum().backward()
    assert torch.equal(x.grad, y.detach())


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
    quicken_dropout(model)
    kinds = [type(part) for part in model.modules()]
    assert kinds.count(QuickDropout) == 4 and nn.Dropout not in kinds
    assert [*model.state_dict()] == names and model[1].training
    assert model(torch.randn(2, 3, 8)).shape == (2, 3, 8)
