"""Modules that lie in the working folder are never executed, whatever starts a process there."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lead.cli.main import main
from lead.core.errors import RequestError
from lead.core.workers import COMMAND
from lead.models.text_encoders import MiniLmEncoder
from lead.studies.benchmark.processes import start_processes
from lead.sweeps.expanding import Job
from lead.sweeps.job import FINISHED, Planned, run_job

PLANTED = ("lead", "difflib", "heapq", "socket", "numpy", "pickle", "multiprocessing", "selectors")
"""Names that lead and the libraries import; ``lead`` and ``multiprocessing`` as packages."""


@pytest.fixture
def folder(tmp_path, monkeypatch, repository) -> Path:
    """A working folder full of modules that leave a mark and end the process."""
    trap = f"open({str(tmp_path / 'executed')!r}, 'a').write(__name__ + ' ')\nraise SystemExit(77)"
    here = tmp_path / "here"
    here.mkdir()
    for name in PLANTED:
        (here / f"{name}.py").write_text(trap)
        (here / name).mkdir()
        (here / name / "__init__.py").write_text(trap)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(repository))
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return here


def assert_untouched(folder: Path) -> None:
    mark = folder.parent / "executed"
    assert not mark.exists(), mark.read_text()


def test_the_trap_works(folder):
    done = subprocess.run([sys.executable, "-c", "import difflib"], check=False)
    assert done.returncode == 77 and (folder.parent / "executed").read_text() == "difflib "


@pytest.mark.parametrize("words", [["--version"], ["prepair"], ["train", "--help"]])
def test_lead_starts_itself_without_it(folder, words):
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    assert done.returncode == (2 if words == ["prepair"] else 0), done.stderr
    assert_untouched(folder)


def test_so_does_who_starts_the_module_by_hand(folder, monkeypatch, repository, tmp_path):
    for name in ("lead.py", "lead"):  # found first by `python -m` itself, before lead can begin
        path = folder / name
        path.rename(tmp_path / f"away {name}")
    command = [sys.executable, "-m", "lead.cli.main", "prepair"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "did you mean 'prepare'" in done.stderr and done.returncode == 2
    assert_untouched(folder)


def test_processes_that_share_an_evaluation(folder, capfd):
    assert start_processes(["--help"], 2) == 0
    assert "lead evaluate run=RUN" in capfd.readouterr().out
    assert_untouched(folder)


def test_jobs_of_a_sweep(folder):
    planned = Planned(Job("--version", ()), folder / "sweep")
    planned.prepare()
    place = run_job(planned.place)
    assert place.state == FINISHED, place.log.read_text()
    assert_untouched(folder)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_of_other_libraries_after_main(folder, method):
    """What pools, Lightning and submitit start inherits the environment that main sets."""
    assert main(["--version"]) == 0
    assert os.environ["PYTHONSAFEPATH"] == "1"
    done = subprocess.run([sys.executable, "-c", "import difflib, heapq, socket"], check=False)
    assert done.returncode == 0
    process = multiprocessing.get_context(method).Process(target=os.getpid)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert_untouched(folder)


@pytest.mark.parametrize(
    "package",
    ["lead", "numpy", "lead.core", "numpy.linalg", "..", "../here/numpy", "/tmp", "", "a b", "ä"],
)
def test_the_package_of_a_text_encoder_is_never_imported(folder, package, monkeypatch):
    monkeypatch.syspath_prepend("")
    monkeypatch.syspath_prepend(str(folder))
    (folder / "numpy" / "model").mkdir()
    with pytest.raises(RequestError) as error:
        MiniLmEncoder(package=package, hub=None)
    assert "\n" not in str(error.value) and len(str(error.value)) <= 300
    assert_untouched(folder)
