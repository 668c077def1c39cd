"""SIGKILL at random moments: every stage resumes and ends in the same bits (minutes; slow)."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from lead.training.stages import train_stage

MOMENTS = 10
LONGER = (
    *("trainer.precision=fp32", "trainer.save_every=3", "trainer.validate_every=5"),
    "trainer.max_steps=30",
)
"""Thirty steps, a save every three and a validation every five: many moments fall into a write."""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["vae", "diffusion", "projector"])
def test_killed_at_ten_random_moments(make_values, train_chain, assert_same_run, tmp_path, stage):
    chain = train_chain("trainer.precision=fp32")
    names = {"vae": [], "diffusion": ["vae"], "projector": ["diffusion"]}[stage]
    earlier = [f"{name}={chain[name]}" for name in names]

    def values(folder: Path) -> dict:
        return make_values(stage, folder, *earlier, *LONGER)

    begin = time.monotonic()
    train_stage(stage, values(tmp_path / "whole"))
    whole = time.monotonic() - begin
    killed = 0
    for moment in range(MOMENTS):
        folder = tmp_path / f"run{moment}"
        # One moment in each tenth of the time that a whole training takes.
        seconds = whole * (moment + random.Random().random()) / MOMENTS
        killed += kill_after(seconds, stage, values(folder))
        train_stage(stage, {**values(folder), "resume": True})
        assert_same_run(folder, tmp_path / "whole")
        assert not list(folder.rglob(".*"))
        shutil.rmtree(folder)
    assert killed >= MOMENTS // 2  # the others were faster than their moment


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["vae", "diffusion", "projector"])
def test_killed_again_and_again(make_values, train_chain, assert_same_run, tmp_path, stage):
    """The same training is killed ten times over; each round goes on from where the last stood."""
    chain = train_chain("trainer.precision=fp32")
    names = {"vae": [], "diffusion": ["vae"], "projector": ["diffusion"]}[stage]
    earlier = [f"{name}={chain[name]}" for name in names]
    begin = time.monotonic()
    train_stage(stage, make_values(stage, tmp_path / "whole", *earlier, *LONGER))
    whole = time.monotonic() - begin
    values = {**make_values(stage, tmp_path / "run", *earlier, *LONGER), "resume": True}
    for _ in range(MOMENTS):
        kill_after(whole * random.Random().random() / 2, stage, values)
    train_stage(stage, values)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def kill_after(seconds: float, stage: str, values: dict) -> bool:
    """Train in another process and kill it; false where it had finished by then."""
    process = multiprocessing.get_context("fork").Process(target=train_stage, args=(stage, values))
    process.start()
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode in (-signal.SIGKILL, 0)
    return process.exitcode != 0
