"""A training that was stopped and resumed ends in the bits of one that never was."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

from lead.cli.train_request import train_request
from lead.core.errors import WorkError
from lead.core.runs import Run
from lead.training.stages import train_stage

EARLIER = {
    **{"vae": (), "diffusion": ("vae",), "projector": ("diffusion",)},
    **{"autoencoder": (), "flow": ("autoencoder",)},
}


class CrashError(Exception):
    """Stands for anything that ends a training without notice."""


def crash() -> None:
    raise CrashError


@pytest.mark.parametrize(
    ("stage", "precision"),
    [*((stage, "fp32") for stage in EARLIER), ("vae", "bf16"), ("flow", "bf16")],
)
def test_crashed_then_terminated_then_finished(
    make_values, train_chain, at_step, assert_same_run, monkeypatch, tmp_path, stage, precision
):
    option = f"trainer.precision={precision}"
    chain = train_chain(option, stages=[stage])
    names = [f"{name}={chain[name]}" for name in EARLIER[stage]]
    run = Run(tmp_path / "run")
    values = make_values(stage, run.folder, option, *names)
    at_step(3, crash)  # the last save is that of step 2
    with pytest.raises(CrashError):
        train_stage(train_request(values))
    monkeypatch.undo()
    at_step(4, lambda: os.kill(os.getpid(), signal.SIGTERM))  # stops before step 5
    with pytest.raises(WorkError, match="stopped by SIGTERM at step 5; go on with resume=true"):
        train_stage(train_request({**values, "resume": True}))
    monkeypatch.undo()
    assert Run(run.folder).record.status == "interrupted"
    train_stage(train_request({**values, "resume": True}))
    assert_same_run(run.folder, chain[stage])


def test_killed_at_a_random_moment(make_values, train_chain, assert_same_run, tmp_path):
    chain = train_chain("trainer.precision=fp32")
    values = make_values("vae", tmp_path / "run", "trainer.precision=fp32")
    request = train_request(values)
    process = multiprocessing.get_context("fork").Process(target=train_stage, args=(request,))
    process.start()
    time.sleep(random.Random().uniform(0.05, 1.0))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    train_stage(train_request({**values, "resume": True}))
    assert_same_run(tmp_path / "run", chain["vae"])
    assert not leftovers(tmp_path / "run")


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*")]


def test_a_finished_run_resumes_to_itself(make_values, train_chain, assert_same_run, tmp_path):
    values = make_values("vae", tmp_path / "run", "trainer.precision=fp32")
    train_stage(train_request(values))
    train_stage(train_request({**values, "resume": True}))
    assert_same_run(tmp_path / "run", train_chain("trainer.precision=fp32")["vae"])


def test_a_finished_run_can_be_made_longer(make_values, train_chain, assert_same_run, tmp_path):
    """Here the schedule is constant: a cosine would have another shape."""
    values = make_values("vae", tmp_path / "run", "stages.vae.optimizer.schedule=constant")
    whole = make_values("vae", tmp_path / "whole", "stages.vae.optimizer.schedule=constant")
    train_stage(train_request({**values, "trainer": {**values["trainer"], "max_steps": 4}}))
    train_stage(train_request({**values, "resume": True}))
    train_stage(train_request(whole))
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_the_comparison_sees_another_training(make_values, train_chain, assert_same_run, tmp_path):
    train_stage(train_request(make_values("vae", tmp_path / "run", "seed=1")))
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path / "run", train_chain("trainer.precision=fp32")["vae"])
