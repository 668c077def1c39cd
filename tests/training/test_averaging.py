"""The exponential average of the weights against its closed form."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from lead.training.averaging import ExponentialAverage

TRAINER = pl.Trainer.__new__(pl.Trainer)  # only handed through


class Small(pl.LightningModule):
    """One weight that is trained and one that is not."""

    def __init__(self):
        super().__init__()
        self.free = nn.Parameter(torch.tensor([1.0, -2.0]))
        self.fixed = nn.Parameter(torch.tensor([5.0]), requires_grad=False)


def trained(average: ExponentialAverage, module: Small, values: list[float]) -> None:
    """Set the free weight to each value as if steps 1, 2, ... had been taken."""
    for step, value in enumerate(values, start=1):
        module.free.data.fill_(value)
        average.on_train_batch_end(SimpleNamespace(global_step=step), module)


@pytest.mark.parametrize("decay", [0.999, 0.3])
def test_the_average_is_the_closed_form_with_warm_up(decay):
    """Weights of steps 4, 8, ..., each with the decay of four steps."""
    module, average = Small(), ExponentialAverage(decay)
    average.on_fit_start(TRAINER, module)
    values = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, 6.0, 5.0, 3.5, 8.0, -7.0, 9.5]
    trained(average, module, values)
    decays = [min(decay, (1 + step) / (10 + step)) ** 4 for step in (4, 8, 12)]
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    expected = start * torch.tensor(decays, dtype=torch.float64).prod()
    for place, value in enumerate((1.0, 6.0, -7.0)):
        kept = torch.tensor(decays[place + 1 :], dtype=torch.float64).prod()
        expected = expected + value * (1 - decays[place]) * kept
    torch.testing.assert_close(average.average["free"].double(), expected, atol=1e-5, rtol=1e-5)


def test_only_what_is_trained_is_averaged():
    module, average = Small(), ExponentialAverage()
    average.on_fit_start(TRAINER, module)
    assert set(average.average) == {"free"}


def test_swapping_in_and_out_restores_every_bit():
    module, average = Small(), ExponentialAverage(0.5)
    average.on_fit_start(TRAINER, module)
    trained(average, module, [0.1, 0.7, 0.9, 0.2])
    raw, mean = module.free.detach().clone(), average.average["free"].clone()
    assert not torch.equal(raw, mean)
    average.on_validation_start(TRAINER, module)
    assert torch.equal(module.free, mean) and module.fixed.item() == 5
    average.swap_in(module)  # the saver does so inside the validation
    assert torch.equal(module.free, mean)
    average.on_validation_end(TRAINER, module)
    assert torch.equal(module.free, raw)
    average.swap_out(module)
    assert torch.equal(module.free, raw)


def test_the_average_does_not_follow_the_weights_it_was_copied_from():
    module, average = Small(), ExponentialAverage(0.5)
    average.on_fit_start(TRAINER, module)
    module.free.data.fill_(100)
    assert average.average["free"].tolist() == [1, -2]


def test_without_decay_the_weights_themselves_are_validated():
    module, average = Small(), ExponentialAverage(0.0)
    average.on_fit_start(TRAINER, module)
    trained(average, module, [2.0])
    average.swap_in(module)
    assert module.free.tolist() == [2, 2]
    average.swap_out(module)


def test_the_state_goes_round():
    module, average = Small(), ExponentialAverage(0.5)
    average.on_fit_start(TRAINER, module)
    trained(average, module, [0.3, 0.9])
    again = ExponentialAverage(0.5)
    again.load_state_dict(average.state_dict())
    again.on_fit_start(TRAINER, module)  # goes on with the state, not with the present weights
    for one in (average, again):
        one.on_train_batch_end(SimpleNamespace(global_step=3), module)
    assert torch.equal(again.average["free"], average.average["free"])
