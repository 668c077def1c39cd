"""`lead evaluate devices=2`: the record of one process; what fails in a process is one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lead.cli.main import main
from lead.studies.benchmark import processes

ROOT = Path(__file__).resolve().parents[2]
FEW = {
    **{"pool_size": 4, "replications": 3, "multimodality_texts": 2},
    **{"multimodality_repeats": 3, "multimodality_pairs": 2},
}


def words(w, judge: Path, output: str, *more: str) -> list[str]:
    given = {"run": w.run("projector"), "dataset": w.data, "device": "cpu", "split": "train"}
    given |= {"evaluator": judge, "protocol": "open", "sampling.steps": 2}
    given |= {f"protocol.{key}": value for key, value in FEW.items()}
    return ["evaluate", *(f"{k}={v}" for k, v in given.items()), f"output={output}", *more]


@pytest.mark.slow
def test_two_processes_write_the_record_of_one(world, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    train = ["train", "stage=evaluator", "size=tiny", f"dataset={world.data}", "run=judge"]
    train += ["trainer.max_steps=2", "trainer.accelerator=cpu", "trainer.progress=false"]
    assert main(train) == 0
    alone = words(world, Path("judge"), "one.json")  # in a new process: training sets switches
    subprocess.run([sys.executable, "-m", "lead.cli.main", *alone], check=True)
    assert main(words(world, Path("judge"), "two.json", "devices=2")) == 0
    one, two = (
        json.loads(Path(f"{name}.json").read_text(encoding="utf-8")) for name in ("one", "two")
    )
    assert one == two
    assert one["rows"]["generated (LEAD)"]["fid"]["count"] == 3


@pytest.mark.slow
def test_what_is_wrong_is_said_once(world, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    given = words(world, world.run("vae"), "table.json", "devices=2")
    capfd.readouterr()
    assert main(given) == 2
    error = capfd.readouterr().err
    assert "is a vae run, no evaluator" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["devices=0"], "devices takes a whole number from 1"),
        (["devices=2"], "devices= shares out a protocol"),
    ],
)
def test_devices_that_cannot_share_are_refused(world, capsys, more, message):
    assert main(["evaluate", "run=x", *more]) == 2
    assert message in capsys.readouterr().err


def test_a_process_alone_meets_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    sharing = processes.join_processes()
    assert (sharing.process, sharing.processes, sharing.is_first) == (0, 1, True)


def test_without_the_others_the_line_says_so(world, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    from lead.core.errors import RequestError

    with pytest.raises(RequestError, match="WORLD_SIZE is 2, but the other processes cannot be"):
        processes.join_processes()
