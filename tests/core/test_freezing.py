"""Frozen means frozen: no dropout, no gradient, no way back."""

import copy
import pickle

import pytest
import torch
from torch import nn

from lead.core.freezing import freeze, trainable_parameters


class Container(nn.Module):
    """A trainable layer behind a part that may be frozen, as the later stages hold the VAE."""

    def __init__(self):
        super().__init__()
        self.part = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.BatchNorm1d(6))
        self.head = nn.Sequential(nn.Linear(6, 2), nn.Dropout(0.5))

    def forward(self, x):
        return self.head(self.part(x))


def clone_by_pickle(module):
    return pickle.loads(pickle.dumps(module))


@pytest.mark.parametrize("clone", [lambda m: m, copy.deepcopy, clone_by_pickle])
def test_training_mode_of_the_container_leaves_the_frozen_part_alone(clone):
    container = Container()
    assert freeze(container.part) is container.part
    container = clone(container)
    assert container.train() is container
    container.part.train(True)
    container.part[1].train()
    assert not any(module.training for module in container.part.modules())
    assert all(module.training for module in container.head.modules())  # and only that part
    x = torch.randn(32, 6)
    statistics = container.part[2].running_mean.clone()
    assert torch.equal(container.part(x), container.part(x))
    assert torch.equal(container.part[2].running_mean, statistics)
    assert not torch.equal(container(x), container(x))  # the head's dropout is on


def test_a_part_that_is_not_frozen_would_drop_out():
    container = Container()
    container.part.eval()
    container.train()
    x = torch.randn(32, 6)
    assert not torch.equal(container.part(x), container.part(x))


def test_a_copy_switches_itself_not_the_original():
    original = Container()
    freeze(original.part)
    other = copy.deepcopy(original)
    assert other.part.train() is other.part
    assert other.part[0].train() is other.part[0]
    assert other.eval() is other


def test_gradients_stop_at_the_frozen_weights_but_pass_through_them():
    container = Container()
    freeze(container.part)
    before = {name: p.clone() for name, p in container.part.state_dict().items()}
    container.train()
    x = torch.randn(8, 6, requires_grad=True)
    optimizer = torch.optim.SGD(trainable_parameters(container).values(), lr=1.0)
    container(x).square().sum().backward()
    optimizer.step()
    assert all(p.grad is None for p in container.part.parameters())
    assert x.grad.abs().sum() > 0
    for name, value in container.part.state_dict().items():
        assert torch.equal(value, before[name])


def test_only_trainable_parameters_are_listed():
    container = Container()
    assert trainable_parameters(container).keys() == dict(container.named_parameters()).keys()
    freeze(container.part)
    assert set(trainable_parameters(container)) == {"head.0.weight", "head.0.bias"}
    assert trainable_parameters(container.part) == {}
