"""Where commands write: one at a time, over nothing but what lead made, and nothing is left."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lead.cli.main import main
from lead.core.errors import WorkError
from lead.core.files import claimed

SMALL = ("size=tiny", "text_encoder=hash")


def prepare(w, out: Path, *words: str) -> list[str]:
    return ["prepare", "data=cmu_open", "data.clips=4", "workers=1", f"output={out}", *words]


def train(w, out: Path, *words: str) -> list[str]:
    return [*w.train("vae", run=out), *words]


def generate(w, out: Path, *words: str) -> list[str]:
    return [*w.generate(output=out), *words]


def starter(w, out: Path, *words: str) -> list[str]:
    run, data = f"run={w.run('projector')}", f"dataset={w.data}"
    return ["export", "format=starter", run, data, f"output={out}", *words]


def mld(w, out: Path, *words: str) -> list[str]:
    return ["export", f"run={w.run('diffusion')}", "format=mld", f"output={out}", *words]


def export(w, out: Path, *words: str) -> list[str]:
    kind = out.suffix[1:] or "bvh"
    return ["export", f"motion={w.motion}", f"format={kind}", f"output={out}", *words]


def evaluate(w, out: Path, *words: str) -> list[str]:
    options = (f"dataset={w.data}", "device=cpu", "clips=1", f"output={out}")
    return ["evaluate", f"run={w.run('vae')}", *options, *words]


def invert(w, out: Path, *words: str) -> list[str]:
    options = ("word=<zombie>", "init=walk", "device=cpu", "inversion.steps=2", "progress=false")
    return [
        *("invert", f"run={w.run('projector')}", f"motions={w.motion}", *options),
        *(f"output={out}", "overwrite=true", *words),
    ]


def report(w, out: Path, *words: str) -> list[str]:
    return ["report", "2", f"output={out}", *words]


def plot(w, out: Path, *words: str) -> list[str]:
    return ["report", "2", f"plot={out.with_suffix('.png')}", *words]


def curves(w, out: Path, *words: str) -> list[str]:
    return ["report", "curves", str(w.run("vae")), f"output={out.with_suffix('.png')}", *words]


def bench(w, out: Path, *words: str) -> list[str]:
    return ["bench", "import-time", "repeats=1", f"output={out}", *words]


FOLDERS = {make.__name__: make for make in (prepare, generate, train)}
FILES = {make.__name__: make for make in (export, mld, evaluate, invert, report, curves, bench)}
EVERY = {**FOLDERS, **FILES}


# ---- devices, links and the like ---------------------------------------------------------------

PLACES = {
    "fifo": os.mkfifo,
    "loop": lambda path: path.symlink_to(path.name),
    "link to nowhere": lambda path: path.symlink_to("nowhere"),
    "link to a device": lambda path: path.symlink_to("/dev/null"),
    "below a loop": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", EVERY)
def test_nothing_but_files_and_folders_is_written_over(world, refused, command, place):
    out = world.here / "out.png"
    PLACES[place](out)
    before = out.lstat()
    line = refused(EVERY[command](world, out / "deep.png" if "below" in place else out))
    assert "out.png" in line
    after = out.lstat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)


def test_devices_stay_devices(world, refused):
    for command in (export, mld, evaluate, report):
        assert "is a device, which is never replaced" in refused(command(world, Path("/dev/null")))


def test_links_to_files_and_folders_are_followed(world):
    (world.here / "disk" / "set").mkdir(parents=True)
    (world.here / "disk" / "walk.bvh").touch()
    for name in ("set", "walk.bvh"):
        (world.here / name).symlink_to(world.here / "disk" / name)
    assert main(prepare(world, world.here / "set")) == 0
    assert main(export(world, world.here / "walk.bvh")) == 0
    assert (world.here / "disk" / "walk.bvh").stat().st_size > 1000
    assert (world.here / "disk" / "set" / "manifest.json").is_file()
    assert all((world.here / name).is_symlink() for name in ("set", "walk.bvh"))


# ---- what overwrite=true replaces --------------------------------------------------------------

MARKS = {prepare: "manifest.json", generate: "index.json", starter: "run.json", train: "run.json"}
NO_MARKS = {
    "empty": "",
    "no JSON": "{",
    "nothing": "{}",
    "a list": "[]",
    "of an extension": '{"manifest_version": 3, "name": "my extension", "version": "1.0"}',
    "of another schema": '{"schema": 99, "name": "x", "skeleton": "x", "clips": [], "hashes": {},'
    '"data_hash": "0", "title": "x", "stage": "vae", "status": "finished", "parts": {}}',
    "of a text": '{"schema": "one", "name": "x", "stage": 3}',
}


@pytest.mark.parametrize("content", NO_MARKS)
@pytest.mark.parametrize("command", MARKS, ids=lambda command: command.__name__)
def test_a_folder_with_some_mark_is_not_leads(world, refused, command, content):
    world.file(f"out/{MARKS[command]}", NO_MARKS[content])
    world.file("out/thesis/chapter 1.tex", "years of work")
    words = command(world, world.here / "out", "overwrite=true")
    line = refused(words)
    assert "out" in line and "remove it yourself" in line


@pytest.mark.parametrize("other", [prepare, generate, starter])
@pytest.mark.parametrize("command", [prepare, generate, starter])
def test_one_kind_of_folder_does_not_replace_another(world, refused, command, other):
    made = {prepare: world.data, generate: world.motion.parent, starter: world.run("vae")}[other]
    if other is not command:
        shutil.copytree(made, world.here / "out")
        line = refused(command(world, world.here / "out", "overwrite=true"))
        assert "was not made by lead as" in line and MARKS[command] in line


@pytest.mark.parametrize("name", ["notes.txt", "thesis", ".git", "mine.json", ".env"])
@pytest.mark.parametrize("command", [prepare, generate, starter])
def test_files_of_the_users_own_are_not_deleted(world, refused, command, name):
    made = {prepare: world.data, generate: world.motion.parent, starter: world.run("projector")}
    shutil.copytree(made[command], world.here / "out")
    world.file(f"out/{name}", "mine")
    line = refused(command(world, world.here / "out", "overwrite=true"))
    assert f"holds '{name}', which lead did not make" in line


@pytest.mark.parametrize("command", [prepare, generate])
def test_what_lead_made_is_replaced_whole(world, command):
    made = {prepare: world.data, generate: world.motion.parent}[command]
    shutil.copytree(made, world.here / "out")
    world.file("out/.DS_Store", "")
    marks = [(world.here / "out" / MARKS[command]).stat().st_ino]
    assert main(command(world, world.here / "out", "overwrite=true")) == 0
    assert not (world.here / "out" / ".DS_Store").exists()
    assert (world.here / "out" / MARKS[command]).stat().st_ino not in marks
    assert [path.name for path in world.here.iterdir()] == ["out"]


def test_new_captions_replace_a_dataset_alone(world, refused):
    world.copy_data()
    world.file("data/notes.txt", "mine")
    words = ["prepare", "data=bandai_namco", "recaption=true", f"output={world.here / 'data'}"]
    assert "holds 'notes.txt', which lead did not make" in refused(words)


# ---- two at once -------------------------------------------------------------------------------


@contextmanager
def held(place: Path, *, folder: bool) -> Iterator[int]:
    """Another process that writes there; its number."""
    reader, writer = os.pipe()
    other = os.fork()
    if other == 0:
        with suppress(BaseException), claimed(place, folder=folder):
            os.write(writer, b".")
            time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    try:
        yield other
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("command", EVERY)
def test_the_second_of_two_at_once_is_refused(world, refused, command):
    out = world.here / "out.png"
    words = EVERY[command](world, out)
    place = out / "run.json" if command == "train" else out
    with held(place, folder=command in ("prepare", "generate")) as first:
        assert f"now (process {first})" in refused(words)


def test_two_prepare_commands_at_once(world):
    """Both for real: one makes the data set, the other says that it does not."""
    words = prepare(world, world.here / "out", "data.clips=40")
    both = []
    for _ in range(2):
        both.append(os.fork())
        if both[-1] == 0:
            os._exit(main(words))
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in both)
    assert codes == [0, 2]
    assert (world.here / "out" / "manifest.json").is_file()
    assert [path.name for path in world.here.iterdir()] == ["out"]


def test_a_run_that_is_trained_is_not_replaced(world, refused):
    run = world.copy_run("projector")
    with held(run / "run.json", folder=False):
        assert "another command writes" in refused(starter(world, run, "overwrite=true"))


# ---- before the first result -------------------------------------------------------------------


def test_measuring_no_clip_is_refused(world, refused):
    data = world.copy_data()
    index = json.loads((data / "test.index.json").read_text())
    (data / "test.index.json").write_text(json.dumps(dict.fromkeys(index, [])))
    for record in ("clips", "frames"):
        manifest = json.loads((data / "manifest.json").read_text())
        manifest[record]["test"] = 0
        (data / "manifest.json").write_text(json.dumps(manifest))
    refused(evaluate(world, world.here / "m.json", f"dataset={data}"), 1)


def test_what_cannot_be_shown_is_not_written(world, refused, monkeypatch):
    def fail(*_: object) -> str:
        raise WorkError("the table is empty")

    monkeypatch.setattr("lead.studies.benchmark.physical.format_table", fail)
    refused(evaluate(world, world.here / "m.json"), 1)


@pytest.mark.parametrize("command", FOLDERS)
def test_folders_above_go_with_a_refused_command(world, refused, command):
    broken = {"prepare": "data.clips=0", "generate": "words=[no]", "train": "model.vae.heads=3"}
    refused(FOLDERS[command](world, world.here / "a" / "b" / "out", broken[command]))
    assert not (world.here / "a").exists()
