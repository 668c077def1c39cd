"""SIGKILL at random moments: every stage resumes and ends in the same bits (minutes; slow)."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lead.cli.train_request import train_request
from lead.training.stages import train_stage

MOMENTS = 10
STEPS = 30
LONGER = (
    *("trainer.precision=fp32", "trainer.save_every=3", "trainer.validate_every=5"),
    f"trainer.max_steps={STEPS}",
)
"""A save every three steps and a validation every five: many moments fall into a write."""

EARLIER = {"vae": (), "diffusion": ("vae",), "projector": ("diffusion",)}


@pytest.fixture
def values_in(make_values, train_chain) -> Callable[[str, Path], dict]:
    """Options of one stage on the earlier stages of a chain, for any run folder."""

    def values(stage: str, folder: Path) -> dict:
        chain = train_chain("trainer.precision=fp32")
        names = [f"{name}={chain[name]}" for name in EARLIER[stage]]
        return make_values(stage, folder, *names, *LONGER)

    return values


@pytest.mark.slow
@pytest.mark.parametrize("stage", EARLIER)
def test_killed_at_ten_random_moments(values_in, assert_same_run, tmp_path, stage):
    train_stage(train_request(values_in(stage, tmp_path / "whole")))
    for moment in range(MOMENTS):
        folder = tmp_path / f"run{moment}"
        # One moment in each tenth of the steps; the first ones before anything is written.
        step = (moment + random.Random().random()) * (STEPS - 2) / MOMENTS - 1
        process = start(values_in(stage, folder))
        while steps_logged(folder) <= step and process.is_alive():
            time.sleep(0.001)
        time.sleep(0.02 * random.Random().random())
        kill(process)
        assert process.exitcode == -signal.SIGKILL
        train_stage(train_request({**values_in(stage, folder), "resume": True}))
        assert_same_run(folder, tmp_path / "whole")
        assert not list(folder.rglob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("stage", EARLIER)
def test_killed_again_and_again(values_in, assert_same_run, tmp_path, stage):
    """One training, killed ten times over: each round goes on from where the last one stood."""
    begin = time.monotonic()
    train_stage(train_request(values_in(stage, tmp_path / "whole")))
    whole = time.monotonic() - begin
    values = {**values_in(stage, tmp_path / "run"), "resume": True}
    for _ in range(MOMENTS):
        process = start(values)
        time.sleep(whole * random.Random().random() / 2)
        kill(process)
        assert process.exitcode in (-signal.SIGKILL, 0)
    train_stage(train_request(values))
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def start(values: dict) -> multiprocessing.Process:
    request = train_request(values)
    process = multiprocessing.get_context("fork").Process(target=train_stage, args=(request,))
    process.start()
    return process


def kill(process: multiprocessing.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def steps_logged(folder: Path) -> int:
    """How many steps the log of a run holds; 0 before there is one."""
    path = folder / "metrics.csv"
    return path.read_text().count("train/loss") if path.is_file() else 0
