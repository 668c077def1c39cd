"""Processes of our own: the same answers, whatever becomes of one of them, and nothing left."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import pytest

from lead.core import workers
from lead.core.errors import WorkError
from lead.core.workers import ProcessEndedError, spread

MODULE = '''
import os, signal, sys, time
from pathlib import Path

def square(home, piece):
    """The square of a number; in another process than ``home``, a deed on the way."""
    number, deed, *rest = piece
    if os.getpid() == home:
        time.sleep(0.02)
    else:
        DEEDS[deed](*rest)
    return number**2

def fail():
    raise ZeroDivisionError("by zero")

def mark(folder):
    Path(folder, str(os.getpid())).touch()

def hold(folder):
    mark(folder)
    time.sleep(1)

DEEDS = {
    "nothing": lambda: None,
    "say": lambda: print("on the way", flush=True),
    "fail": fail,
    "exit": lambda: os._exit(3),
    "leave": lambda: sys.exit(4),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "end": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "close": lambda: os.closerange(3, 64),
    "mark": mark,
    "hold": hold,
}

def facts(home, _piece):
    if os.getpid() == home:
        return time.sleep(0.02)
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)]
    return sys.path, handlers == [signal.SIG_DFL] * 2, os.getsid(0), os.environ["OMP_NUM_THREADS"]
'''


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """A module of work that other processes can import, too; they are started at once."""
    folder = tmp_path / "importable"
    folder.mkdir()
    (folder / "pieces_of_work.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(workers, "WORTHWHILE", -1.0)
    import pieces_of_work

    yield pieces_of_work
    del sys.modules["pieces_of_work"]


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture(autouse=True)
def started(monkeypatch) -> list:
    """The processes that a test starts: all are gone after it, and so are their pipes."""
    found = []

    class Recorded(workers._Process):
        def __init__(self, packed: bytes):
            super().__init__(packed)
            found.append(self.process)

    monkeypatch.setattr(workers, "_Process", Recorded)
    files = open_files()
    yield found
    assert all(process.returncode is not None for process in found)
    assert open_files() <= files


def pieces(count: int, deed: str = "nothing", *rest: object) -> list[tuple]:
    return [(number, deed, *rest) for number in range(count)]


def answers(work, todo: list, processes: int = 2) -> dict[int, int]:
    with closing(spread(partial(work.square, os.getpid()), todo, processes)) as found:
        return dict(found)


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 150])
def test_the_answers_are_the_same_however_many_processes_there_are(work, started, count, processes):
    found = answers(work, pieces(count), processes)
    assert found == {number: number**2 for number in range(count)}
    assert len(started) == (0 if processes == 1 else min(processes, max(count - 1, 0)))


def test_little_work_starts_no_process(work, started, monkeypatch):
    monkeypatch.setattr(workers, "WORTHWHILE", 3600.0)
    assert len(answers(work, pieces(30))) == 30
    assert not started


def test_a_process_holds_one_piece_at_a_time(work):
    """Pieces are taken from the list as they are needed, however long it is."""
    taken = []

    class Counted(list):
        def __iter__(self):
            for piece in super().__iter__():
                taken.append(piece)
                yield piece

    with closing(spread(partial(work.square, os.getpid()), Counted(pieces(500)), 2)) as found:
        for done, _ in enumerate(found, start=1):
            assert len(taken) <= done + 2 + 1


def test_what_is_printed_on_the_way_disturbs_nothing(work):
    assert answers(work, pieces(100, "say")) == answers(work, pieces(100), 1)


def test_large_pieces_and_answers_travel_whole(work):
    large = [(10 ** (10**5), "nothing")] * 40
    assert set(answers(work, large).values()) == {large[0][0] ** 2}


ENDS = {
    "exit": "ended with code 3",
    "leave": "ended with code 4",
    "kill": "was killed by SIGKILL",
    "end": "was killed by SIGTERM",
    "close": "ended with code 0",
}


@pytest.mark.parametrize("deed", ENDS)
def test_a_death_is_told_with_the_piece(work, deed):
    """Nothing before the piece of that place is missing, and it is not among the answers."""
    found = {}
    with (
        pytest.raises(ProcessEndedError, match=ENDS[deed]) as error,
        closing(spread(partial(work.square, os.getpid()), pieces(2000, deed), 2)) as done,
    ):
        found.update(done)
    assert error.value.place not in found
    assert set(range(error.value.place - 2)) <= set(found)


def test_an_exception_is_told_in_one_line(work):
    with pytest.raises(WorkError, match=r"ZeroDivisionError: by zero\): say workers=1"):
        answers(work, pieces(2000, "fail"))


def test_work_that_cannot_travel_is_told(work):
    for square, words in ((lambda piece: time.sleep(0.02), "cannot leave this process"),):
        with (
            pytest.raises(WorkError, match=words),
            closing(spread(square, pieces(2000), 2)) as found,
        ):
            list(found)


def test_work_that_cannot_be_imported_is_told(work, monkeypatch):
    Path(work.__file__).unlink()
    with pytest.raises(WorkError, match="ModuleNotFoundError: No module named 'pieces_of_work'"):
        answers(work, pieces(2000))


def test_a_process_that_dies_at_its_start_is_told(work, monkeypatch):
    monkeypatch.setattr(workers, "_START", "import sys; sys.exit(7)")
    with pytest.raises(ProcessEndedError, match="ended with code 7") as error:
        answers(work, pieces(2000))
    assert error.value.place is None


class Stopped(BaseException):
    """As Ctrl-C, or the handler of a signal, which is raised wherever the program is."""


def one_import(work, deed: str) -> None:
    """One of: all is well, a process fails, dies or is killed, or the whole is interrupted."""
    try:
        with closing(
            spread(partial(work.square, os.getpid()), pieces(400, deed.split()[0]), 2)
        ) as found:
            for number, _ in enumerate(found):
                if deed.endswith("stopped") and number == 60:
                    raise Stopped
    except (WorkError, Stopped):
        assert deed != "nothing"


DEEDS = ("nothing", "fail", "exit", "kill", "end", "close", "nothing stopped", "say stopped")


@pytest.mark.parametrize("count", [16, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_imports_of_which_most_go_wrong(work, started, count):
    """One after the other in one program, beside a thread that holds a lock and takes signals."""
    lock = threading.Lock()
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with lock:
            for deed in islice(cycle(DEEDS), count):
                one_import(work, deed)
                assert all(process.returncode is not None for process in started)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(started) == 2 * count


def test_a_process_inherits_no_handler_no_thread_and_not_the_working_folder(
    work, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGUSR1,)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.signal(number, lambda *_: None)
    try:
        with closing(spread(partial(work.facts, os.getpid()), pieces(200), 2)) as found:
            facts = [fact for _, fact in found if fact is not None]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert facts
    for path, default, session, threads in facts:
        assert "" not in path and str(tmp_path) not in path and str(Path.cwd()) not in path
        assert str(tmp_path / "importable") in path
        assert default and session != os.getsid(0) and threads == "1"


PLANTED = ("torch.py", "pickle.py", "signal.py", "numpy.py", "lead/__init__.py", "lead/core.py")
SCRIPT = """
import os, sys
from contextlib import closing
from functools import partial
import pieces_of_work
from lead.core import workers
workers.WORTHWHILE = -1.0
sys.path.insert(0, {first!r})
work = partial(pieces_of_work.square, os.getpid())
with closing(workers.spread(work, [(n, {deed!r}, {folder!r}) for n in range({count})], 2)) as found:
    print(sum(1 for _ in found))
"""


def start_script(work, here: Path, deed: str, folder: Path, count: int, first: str = ""):
    root = Path(workers.__file__).parents[2]
    script = SCRIPT.format(deed=deed, folder=str(folder), count=count, first=first)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", script],
        cwd=here,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{Path(work.__file__).parent}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("first", ["", "."])
def test_nothing_that_lies_in_the_working_folder_is_run(work, tmp_path, first):
    here = tmp_path / "here"
    for name in PLANTED:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"open({str(tmp_path / 'run')!r}, 'a').write({name!r})")
    folder = tmp_path / "pids"
    folder.mkdir()
    process = start_script(work, here, "mark", folder, 200, first)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "200\n", "")
    assert list(folder.iterdir()), "no piece was done by another process"
    assert not (tmp_path / "run").exists()


def test_killed_itself_it_leaves_no_process(work, tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    process = start_script(work, tmp_path, "hold", folder, 500)
    while len(list(folder.iterdir())) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    _, err = process.communicate()
    while any(Path("/proc", name.name).exists() for name in folder.iterdir()):
        time.sleep(0.05)  # a time limit of the tests ends this where it does not end
    assert err == ""
