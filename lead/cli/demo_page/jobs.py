"""One piece of work at a time, in the order asked for, with its progress and a way to stop it."""

import os
import secrets
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from lead.core.errors import LeadError, WorkError

DONE = ("done", "failed", "cancelled")


class BusyError(LeadError):
    """The queue is full: ask again later."""


class CancelledError(LeadError):
    """The work was not wanted any more."""


@dataclass(eq=False)
class Job:
    """A piece of work; ``work`` gets the job itself to report to and returns the result."""

    work: Callable[["Job"], object]
    name: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = "waiting"  # working | done | failed | cancelled
    progress: float = 0.0
    doing: str = ""
    result: object = None
    error: LeadError | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    unwanted: threading.Event = field(default_factory=threading.Event)

    def report(self, progress: float | int, doing: str) -> None:
        """Say how far the work is (0 to 1); CancelledError where it should stop here."""
        if self.unwanted.is_set():
            raise CancelledError("cancelled")
        self.progress, self.doing = float(min(max(progress, 0), 1)), doing

    def end(self, state: str) -> None:
        """Set the last state and wake who waits for it."""
        self.state = state
        self.finished.set()


class JobQueue:
    """A worker thread and the jobs that wait for it, that it does, and that it did last.

    ``forget`` is called with a finished job that makes room for newer ones.
    """

    def __init__(self, most_waiting: int, most_kept: int, forget: Callable[[Job], None]) -> None:
        self.most_waiting, self.most_kept, self.forget = most_waiting, most_kept, forget
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._worker = threading.Thread(target=self._run, name="lead-demo-worker", daemon=True)
        self._worker.start()

    def submit(self, work: Callable[[Job], object]) -> Job:
        """Put work at the end of the queue; BusyError where that is full."""
        with self._changed:
            if self._closed or len(self._waiting) >= self.most_waiting:
                raise BusyError(f"{len(self._waiting)} requests wait already: try again later")
            job = Job(work)
            self._jobs[job.name] = job
            self._waiting.append(job)
            self._changed.notify()
        return job

    def find(self, name: str) -> Job | None:
        """The job of that name, unless it was never there or is forgotten."""
        with self._changed:
            return self._jobs.get(name)

    def place(self, job: Job) -> int:
        """How many jobs come before one that waits."""
        with self._changed:
            working = any(other.state == "working" for other in self._jobs.values())
            return working + self._waiting.index(job) if job in self._waiting else 0

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or ask it to stop at its next report."""
        job.unwanted.set()
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                job.end("cancelled")

    def close(self, patience: float | int) -> None:
        """Stop: nothing new begins, what is done is asked to end and waited for some seconds."""
        with self._changed:
            self._closed = True
            jobs = list(self._jobs.values())
            self._changed.notify()
        for job in jobs:
            self.cancel(job)
        self._worker.join(patience)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.report(0.0, "starting")
                job.result = job.work(job)
                job.progress = 1.0
                job.end("done")
            except CancelledError:
                job.end("cancelled")
            except LeadError as error:
                job.error = error
                job.end("failed")
            except Exception as error:  # a mistake of ours must not end the worker
                job.error = mistake(error)
                job.end("failed")

    def _next(self) -> Job | None:
        with self._changed:
            self._drop_old()
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            job = self._waiting.popleft()
            job.state = "working"
            return job

    def _drop_old(self) -> None:
        finished = [job for job in self._jobs.values() if job.state in DONE]
        for job in finished[: max(0, len(finished) - self.most_kept)]:
            del self._jobs[job.name]
            self.forget(job)


def mistake(error: Exception) -> WorkError:
    """The one line for an exception that nobody foresaw."""
    if os.environ.get("LEAD_TRACEBACK"):
        traceback.print_exception(error)
    reason = " ".join(str(error).split())
    return WorkError(
        f"a mistake inside lead ({type(error).__name__}: {reason:.200}): start it with "
        "LEAD_TRACEBACK=1 to see where"
    )
