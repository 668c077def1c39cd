"""A disk that is full, or takes no more of a file: one line, nothing left, the space free again."""

import os
import resource
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from lead.cli.main import main
from lead.core.errors import WorkError
from lead.core.files import write_json, write_tensors
from lead.data.archives import unpack
from lead.evaluation.report.scatter import Panel, write_scatter
from lead.export.contact_sheet import write_contact_sheet
from lead.export.formats import FORMATS, export_together
from lead.export.index import write_index
from lead.export.motion_file import Motion
from lead.export.study import Pair, Study, write_study
from lead.inversion.word import Word, write_word
from lead.training.csv_log import CsvLog
from lead.training.saving import WholeState

PAGE = 4096


@dataclass
class Disk:
    """A folder where so many bytes can be written: on a small disk, or in one file each.

    The limit of one file stands for all that makes a write fail late, and needs no rights. It
    holds for the whole process, and so for as long as ``filling`` alone.
    """

    folder: Path
    kind: str
    size: int = 0

    def make(self, size: int) -> Path:
        """Say how many bytes, before anything is written."""
        self.size = size
        if self.kind == "limited":
            return self.folder
        options = ["-t", "tmpfs", "-o", f"size={max(size, PAGE)}", "tmpfs", str(self.folder)]
        if subprocess.run(["mount", *options], capture_output=True).returncode:
            pytest.skip("only root can mount a small disk")
        if size < PAGE:
            (self.folder / "filler").write_bytes(bytes(PAGE))
        return self.folder

    @contextmanager
    def filling(self) -> Iterator[None]:
        """While something is written."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        limit = self.size if self.kind == "limited" else soft
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=["full", "limited"])
def disk(request, tmp_path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    yield Disk(folder, request.param)
    if os.path.ismount(folder):
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def motion() -> Motion:
    joints = np.zeros((30, 22, 3))
    joints += np.random.default_rng(0).normal(size=joints.shape)
    return Motion(joints, np.zeros((30, 263)), "someone walks")


def taken(folder: Path) -> tuple[list[str], int]:
    """What lies in a folder, and how much of its disk is free where it has one of its own."""
    state = os.statvfs(folder)
    free = state.f_bfree if os.path.ismount(folder) else 0
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")), free


# ---- each kind of file -------------------------------------------------------------------------


def a_study(path: Path, motion: Motion) -> None:
    write_study(path.parent, Study([Pair(motion, motion)], ("a", "b"), 1, seed=0))


def a_figure(path: Path, _: Motion) -> None:
    write_scatter(path, [Panel("a", "b", np.random.default_rng(0).normal(size=(9, 2)))], ["x"] * 9)


def some_log(path: Path, _: Motion) -> None:
    CsvLog(path).log_metrics({f"loss{number}": 1.0 for number in range(999)}, step=3)


NUMBERS = {"x": torch.arange(9999.0)}
KINDS: dict[str, Callable[[Path, Motion], object]] = {
    "json": lambda path, _: write_json(path, {"x": [*range(9999)]}),
    "safetensors": lambda path, _: write_tensors(path, NUMBERS),
    "ckpt": lambda path, _: WholeState().save_checkpoint(NUMBERS, path),
    "word": lambda path, _: write_word(path, Word("<x>", NUMBERS["x"], "e")),
    "csv": some_log,
    "sheet": lambda path, motion: write_contact_sheet(path, [(motion.joints, "x")]),
    "figure": a_figure,
    **{name: lambda path, motion, of=made: of(path, motion) for name, made in FORMATS.items()},
    "player": lambda path, motion: export_together([motion, motion], path, "html"),
    "index": lambda path, _: write_index(path.parent, [], "x" * 9999),
    "study": a_study,
}


@pytest.mark.parametrize("size", [0, 3000])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_written_whole_or_not_at_all(disk, motion, kind, size):
    folder = disk.make(size)
    before = taken(folder)
    with pytest.raises(WorkError) as error, disk.filling():
        KINDS[kind](folder / f"out.{kind}", motion)
    message = str(error.value)
    assert str(folder) in message and "cannot write" in message and "\n" not in message
    assert ".lead-" not in message
    left, free = taken(folder)
    if kind == "csv":
        left = [name for name in left if name != "out.csv"]  # a log grows, and is read line by line
    assert left == [name for name in before[0] if name != "out.csv"]
    assert kind == "csv" or free == before[1]


def test_an_archive_is_unpacked_whole_or_not_at_all(disk, tmp_path):
    with tarfile.open(tmp_path / "clips.tar", "w") as archive:
        (tmp_path / "walk.bvh").write_bytes(bytes(1 << 20))
        archive.add(tmp_path / "walk.bvh", "walk.bvh")
    folder = disk.make(8 * PAGE)
    before = taken(folder)
    with pytest.raises(WorkError, match="cannot be unpacked into"), disk.filling():
        unpack(tmp_path / "clips.tar", ".bvh", folder / "cache")
    assert taken(folder) == before


# ---- each command ------------------------------------------------------------------------------


COMMANDS = (
    *("prepare", "train", "generate", "export", "mld", "starter", "evaluate", "invert", "table"),
    *("plot", "curves", "inspect"),
)


def commands(w, out: Path) -> dict[str, list[str]]:
    on_cpu = ("device=cpu", f"dataset={w.data}")
    word = ("word=<zombie>", "init=walk", "inversion.steps=2", "progress=false", "device=cpu")
    return {
        "prepare": ["prepare", "data=cmu_open", "data.clips=8", "workers=1", f"output={out}"],
        "train": w.train("vae", run=out),
        "generate": w.generate(output=out, formats="[npz,gif]", sheet="true"),
        "export": ["export", f"motion={w.motion}", "format=gif", f"output={out}.gif"],
        "mld": ["export", f"run={w.run('diffusion')}", "format=mld", f"output={out}.ckpt"],
        "starter": [
            *("export", f"run={w.run('projector')}", "format=starter", f"output={out}"),
            f"dataset={w.data}",
        ],
        "evaluate": ["evaluate", f"run={w.run('vae')}", *on_cpu, f"output={out}.json"],
        "invert": [
            *("invert", f"run={w.run('projector')}", f"motions={w.motion}", *word),
            f"output={out}.safetensors",
        ],
        "table": ["report", "2", f"output={out}.md"],
        "plot": ["report", "2", f"plot={out}.png"],
        "curves": ["report", "curves", str(w.run("vae")), f"output={out}.png"],
        "inspect": ["prepare", "data=cmu_open", "inspect=true", f"output={out}"],
    }


@pytest.mark.parametrize(
    ("command", "size"),
    [
        *((command, 100) for command in COMMANDS),
        *((command, 6 * PAGE) for command in ("prepare", "train", "generate", "mld")),
    ],
)
def test_every_command_says_one_line_and_leaves_nothing(world, disk, capsys, command, size):
    words = commands(world, world.here / "disk" / "deep" / "out")[command]
    folder = disk.make(size)
    before = taken(folder)
    capsys.readouterr()
    with disk.filling():
        code = main([str(word) for word in words])
    said = capsys.readouterr().err.splitlines()
    if code == 0 and size > 100:
        return  # it fits
    lines = [line for line in said if line.startswith("lead: ") and "note:" not in line]
    assert code == 1 and len(lines) == 1 and len(lines[0]) <= 310, said
    assert not any("Traceback" in line for line in said)
    assert taken(folder) == before
