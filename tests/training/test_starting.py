"""A run that starts anew: what was there before goes only when something is there instead."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from lead.cli.train_request import train_request
from lead.core.errors import WorkError
from lead.core.runs import Run
from lead.training.stages import train_stage
from lead.training.starting import settle, started_anew
from lead.training.vae_stage import VaeStage


@pytest.fixture
def run(train_chain, tmp_path) -> Run:
    """A finished run with a note of the user's own beside its files."""
    shutil.copytree(train_chain("trainer.precision=fp32")["vae"], tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    return Run(tmp_path / "run")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class BrokenError(Exception):
    """Stands for whatever a library raises."""


@pytest.mark.parametrize("error", [BrokenError, WorkError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("moment", ["on_fit_start", "training_step"])
def test_a_failure_before_the_first_result_leaves_nothing(
    make_values, monkeypatch, tmp_path, error, moment
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(VaeStage, moment, fail)
    with pytest.raises((error, SystemExit)):  # Lightning ends the process where it is interrupted
        train_stage(train_request(make_values("vae", tmp_path / "deep" / "run")))
    assert not list(tmp_path.iterdir())


def test_an_option_that_fails_in_the_first_step_leaves_nothing(make_values, tmp_path):
    with pytest.raises(Exception, match="beta|threshold"):
        train_stage(
            train_request(make_values("vae", tmp_path / "run", "stage.module.threshold=-1.0"))
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["overwrite=true", "resume=true"])
def test_a_failure_before_the_first_result_gives_the_old_run_back(
    make_values, monkeypatch, run, option
):
    if option == "resume=true":  # killed before it saved a state: it begins anew
        shutil.rmtree(run.folder / "state")
        run.update(status="running")
    before = contents(run.folder)

    def fail(*_: object) -> None:
        assert not (run.folder / "metrics.csv").exists()
        raise BrokenError

    monkeypatch.setattr(VaeStage, "training_step", fail)
    with pytest.raises(BrokenError):
        train_stage(train_request(make_values("vae", run.folder, option)))
    assert contents(run.folder) == before


def test_a_failure_after_it_keeps_what_was_saved(make_values, at_step, run):
    def fail() -> None:
        raise BrokenError

    at_step(5, fail)
    with pytest.raises(BrokenError):
        train_stage(train_request(make_values("vae", run.folder, "overwrite=true", "seed=7")))
    assert run.state_path.is_file() and Run(run.folder).record.values["seed"] == 7
    assert not list(run.folder.rglob(".*")) and (run.folder / "notes.txt").exists()


CALLS = ("rename", "rmdir", "unlink", "mkdir")


@pytest.fixture
def small(tmp_path) -> Run:
    """A folder that looks like a finished run."""
    run = Run(tmp_path / "run")
    run.update(schema=1, stage="vae", status="finished", best={"step": 1})
    for name in ("notes.txt", "config.yaml", "metrics.csv", "state/trainer.ckpt", "weights/vae"):
        (run.folder / name).parent.mkdir(exist_ok=True)
        (run.folder / name).write_text(f"old {name}")
    return run


@pytest.mark.parametrize("result", [False, True])
@pytest.mark.parametrize("step", range(40))
def test_killed_at_any_step_the_old_or_the_new_stands(small, step, result):
    """After each change of a name, wherever it falls: on the way out, between, or back."""
    run = small
    old = contents(run.folder)
    process = os.fork()
    if process == 0:
        count = iter(range(1000))
        code = 1

        def killing(change):
            def changed(*arguments, **options):
                made = change(*arguments, **options)
                if next(count) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return made

            return changed

        try:
            for name in CALLS:
                setattr(Path, name, killing(getattr(Path, name)))
            os.unlink, os.rmdir = killing(os.unlink), killing(os.rmdir)  # as shutil.rmtree does
            begin_anew(run, result)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in (0, -signal.SIGKILL)
    run = Run(run.folder)
    settle(run)
    found = contents(run.folder)
    new = {
        "run.json": found["run.json"],
        "notes.txt": old["notes.txt"],
        "state/trainer.ckpt": b"new",
    }
    assert found == old or (result and found == new)
    if code == 0:
        assert (found == new) == result
    assert not list(run.folder.glob(".*"))


def begin_anew(run: Run, result: bool) -> None:
    with started_anew(run):
        run.update(schema=1, stage="vae", parts={"vae": {}})
        if result:
            run.state_path.parent.mkdir()
            run.state_path.write_bytes(b"new")


def test_as_many_steps_as_there_are_were_tried(small, monkeypatch):
    """The test above would say nothing of steps beyond its last."""
    made = []
    for where, names in ((Path, CALLS), (os, ("unlink", "rmdir"))):
        for name in names:
            change = getattr(where, name)
            monkeypatch.setattr(
                where, name, lambda *a, of=change, **o: (made.append(of), of(*a, **o))[1]
            )
    begin_anew(small, True)
    assert 15 < len(made) <= 40
