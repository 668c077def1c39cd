"""SIGKILL at random moments: nothing is lost, and after the next command nothing is left."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from lead.cli.main import main
from lead.core.files import claimed
from lead.core.runs import Run
from lead.training.starting import settle

SAVING = ("trainer.max_steps=8", "trainer.save_every=2", "trainer.validate_every=3")
CHANGING = ("environment.json", "run.json", "config.yaml", "stamps.json")  # hold times and places


def prepare(w, out: Path, seed: int) -> list[str]:
    return ["prepare", "data=cmu_open", f"data.clips={11 + seed}", "workers=1", f"output={out}"]


def generate(w, out: Path, seed: int) -> list[str]:
    return w.generate(output=out, seed=seed, count=3, formats="[npz,png,bvh]", sheet="true")


def export(w, out: Path, seed: int) -> list[str]:
    return ["export", f"motion={w.motion}", f"scale={seed}", "format=bvh", f"output={out}"]


def mld(w, out: Path, seed: int) -> list[str]:
    return ["export", f"run={w.run('diffusion')}", "format=mld", f"output={out}"]


def train(stage: str) -> Callable[..., list[str]]:
    def words(w, out: Path, seed: int) -> list[str]:
        return [*w.train(stage, run=out), *SAVING, f"seed={seed}"]

    return words


STAGES = {stage: train(stage) for stage in ("vae", "diffusion", "projector")}
FOLDERS = {"prepare": prepare, "generate": generate, **STAGES}
FILES = {"export": export, "mld": mld}
EVERY = {**FOLDERS, **FILES}


def contents(place: Path) -> dict[str, object]:
    """Everything at a place but what names times and folders."""
    if place.is_file():
        return {"": place.read_bytes()}
    found: dict[str, object] = {}
    for path in place.rglob("*"):
        if path.suffix == ".npz":  # an archive notes the time
            with np.load(path) as arrays:
                found[path.name] = [arrays[name].tobytes() for name in ("joints", "text", "seed")]
        elif path.is_file() and path.name not in CHANGING:
            found[str(path.relative_to(place))] = path.read_bytes()
    return found


def kill(words: list[str], most: float) -> bool:
    """Run a command in a process of its own, kill it at a random moment; whether it still ran."""
    process = os.fork()
    if process == 0:
        with suppress(BaseException):
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            main(words)
        os._exit(0)
    time.sleep(most * random.SystemRandom().random())
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def kept(command: str, place: Path) -> dict[str, object]:
    """What the next command finds there, before it does anything."""
    if command in STAGES:
        with claimed(place / "run.json"):
            settle(Run(place))
    else:
        with claimed(place, folder=command in FOLDERS):
            pass
    return contents(place)


def trials() -> list:
    """Each command five times; in the default suite some of them once."""
    few = ("prepare", "export")
    return [
        pytest.param(
            command,
            id=f"{command}-{number}",
            marks=() if number == 0 and command in few else pytest.mark.slow,
        )
        for command in EVERY
        for number in range(5)
    ]


@pytest.mark.parametrize("command", trials())
def test_killed_at_a_random_moment(world, command):
    """Over something old, which it is to replace; then once more where nothing is."""
    out, whole, words = world.here / "out", world.here / "whole", EVERY[command]
    assert main(words(world, out, 1)) == 0
    old = contents(out)
    begin = time.monotonic()
    assert main(words(world, whole, 2)) == 0
    seconds = time.monotonic() - begin
    new = contents(whole)

    again = [*words(world, out, 2), *(["overwrite=true"] if command in FOLDERS else [])]
    kill(again, 1.1 * seconds)
    found = kept(command, out)
    assert not (different(found, old) and different(found, new)) or (
        command in STAGES and has_more_than(old, found)
    ), (different(found, old), different(found, new))
    assert main(again) == 0
    assert same(command, contents(out), new)

    shutil.rmtree(out) if out.is_dir() else out.unlink()
    kill(words(world, out, 2), 1.1 * seconds)
    how = "resume=true" if command in STAGES else "overwrite=true"
    assert main([*words(world, out, 2), *([how] if command in FOLDERS else [])]) == 0
    assert same(command, contents(out), new)
    assert not [path for folder in (world.here, world.chain) for path in folder.rglob(".*")]


def different(one: dict, other: dict) -> list[str]:
    """Names of what is not the same in both."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def has_more_than(old: dict, found: dict) -> bool:
    """Whether a training that was killed left a result of its own, and nothing of the old one."""
    results = {name for name in found if name.startswith(("state/", "weights/"))}
    results -= {"weights/normalizer.safetensors"}  # of the data alone
    return bool(results) and results <= {*different(found, old)}


def same(command: str, found: dict, wanted: dict) -> bool:
    """Trainings end in the same weights and log; what the trainer counts may differ."""
    if command in STAGES:
        found, wanted = (
            {name: of[name] for name in of if name.startswith(("weights", "metrics"))}
            for of in (found, wanted)
        )
    return found == wanted
