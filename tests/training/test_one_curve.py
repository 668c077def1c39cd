"""Two processes (gloo, forked) train on one batch: the loss curve is that of one process.

Dropout is off: its random numbers are drawn inside the layers, each process its own.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lead.cli.train_request import train_request
from lead.evaluation.extractor import networks
from lead.training.processes import rows_of_batch, share_of_batch
from lead.training.randomness import StepDraws
from lead.training.stages import train_stage

STEPS = 7
TOGETHER = ("trainer.devices=2", "trainer.strategy=ddp_fork")
STILL = tuple(f"model.{part}.dropout=0" for part in ("vae", "denoiser", "projector"))
STAGES = {
    "vae": ("stage.module.held_weight=1", "stage.module.standing_weight=1"),
    "diffusion": ("vae={vae}",),
    "projector": ("diffusion={diffusion}", "stage.module.shuffle_text=true"),
    "distill": ("teacher={diffusion}",),
    "evaluator": (),
    "classifier": ("model.classifier.dropout=0", "model.classifier.noise=0"),
}
"""Each stage with terms that count frames, or compare rows of the batch with one another."""


@pytest.fixture
def train(make_values, train_chain, styled, tmp_path) -> Callable[..., dict[str, list[float]]]:
    """Train a stage; returns every logged curve."""

    def run(stage: str, name: str, *overrides: str) -> dict[str, list[float]]:
        chain = train_chain(*STILL) if stage in ("diffusion", "projector", "distill") else {}
        words = [word.format(**chain) for word in STAGES[stage]]
        if stage == "classifier":
            words.append(f"dataset={styled.folder}")  # whose clips have labels
        train_stage(train_request(make_values(stage, tmp_path / name, *STILL, *words, *overrides)))
        return curves(tmp_path / name)

    return run


def curves(folder: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with (folder / "metrics.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["name"], []).append(float(row["value"]))
    return found


@pytest.mark.parametrize(
    "stage",
    [pytest.param(s, marks=() if s in ("vae", "evaluator") else pytest.mark.slow) for s in STAGES],
)
def test_the_curve_of_one_process(train, monkeypatch, stage):
    monkeypatch.setattr(networks, "DROPOUT", 0.0)  # the evaluator's is no option
    alone, together = train(stage, "alone"), train(stage, "together", *TOGETHER)
    assert alone.keys() == together.keys() and "val/loss" in alone
    assert len(alone["train/loss"]) == STEPS
    for name, curve in alone.items():
        torch.testing.assert_close(together[name], curve, rtol=1e-4, atol=1e-4, msg=name)


def test_the_processes_rows_are_those_of_the_whole_batch():
    def draws(process: int = 0, processes: int = 1) -> list[torch.Tensor]:
        rows = 6 // processes
        step = StepDraws(torch.Generator().manual_seed(3), process, processes)
        return [step.normal((rows, 2)), step.uniform((rows,)), step.integers(9, (rows, 1))]

    whole, parts = draws(), [draws(process, 3) for process in range(3)]
    for wanted, *own in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat(own), wanted)
    assert [tuple(drawn.shape) for drawn in whole] == [(6, 2), (6,), (6, 1)]


def test_a_process_alone_changes_nothing():
    counts, rows = torch.tensor([3, 0]), torch.randn(2, 3)
    assert share_of_batch(counts).tolist() == [1, 1]
    assert rows_of_batch(rows)[0] is rows
