"""Work spread over processes of our own, which can neither hang nor be left behind.

Each is a fresh interpreter: it has none of this one's locks and signal handlers, and the working
folder is not on its path. It knows one pipe, on which it gets a piece of work, answers it and waits
for the next. A process that dies closes its end, and so does this one, however it ends.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NoReturn

from lead.core.errors import WorkError

COMMAND = (sys.executable, "-P", "-m", "lead.cli.main")
"""How lead starts itself again: -P keeps the working folder off the path of modules."""

WORTHWHILE = 4.0  # seconds of work left from which on others are started: that takes half of it
_ROOT = Path(__file__).resolve().parents[2]  # the folder that holds lead
_START = "import sys; sys.path[:] = sys.argv[2:]; from lead.core.workers import serve; serve()"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class ProcessEndedError(WorkError):
    """A process died; ``place`` is that of the piece it had, None where it had none yet."""

    def __init__(self, place: int | None, how: str):
        super().__init__(f"a worker process {how}")
        self.place, self.how = place, how


def spread(
    work: Callable[[Any], Any], pieces: Sequence, processes: int
) -> Iterator[tuple[int, Any]]:
    """``(place, work(piece))`` for every piece, as they are done, by up to ``processes`` processes.

    ``work`` and the pieces travel as pickles, and what they are made of has to be importable. The
    first piece is done here, and so are more where little is left to do, or until the others stand.
    A process holds one piece at a time. To end them all: close the iterator.
    Raises ProcessEndedError where one dies, WorkError where one cannot take its work.
    """
    todo = iter(enumerate(pieces))
    started = time.monotonic()
    for place, piece in todo:
        yield place, work(piece)
        done, left = place + 1, len(pieces) - place - 1
        if processes > 1 and (time.monotonic() - started) / done * left > WORTHWHILE:
            yield from _shared(work, todo, min(processes, left))


def _shared(work: Callable, todo: Iterator[tuple[int, Any]], count: int) -> Iterator:
    try:
        packed = pickle.dumps(work, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # a class of a notebook, a lambda
        raise WorkError(f"work that cannot leave this process ({error}): say workers=1") from error
    following = next(todo, None)
    with ExitStack() as stack:
        busy = [stack.enter_context(closing(_Process(packed))) for _ in range(count)]
        while busy:
            starting = any(process.place is None for process in busy)
            for process in _answering(busy, at_once=bool(starting and following)):
                place, answer = process.place, process.answer()
                if following:
                    process.give(*following)
                    following = next(todo, None)
                else:
                    busy.remove(process)
                if place is not None:
                    yield place, answer
            if not following:
                busy = [process for process in busy if process.place is not None]
            elif starting:
                place, piece = following
                following = next(todo, None)
                yield place, work(piece)


def _answering(busy: "list[_Process]", *, at_once: bool) -> "list[_Process]":
    """Those that have answered, or died; unless ``at_once``, there is at least one."""
    ready = wait([process.channel for process in busy], 0 if at_once else None)
    return [process for process in busy if process.channel in ready]


class _Process:
    """One process, which owes an answer from its start on."""

    def __init__(self, packed: bytes):
        self.place: int | None = None
        self.channel, theirs = Pipe()
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(number), *_search_path()],
                env={**os.environ, **_ONE_THREAD},
                stdin=subprocess.DEVNULL,
                pass_fds=[number],
                start_new_session=True,  # Ctrl-C in a terminal is for this process alone
            )
        self._send(packed)

    def give(self, place: int, piece: object) -> None:
        """Send the next piece; the one before is answered."""
        self.place = place
        self._send(pickle.dumps(piece, pickle.HIGHEST_PROTOCOL))

    def answer(self) -> object:
        """What the work gave, or None for the start."""
        try:
            done, value = self.channel.recv()
        except (EOFError, OSError):
            self._fail()
        if not done:
            raise WorkError(f"a worker process cannot do its work ({value}): say workers=1")
        return value

    def close(self) -> None:
        """End the process, whatever it does."""
        self.channel.close()
        self.process.kill()
        self.process.wait()

    def _send(self, message: bytes) -> None:
        try:
            self.channel.send_bytes(message)
        except OSError:
            self._fail()

    def _fail(self) -> NoReturn:
        with suppress(subprocess.TimeoutExpired):  # its pipe is closed, so it is about to end
            self.process.wait(5)
        code = self.process.poll()
        how = "closed its pipe" if code is None else f"ended with code {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        raise ProcessEndedError(self.place, how)


def _search_path() -> list[str]:
    """This interpreter's path without the working folder, unless lead itself comes from there."""
    found = [Path(entry or ".").resolve() for entry in sys.path]
    here = Path.cwd()
    kept = [place for place in found if place != here or place == _ROOT]
    return [str(place) for place in (kept if _ROOT in kept else [*kept, _ROOT])]


def serve() -> None:
    """The life of such a process: the work, then one piece after the other, until the pipe ends."""
    channel = Connection(int(sys.argv[1]))
    work = None
    with suppress(EOFError, OSError):
        while True:
            message = channel.recv_bytes()
            try:
                value = pickle.loads(message)
                if work is None:
                    work, answer = value, None
                else:
                    answer = work(value)
                reply = pickle.dumps((True, answer), pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                reply = pickle.dumps((False, f"{type(error).__name__}: {error}"))
            channel.send_bytes(reply)
