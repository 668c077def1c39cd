"""Reading all motions of a source by several processes: one bad motion, one dead process."""

import os
import sys

import pytest

from lead.core import workers
from lead.core.errors import WorkError
from lead.data.loading import CHUNK, load_all
from lead.data.packing import pack

MODULE = '''
import os, signal
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from lead.core.errors import RequestError
from lead.data.source import Caption, Item, LoadedClip

@dataclass(frozen=True)
class Source:
    """Small clips, of which some do what they are called in another process than ``home``."""

    home: int
    ids: tuple
    name: str = "small"
    skeleton: str = "humanml3d"
    fps: float = 20.0
    licence: str = "CC0"
    min_frames: int = 4
    max_frames: int = 10
    long_clips: str = "drop"

    def list_items(self):
        return [Item(name, Path(f"{name}.npy"), "train") for name in self.ids]

    def load(self, items):
        return [self.clip(item) for item in items]

    def clip(self, item):
        deed, _, number = item.id.partition(" ")
        if deed == "bad":
            raise ZeroDivisionError(number)
        if deed == "refused":
            raise RequestError(f"{item.path}: {number} is refused")
        if deed == "killed" and os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        values = np.random.default_rng(int(number)).normal(size=(6, 263))
        return LoadedClip(item.id, "train", values.astype("f4"), (Caption("walks"),))

    def statistics(self):
        return None

    def describe(self, items):
        return {}
'''


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Makes sources of a module that the worker processes can import, too; these are waited for."""
    folder = tmp_path / "importable"
    folder.mkdir()
    (folder / "small_source.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(workers, "WORTHWHILE", -1.0)
    answering = workers._answering
    monkeypatch.setattr(workers, "_answering", lambda busy, at_once: answering(busy, at_once=False))
    import small_source

    yield lambda ids: small_source.Source(os.getpid(), tuple(ids))
    del sys.modules["small_source"]


def named(count: int, **deeds: range) -> list[str]:
    found = {number: deed for deed, numbers in deeds.items() for number in numbers}
    return [f"{found.get(number, 'good')} {number}" for number in range(count)]


def test_processes_read_what_one_would_read(source, tmp_path):
    """Bytes and reasons are the same, with bad motions in every chunk."""
    ids = named(6 * CHUNK, bad=range(0, 6 * CHUNK, 50), refused=range(1, 6 * CHUNK, 70))
    contents = []
    for count in (1, 2):
        report = pack(source(ids), tmp_path / str(count), workers=count)
        contents.append({p.name: p.read_bytes() for p in (tmp_path / str(count)).glob("*.*")})
        contents[-1].pop("stamps.json", None)
        assert [r.id for r in report.rejected] == [i for i in ids if not i.startswith("good")]
        assert "(ZeroDivisionError: 0)" in report.rejected[0].reason
        assert report.rejected[1].reason == "refused 1.npy: 1 is refused"
    assert contents[0] == contents[1]


def test_a_killed_process_ends_the_import_with_the_motions_that_it_had(source, tmp_path):
    ids = named(6 * CHUNK, killed=range(CHUNK, 6 * CHUNK))
    with pytest.raises(WorkError) as error:
        pack(source(ids), tmp_path / "data" / "out", workers=2)
    line = str(error.value)
    assert line.startswith(
        "a worker process was killed by SIGKILL with the 32 motions from 'killed"
    )
    assert line.endswith("is there memory enough? Say workers=1") and len(line) < 300
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_import_leaves_no_process_and_no_folder(source, tmp_path, monkeypatch, stop):
    started = []

    class Recorded(workers._Process):
        def __init__(self, packed: bytes):
            super().__init__(packed)
            started.append(self.process)

        def answer(self) -> object:
            if self.place is not None:
                raise stop
            return super().answer()

    monkeypatch.setattr(workers, "_Process", Recorded)
    with pytest.raises(stop):
        pack(source(named(6 * CHUNK)), tmp_path / "data" / "out", workers=2)
    assert len(started) == 2 and all(process.returncode is not None for process in started)
    assert not (tmp_path / "data").exists()


def test_threads_are_as_before(source):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        load_all(source(named(3)), source(named(3)).list_items(), 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
