"""Two processes that train together on the CPU (slow: each starts Python anew)."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lead.core.runs import Run

STEPS = 60
TOGETHER = (
    *("trainer.devices=2", "trainer.strategy=ddp", f"stages.vae.max_steps={STEPS}"),
    "stages.vae.validate_every=20",
)


def start(words: list[str], log: Path, repository: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "lead.cli.main", "train", *words, *TOGETHER]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    with log.open("w", encoding="utf-8") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)


@pytest.mark.slow
def test_two_processes_stop_and_resume_together(micro_words, assert_same_run, repository, tmp_path):
    whole = start(micro_words("vae", tmp_path / "whole"), tmp_path / "whole.log", repository)
    assert whole.wait(timeout=300) == 0, (tmp_path / "whole.log").read_text()
    run, log = tmp_path / "run", tmp_path / "run.log"
    stopped = start(micro_words("vae", run), log, repository)
    metrics = run / "metrics.csv"
    while not (metrics.is_file() and metrics.read_text().count("train/loss") > 10):
        assert stopped.poll() is None, log.read_text()
        time.sleep(0.05)
    os.kill(stopped.pid, signal.SIGTERM)
    assert stopped.wait(timeout=300) == 1
    assert "stopped by SIGTERM at step" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert Run(run).record.status == "interrupted"
    resumed = start(micro_words("vae", run, "resume=true"), log, repository)
    assert resumed.wait(timeout=300) == 0, log.read_text()
    assert_same_run(run, tmp_path / "whole")
