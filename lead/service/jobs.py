"""One piece of work at a time, in the order asked for, with its progress and a way to stop it."""

import os
import secrets
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from lead.core.errors import LeadError, WorkError

PATIENCE = 120.0  # seconds: a page in a hidden tab asks once a minute


class BusyError(LeadError):
    """Too many wait: ask again later."""


class CancelledError(LeadError):
    """The work was not wanted any more."""


@dataclass(eq=False)
class Job:
    """A piece of work, wanted until it is cancelled or nobody has asked for it in a while."""

    name: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = "waiting"  # working | done | failed | cancelled
    progress: float = 0.0
    doing: str = ""
    result: object = None
    error: LeadError | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    cancelled: bool = False
    asked: float = field(default_factory=time.monotonic)  # when somebody last did

    @property
    def wanted(self) -> bool:
        """Whether a visitor is still there for it."""
        return not self.cancelled and time.monotonic() - self.asked <= PATIENCE

    def report(self, progress: float | int, doing: str) -> None:
        """Say how far the work is (0 to 1); CancelledError where it should stop here."""
        if not self.wanted:
            raise CancelledError("cancelled")
        self.progress, self.doing = float(min(max(progress, 0), 1)), doing

    def end(self, state: str) -> None:
        """Set the last state and wake who waits for it."""
        self.state = state
        self.finished.set()


Work = Callable[[Job], object]
"""What a job does: it gets the job to report to, and returns the result."""


class JobQueue:
    """A worker thread and the jobs that wait for it, that it does, and that it did last."""

    def __init__(self, most_waiting: int, most_kept: int) -> None:
        self.most_waiting, self.most_kept = most_waiting, most_kept
        self._jobs: dict[str, Job] = {}
        self._line: SimpleQueue[tuple[Job, Work] | None] = SimpleQueue()
        self._lock = threading.Lock()  # of the dictionary, and of the step from waiting
        self._worker = threading.Thread(target=self._work, name="lead-demo-worker", daemon=True)
        self._worker.start()

    def submit(self, work: Work) -> Job:
        """Put work at the end of the line; BusyError where that is full of wanted work."""
        with self._lock:
            for job in self._waiting():
                if not job.wanted:
                    job.end("cancelled")
            if len(self._waiting()) >= self.most_waiting:
                raise BusyError(f"{self.most_waiting} requests wait already: try again later")
            job = Job()
            self._jobs[job.name] = job
        self._line.put((job, work))
        return job

    def find(self, name: str) -> Job | None:
        """The job that a visitor asks for, unless it was never there or is forgotten."""
        with self._lock:
            job = self._jobs.get(name)
            if job is not None:
                job.asked = time.monotonic()
        return job

    def place(self, job: Job) -> int:
        """How many jobs come before one that waits."""
        with self._lock:
            waiting = self._waiting()
            working = any(other.state == "working" for other in self._jobs.values())
            return working + waiting.index(job) if job in waiting else 0

    def cancel(self, job: Job) -> None:
        """Take a job out of the line, or ask it to stop at its next report."""
        job.cancelled = True
        with self._lock:
            if job.state == "waiting":
                job.end("cancelled")

    def close(self, patience: float | int) -> None:
        """Stop: all jobs are asked to end, and the one in hand is waited for some seconds."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            self.cancel(job)
        self._line.put(None)
        self._worker.join(patience)

    def _waiting(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.state == "waiting"]

    def _work(self) -> None:
        for job, work in iter(self._line.get, None):
            with self._lock:
                finished = [name for name, old in self._jobs.items() if old.finished.is_set()]
                for name in finished[: max(0, len(finished) - self.most_kept)]:
                    del self._jobs[name]
                if job.state != "waiting":
                    continue
                job.state = "working"
            _do(job, work)


def _do(job: Job, work: Work) -> None:
    try:
        job.report(0.0, "starting")
        job.result = work(job)
        job.progress = 1.0
        job.end("done")
    except CancelledError:
        job.end("cancelled")
    except Exception as error:  # a mistake of ours must not end the worker
        job.error = error if isinstance(error, LeadError) else mistake(error)
        job.end("failed")


def mistake(error: Exception) -> WorkError:
    """The one line for an exception that nobody foresaw."""
    if os.environ.get("LEAD_TRACEBACK"):
        traceback.print_exception(error)
    return WorkError(
        f"a mistake inside lead ({type(error).__name__}: {error!s:.200}): start it with "
        "LEAD_TRACEBACK=1 to see where"
    )
