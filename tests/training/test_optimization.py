"""Learning rates step by step, and the limit on gradients."""

import math

import pytest
import torch
from torch import nn

from lead.core import precision
from lead.core.errors import RequestError
from lead.core.schema import check
from lead.training.fit import choose_precision
from lead.training.optimization import GradientClipping, OptimizerOptions, make_optimizer


def rates(steps: int, total_steps: int = 0, **options) -> list[float]:
    """The learning rate that each of the first steps uses."""
    parameter = nn.Parameter(torch.zeros(1))
    made = make_optimizer([parameter], OptimizerOptions(**options), total_steps)
    assert made["lr_scheduler"]["interval"] == "step" and made["lr_scheduler"]["frequency"] == 1
    used = []
    for _ in range(steps):
        used.append(made["optimizer"].param_groups[0]["lr"])
        parameter.grad = torch.ones(1)
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    return used


def test_constant_after_a_linear_warm_up():
    assert rates(6, lr=0.4, warmup_steps=4) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    assert rates(2, lr=0.4) == pytest.approx([0.4, 0.4])


def test_cosine_falls_to_a_fiftieth():
    used = rates(12, lr=2.0, schedule="cosine", total_steps=10)
    for step, rate in enumerate(used[:11]):
        half_wave = 0.5 + 0.5 * math.cos(math.pi * step / 10)
        assert rate == pytest.approx(2.0 * (0.02 + 0.98 * half_wave))
    assert used[0] == pytest.approx(2.0) and used[5] == pytest.approx(2.0 * 0.51)
    assert used[10] == used[11] == pytest.approx(0.04)


def test_warm_up_and_cosine_multiply():
    plain = rates(6, lr=1.0, schedule="cosine", total_steps=6)
    warm = rates(6, lr=1.0, schedule="cosine", total_steps=6, warmup_steps=2)
    assert warm == pytest.approx([plain[0] / 2, *plain[1:]])


def test_it_is_adamw_with_decoupled_decay():
    parameter = nn.Parameter(torch.tensor([2.0]))
    made = make_optimizer([parameter], OptimizerOptions(lr=0.1, weight_decay=0.5))
    parameter.grad = torch.tensor([-3.0])
    made["optimizer"].step()
    # First step of Adam: the sign of the gradient. Decay is apart from it.
    assert parameter.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) + 0.1, rel=1e-5)


@pytest.mark.parametrize(
    ("option", "values", "message"),
    [
        ("schedule", ("cosin",), "'schedule': unknown 'cosin', did you mean 'cosine'"),
        ("lr", (0.0, -1e-3, float("nan"), float("inf"), 1e300, "1", None), "'lr' takes"),
        ("weight_decay", (-1.0, float("nan"), 1e300), "'weight_decay' takes"),
        ("warmup_steps", (-1, 2.5, 10**30), "'warmup_steps' takes"),
    ],
)
def test_what_is_no_schedule_and_no_rate_is_one_line(option, values, message):
    for value in values:
        with pytest.raises(RequestError, match=message):
            check(OptimizerOptions, {option: value}, "here", "again", error=RequestError)


@pytest.mark.parametrize(("limit", "expected"), [(1.0, 1.0), (7.0, 5.0), (0.0, 5.0)])
def test_gradients_are_limited_together(limit, expected):
    module = nn.Linear(1, 1)
    module.weight.grad, module.bias.grad = torch.tensor([[3.0]]), torch.tensor([-4.0])
    GradientClipping(limit).on_before_optimizer_step(
        None, module, torch.optim.SGD(module.parameters())
    )
    norm = math.hypot(module.weight.grad.item(), module.bias.grad.item())
    assert norm == pytest.approx(expected, rel=1e-4)
    assert module.weight.grad.item() / module.bias.grad.item() == pytest.approx(-0.75, rel=1e-5)


@pytest.mark.parametrize(("native", "taken"), [(True, "bf16-mixed"), (False, "32-true")])
def test_training_is_in_fp32_where_the_processor_has_no_bf16(monkeypatch, native, taken):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: native)
    assert choose_precision("auto", "cpu") == taken
    assert [choose_precision(p, "cpu") for p in ("fp32", "bf16")] == ["32-true", "bf16-mixed"]
