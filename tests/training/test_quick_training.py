"""Counted, not timed: what a training step on a processor leaves to torch's slower forms."""

import pytest
import torch
from torch import nn

from lead.cli.train_request import train_request
from lead.training.stages import train_stage

EARLIER = {"vae": None, "diffusion": "vae", "projector": "diffusion"}


@pytest.mark.parametrize("stage", EARLIER)
def test_a_step_draws_no_bernoulli_numbers_and_attends_by_products(
    stage, make_values, train_chain, tmp_path, monkeypatch
):
    earlier = EARLIER[stage]
    words = [f"{earlier}={train_chain(stages=[earlier])[earlier]}"] if earlier else []
    values = make_values(stage, tmp_path / "run", *words, f"stages.{stage}.max_steps=1")
    called = {"dropout": 0, "multi_head_attention_forward": 0}
    for name in called:
        own = getattr(nn.functional, name)

        def counted(*args, name=name, own=own, **options):
            called[name] += torch.is_grad_enabled()
            return own(*args, **options)

        monkeypatch.setattr(nn.functional, name, counted)
    train_stage(train_request(values))
    assert called == {"dropout": 0, "multi_head_attention_forward": 0}
