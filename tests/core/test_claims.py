"""One writer at a time, no leftovers of killed ones, and only files and folders are replaced."""

import errno
import os
import shutil
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lead.core import claims
from lead.core.claims import beside, scratch_folder
from lead.core.errors import LeadError, RequestError
from lead.core.files import atomic_folder, atomic_path, claimed
from lead.core.runs import Run

MINE = (".out.old", ".out.lead", ".out.lead-newest", ".out.lead-new", ".out", "out2", ".lead-old")
"""Names that a user may have beside an output called out."""


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def refusal(attempt: Callable) -> str:
    """The one line of a refused attempt."""
    with pytest.raises(RequestError) as error:
        attempt()
    message = str(error.value)
    assert "\n" not in message and len(message) <= 300
    return message


def enter(context) -> None:
    with context:
        pass


class Child:
    """A process that does something, tells that it is there, and waits for its end."""

    def __init__(self, work: Callable[[Callable[[], None]], None]):
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            with suppress(BaseException):
                work(lambda: (os.write(write, b"."), time.sleep(60)))
            os._exit(0)
        os.close(write)
        os.read(read, 1)  # nothing where it ended without a word
        os.close(read)

    def kill(self) -> int:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return os.waitpid(self.pid, 0)[1]


def holding(make: Callable) -> Child:
    """A process in the middle of writing."""

    def work(wait: Callable[[], None]) -> None:
        with make() as place:
            if place is not None:
                (place / "half" if place.is_dir() else place).write_text("half")
            wait()

    return Child(work)


# ---- two at once -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "folder", "made"])
def test_the_second_writer_is_refused_and_the_third_is_not(tmp_path, kind):
    out = tmp_path / "deep" / "out"
    first = {
        "file": lambda: claimed(out),
        "folder": lambda: claimed(out, folder=True),
        "made": lambda: atomic_folder(out),
    }[kind]
    child = holding(first)
    before = names(out.parent)
    for second in (lambda: claimed(out), lambda: claimed(out, folder=True)):
        message = refusal(lambda second=second: enter(second()))
        assert f"another command writes {out} now (process {child.pid})" in message
    if kind != "file":
        assert str(out) in refusal(lambda: enter(atomic_folder(out, replace=True)))
    assert names(out.parent) == before and all(name.startswith(".out.lead-") for name in before)
    child.kill()
    enter(claimed(out, folder=kind != "file"))
    assert names(out.parent) == []


def test_who_ends_by_itself_leaves_nothing(tmp_path):
    with claimed(tmp_path / "a", tmp_path / "b"):
        assert names(tmp_path) == [".a.lead-lock", ".b.lead-lock"]
    assert names(tmp_path) == []
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "new" / "a"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_a_thread_may_ask_again_and_another_may_not(tmp_path):
    found = []

    def other() -> None:
        try:
            enter(claimed(tmp_path / "out"))
        except RequestError as error:
            found.append(str(error))

    with claimed(tmp_path / "out"), claimed(tmp_path / "." / "out"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert names(tmp_path) == [".out.lead-lock"]
    other()
    assert len(found) == 1 and "another command writes" in found[0]
    assert names(tmp_path) == []


def test_neither_the_life_nor_the_end_of_a_copied_process_matters(tmp_path):
    """Workers are copies of the process that holds the lock."""
    pids = tmp_path / "pids"

    def work(wait: Callable[[], None]) -> None:
        with claimed(tmp_path / "out"), atomic_path(tmp_path / "file"):
            workers = [Child(lambda wait: wait()), Child(lambda _: None)]
            pids.write_text(" ".join(str(worker.pid) for worker in workers))
            wait()

    child = Child(work)
    assert "another command" in refusal(lambda: enter(claimed(tmp_path / "out")))
    child.kill()
    living, _ = map(int, pids.read_text().split())
    os.kill(living, 0)
    enter(claimed(tmp_path / "out"))
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == ["file", "pids"]
    os.kill(living, signal.SIGKILL)


def test_two_processes_may_write_one_file_and_neither_loses_its_own(tmp_path):
    """Such as two trainings that fill one cache."""
    child = holding(lambda: atomic_path(tmp_path / "cache.bin"))
    assert len(names(tmp_path)) == 1
    with atomic_path(tmp_path / "cache.bin") as temporary:
        temporary.write_text("mine")
        assert len(names(tmp_path)) == 2
    assert len(names(tmp_path)) == 2  # the other's is untouched
    child.kill()
    with atomic_path(tmp_path / "cache.bin"):
        pass
    assert names(tmp_path) == ["cache.bin"]


def test_a_finished_writer_does_not_remove_the_next_ones_file(tmp_path):
    """Their temporary names are the same, one after the other."""
    with atomic_path(tmp_path / "a") as first:
        first.write_text("1")
        first.replace(tmp_path / "elsewhere")
        with atomic_path(tmp_path / "a") as second:
            assert second == first
            second.write_text("2")
            child = Child(lambda wait: wait())
            child.kill()
        first.write_text("3")
    assert (tmp_path / "a").read_text() == "3"


# ---- what killed ones left ---------------------------------------------------------------------


@pytest.mark.parametrize("make", [atomic_folder, claimed, atomic_path])
def test_the_next_one_clears_and_never_what_is_the_users(tmp_path, make):
    for name in MINE:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis").write_text("years of work")
    assert holding(lambda: make(tmp_path / "out")).kill() == signal.SIGKILL
    assert len(names(tmp_path)) > len(MINE)
    with suppress(RequestError), make(tmp_path / "out"):
        pass
    assert sorted({*names(tmp_path)} - {"out"}) == sorted(MINE)
    assert all((tmp_path / name / "thesis").exists() for name in MINE)


def test_a_run_clears_its_folders(tmp_path):
    run = Run(tmp_path / "run")
    files = [run.folder / "run.json", run.state_path, run.weights_path("vae")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    children = [holding(lambda file=file: atomic_path(file)) for file in files]
    assert len([*run.folder.rglob(".*")]) == 3
    run.clear_leftovers()
    assert len([*run.folder.rglob(".*")]) == 3  # all three live
    for child in children:
        child.kill()
    (run.folder / ".mine").touch()
    run.clear_leftovers()
    assert [path.name for path in run.folder.rglob(".*")] == [".mine"]


STEPS = ("away", "in place", "for removal", "removed")


@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_the_middle_of_the_exchange_one_of_the_two_stands(tmp_path, step, when):
    out = tmp_path / "out"
    with atomic_folder(out) as folder:
        (folder / "content").write_text("old")

    def work(_wait: Callable) -> None:
        done = iter(range(len(STEPS)))

        def killing(change: Callable) -> Callable:
            def changed(*arguments):
                number = next(done)
                if number == step and when == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
                result = change(*arguments)
                if number == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return changed

        Path.replace, shutil.rmtree = killing(Path.replace), killing(shutil.rmtree)
        with atomic_folder(out, replace=True) as folder:
            (folder / "content").write_text("new")

    assert Child(work).kill() == signal.SIGKILL
    enter(claimed(out, folder=True))
    assert names(tmp_path) == ["out"]
    stands = step > 1 or (step == 1 and when == "after")
    assert (out / "content").read_text() == ("new" if stands else "old")


def test_a_temporary_folder_of_a_killed_process_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    living = holding(lambda: scratch_folder("test"))
    holding(lambda: scratch_folder("test")).kill()
    (tmp_path / "lead-tests").mkdir()
    with scratch_folder("test") as mine:
        assert mine.is_dir() and stat.S_IMODE(mine.stat().st_mode) == 0o700
        assert len([*tmp_path.glob("lead-test-*")]) == 2
    living.kill()
    with scratch_folder("test"):
        pass
    assert names(tmp_path) == ["lead-tests"]


# ---- where there are no locks ------------------------------------------------------------------


def test_without_locks_all_is_written_and_nothing_is_cleared(tmp_path, monkeypatch):
    holding(lambda: atomic_folder(tmp_path / "out")).kill()
    holding(lambda: atomic_path(tmp_path / "file")).kill()
    left = {".out.lead-new0", ".file.lead-new0"}

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(claims.fcntl, "flock", flock)
    with claimed(tmp_path / "out", folder=True), atomic_folder(tmp_path / "out") as folder:
        (folder / "content").touch()
    with atomic_path(tmp_path / "file") as first, atomic_path(tmp_path / "file") as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert left < {*names(tmp_path)} and (tmp_path / "file").read_text() == "1"
    assert {*names(tmp_path)} - left <= {"out", "file", ".out.lead-lock"}


# ---- what is never replaced --------------------------------------------------------------------


def a_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null
    except PermissionError:
        pytest.skip("only root can make a device")


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


SPECIAL = {
    "a device": a_device,
    "a FIFO": lambda path: os.mkfifo(path),
    "a socket": a_socket,
    "a link to": lambda path: path.symlink_to("nowhere"),
    "a link in a loop": lambda path: path.symlink_to(path.name),
}
FOLLOWED = {
    "to a device": lambda path: path.symlink_to("/dev/null"),
    "of two": lambda path: (path.symlink_to("b"), (path.parent / "b").symlink_to(path.name)),
    "to a FIFO": lambda path: (os.mkfifo(path.parent / "f"), path.symlink_to("f")),
}
WRITERS = {
    "atomic_path": atomic_path,
    "claimed": claimed,
    "atomic_folder": atomic_folder,
    "claimed folder": lambda path: claimed(path, folder=True),
    "replaced folder": lambda path: atomic_folder(path, replace=True),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", [*SPECIAL, *FOLLOWED])
def test_only_regular_files_and_folders_are_replaced(tmp_path, kind, writer):
    {**SPECIAL, **FOLLOWED}[kind](tmp_path / "out")
    before = standing(tmp_path)
    message = refusal(lambda: enter(WRITERS[writer](tmp_path / "out")))
    assert str(tmp_path / "out") in message and (kind in message or kind in FOLLOWED)
    assert standing(tmp_path) == before


def standing(folder: Path) -> list[tuple]:
    states = {path.name: path.lstat() for path in folder.iterdir()}
    return sorted((name, of.st_mode, of.st_ino, of.st_mtime_ns) for name, of in states.items())


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("above", ["a loop", "a link to nowhere", "a file", "a FIFO"])
def test_nothing_is_written_below_what_is_no_folder(tmp_path, above, writer):
    place = tmp_path / "above"
    if above in ("a loop", "a link to nowhere"):
        place.symlink_to("above" if above == "a loop" else "nowhere")
    else:
        place.touch() if above == "a file" else os.mkfifo(place)
    assert "above" in refusal(lambda: enter(WRITERS[writer](place / "deep" / "out")))
    assert names(tmp_path) == ["above"]


def test_a_link_to_a_file_stays_and_the_file_is_replaced(tmp_path):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "big disk" / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "big disk" / "file")
    with claimed(tmp_path / "link"), atomic_path(tmp_path / "link") as temporary:
        assert temporary.parent == tmp_path / "big disk"  # a rename across disks is no rename
        assert "another command" in refusal_of_child(tmp_path / "big disk" / "file")
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "big disk" / "file").read_text() == "new"
    assert names(tmp_path / "big disk") == ["file"]


def refusal_of_child(path: Path) -> str:
    """What another process is told that wants to write there."""
    told = path.parent.parent / "told"

    def work(_wait: Callable) -> None:
        try:
            enter(claimed(path))
        except LeadError as error:
            told.write_text(str(error))

    Child(work).kill()
    message = told.read_text()
    told.unlink()
    return message


def test_a_link_to_a_folder_stays_and_the_folder_is_replaced(tmp_path):
    (tmp_path / "big disk" / "set").mkdir(parents=True)
    (tmp_path / "big disk" / "set" / "old").touch()
    (tmp_path / "link").symlink_to(tmp_path / "big disk" / "set")
    with atomic_folder(tmp_path / "link", replace=True) as folder:
        (folder / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "big disk" / "set") == ["new"]
    assert names(tmp_path / "big disk") == ["set"]


def test_the_root_of_a_disk_is_not_replaced():
    mounted = next(place for place in ("/proc", "/dev", "/") if os.path.ismount(place))
    assert "root of a disk" in refusal(lambda: enter(claimed(mounted, folder=True)))


@pytest.mark.parametrize("replace", [False, True])
def test_what_appears_meanwhile_is_not_replaced(tmp_path, replace):
    def attempt() -> None:
        with atomic_folder(tmp_path / "out", replace=replace) as folder:
            (folder / "mine").touch()
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "yours").touch()

    assert "exists already" in refusal(attempt)
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["yours"]


# ---- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 255, "x" * 250 + ".json", "é" * 127, "a." + "b" * 250])
def test_names_may_be_as_long_as_the_disk_allows(tmp_path, name):
    with claimed(tmp_path / name), atomic_path(tmp_path / name) as temporary:
        temporary.write_text("file")
    assert names(tmp_path) == [name]
    (tmp_path / name).unlink()
    with atomic_folder(tmp_path / name) as folder:
        (folder / "x").touch()
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("writer", WRITERS)
def test_longer_ones_are_told(tmp_path, writer):
    with pytest.raises(RequestError, match="File name too long"):
        enter(WRITERS[writer](tmp_path / ("x" * 256)))
    assert names(tmp_path) == []


def test_long_names_that_begin_alike_are_two_outputs(tmp_path):
    one, other = (tmp_path / ("x" * 240 + end) for end in "12")
    assert beside(one, "old") != beside(other, "old")
    with claimed(one):
        enter(claimed(other))
