"""Polite stop signals: one line, exit code 1, and the training goes on from there."""

import os
import signal

import pytest

from lead.cli.main import main
from lead.cli.train_request import train_request
from lead.core.errors import RequestError, WorkError
from lead.core.runs import Run
from lead.training.stages import train_stage


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_is_one_line_and_exit_code_1(
    make_values, micro_words, at_step, capsys, tmp_path, number
):
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    at_step(4, lambda: os.kill(os.getpid(), number))
    run = tmp_path / "run"
    assert main(["train", *micro_words("vae", run)]) == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1] == f"lead: stopped by {number.name} at step 5; go on with resume=true"
    assert "Traceback" not in "".join(errors)
    record = Run(run).contents
    assert record["status"] == "interrupted" and record["step"] == 5
    assert {n: signal.getsignal(n) for n in before} == before


def test_a_bar_ends_its_line_before_the_reason_is_told(micro_words, at_step, capsys, tmp_path):
    at_step(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["train", *micro_words("vae", tmp_path / "run"), "trainer.progress=true"]) == 1
    assert capsys.readouterr().out.endswith("\n")


def test_stopping_before_the_first_step_can_be_resumed(
    make_values, at_step, train_chain, assert_same_run, monkeypatch, micro_words, tmp_path
):
    at_step(0, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert main(["train", *micro_words("vae", tmp_path / "run")]) == 1
    monkeypatch.undo()
    train_stage(train_request(make_values("vae", tmp_path / "run", "resume=true")))
    assert_same_run(tmp_path / "run", train_chain("trainer.precision=fp32")["vae"])


def test_a_run_without_weights_is_not_finished_by_fewer_steps(make_values, at_step, tmp_path):
    at_step(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    values = make_values("vae", tmp_path / "run")
    with pytest.raises(WorkError):
        train_stage(train_request(values))
    fewer = {**values, "resume": True, "trainer": {**values["trainer"], "max_steps": 2}}
    with pytest.raises(RequestError, match="at step 2 and has no weights yet.*max_steps=2, take"):
        train_stage(train_request(fewer))
    assert Run(tmp_path / "run").record.status == "interrupted"


def test_a_signal_during_the_last_step_ends_as_finished(make_values, at_step, tmp_path):
    at_step(6, lambda: os.kill(os.getpid(), signal.SIGTERM))
    run = train_stage(train_request(make_values("vae", tmp_path / "run")))
    assert run.record.status == "finished"


def test_time_alone_makes_a_save_due(make_values, at_step, tmp_path):
    """Between two saves by step number: the state of step 1 is there when step 1 begins."""
    seen = []
    run = Run(tmp_path / "run")
    at_step(1, lambda: seen.append(run.state_path.is_file()))
    values = make_values("vae", run.folder, "trainer.save_seconds=0", "trainer.save_every=1000")
    train_stage(train_request(values))
    assert seen == [True]
