"""One job of a sweep: its folder, its state there, and the processes that do its work.

The state is one file, ``job.json``, replaced whole. A job is done when that file says so; whatever
else it says when nobody holds the job's lock any more, its process was killed, and it is run again.
"""

import fcntl
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from lead.core.files import content_hash, make_folder, write_json
from lead.core.schema import Finite, Schema, read_file
from lead.core.workers import COMMAND
from lead.sweeps.expanding import Job

WAITING, RUNNING, FINISHED, FAILED = "waiting", "running", "finished", "failed"
NAME_LENGTH = 60


class JobRecord(Schema):
    """``job.json``: what a job is, how far it came, and how it ended."""

    labels: dict[str, str] = {}
    program: list[str] = []
    commands: list[list[str]] = []
    directory: str = "."
    state: Literal[WAITING, RUNNING, FINISHED, FAILED] = WAITING
    error: str = ""
    seconds: Finite = 0.0


_children: set[subprocess.Popen] = set()
_stopping = threading.Event()


@dataclass(frozen=True)
class JobFolder:
    """Where a job of a sweep keeps its state and its log, and what it trained or measured."""

    sweep: Path
    name: str

    @property
    def folder(self) -> Path:
        """State, log and measures."""
        return self.sweep / "jobs" / self.name

    @property
    def run(self) -> Path:
        """What the job trains or generates."""
        return self.sweep / "runs" / self.name

    @property
    def metrics(self) -> Path:
        """The measures of `lead evaluate`."""
        return self.folder / "metrics.json"

    @property
    def log(self) -> Path:
        """What its commands printed; processes of one job beside the first have their own."""
        process = _process()
        return self.folder / (f"log.{process}.txt" if process else "log.txt")

    @property
    def record(self) -> JobRecord:
        """What job.json says now."""
        path = self.folder / "job.json"
        advice = f"remove {self.folder}, the job is done anew"
        return read_file(JobRecord, path, advice) if path.is_file() else JobRecord()

    @property
    def state(self) -> str:
        """waiting, running, finished or failed."""
        return self.record.state

    def update(self, **changes: object) -> None:
        """Change fields of job.json."""
        write_json(self.folder / "job.json", self.record.model_dump(exclude_unset=True) | changes)


@dataclass(frozen=True)
class Planned:
    """A job with the folder that belongs to it alone."""

    job: Job
    sweep: Path

    @cached_property
    def place(self) -> JobFolder:
        """The folder: named by the job's labels, and by the hash of all that it depends on.

        These are its verb, its words, and the content of the runs and data sets that they name.
        """
        job = self.job
        words = sorted([*job.words, *(f"then {word}" for word in job.measure)])
        key = content_hash(job.verb, *words, *_inputs([*job.words, *job.measure]))[:8]
        labels = "-".join(re.sub(r"[^\w.]+", "_", value) for value in job.labels.values())
        return JobFolder(self.sweep, "-".join(filter(None, [labels[-NAME_LENGTH:], key])))

    @property
    def commands(self) -> list[list[str]]:
        """Words of the `lead` commands that do the job, one after the other."""
        place, job = self.place, self.job
        own = {
            "train": [f"run={place.run}", "resume=true", "trainer.progress=false"],
            "evaluate": [f"output={place.metrics}"],
            "generate": [f"output={place.run}", "overwrite=true"],
        }
        commands = [[job.verb, *job.words, *own.get(job.verb, [])]]
        if job.measure:
            measured = [f"run={place.run}", f"output={place.metrics}"]
            commands.append(["evaluate", *measured, *job.measure])
        return commands

    def prepare(self) -> None:
        """Write the job down, unless it stands there: it may be running somewhere."""
        make_folder(self.place.folder)
        wanted = {
            "labels": self.job.labels,
            "program": [*COMMAND],
            "commands": self.commands,
            "directory": str(Path.cwd()),
        }
        before = self.place.record
        same = all(getattr(before, key) == value for key, value in wanted.items())
        if before.state != FINISHED and not same:
            self.place.update(state=WAITING, error="", **wanted)


def _inputs(words: list[str]) -> Iterator[str]:
    """What tells one content from another of each run or data set that a word names."""
    for word in words:
        key, _, value = word.partition("=")
        names = [value]
        if value.startswith("["):
            names = [name.strip(" '") for name in value.strip("[]").split(",")]
        for name in (f"datasets/{value}", *names) if key == "data" else names:
            yield from (f"{name} {part}" for part in _content(Path(name)))


def _content(folder: Path) -> Iterator[str]:
    with suppress(OSError):  # a sentence is no path: too long, or with characters of none
        if (folder / "manifest.json").is_file():
            yield content_hash(folder / "manifest.json")
        for weights in sorted((folder / "weights").glob("*.safetensors")):
            yield f"{weights.name} {content_hash(weights)}"


def run_job(place: JobFolder, extra: Mapping[str, str] | None = None) -> JobFolder:
    """Do a job in processes of its own, and note how it ended; a finished one is left alone.

    ``extra`` are environment variables. Waits where another process holds the job: one that an
    earlier, killed sweep left behind.
    """
    if _process():  # one of several that work on the job together; the first keeps the state
        _run_commands(place, place.record, extra or {}, ())
        return place
    with _held(place.folder / "lock") as lock:
        record = place.record
        if record.state == FINISHED or _stopping.is_set():
            return place
        place.update(state=RUNNING, error="")
        start = time.monotonic()
        code = _run_commands(place, record, extra or {}, lock)
        seconds = round(time.monotonic() - start, 1)
        if code == 0:
            place.update(state=FINISHED, seconds=seconds)
        else:
            place.update(state=FAILED, seconds=seconds, error=_last_line(place.log, code))
    return place


def stop_jobs() -> None:
    """Begin no job any more, and ask the processes of those that run to stop: they save first."""
    _stopping.set()
    for child in [*_children]:
        child.terminate()


def _run_commands(
    place: JobFolder, record: JobRecord, extra: Mapping[str, str], lock: tuple[int, ...]
) -> int:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **extra}
    with place.log.open("a") as log:
        for words in record.commands:
            if _process() and words[0] != "train":
                continue  # one process is enough
            print(f"$ lead {' '.join(words)}", file=log, flush=True)
            child = subprocess.Popen(
                [*record.program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=record.directory,
                env=environment,
                pass_fds=lock,  # held until this process ends, whatever becomes of the sweep
            )
            _children.add(child)
            try:
                code = child.wait()
            finally:  # after a signal to the sweep, too: the child was told to stop
                child.wait()
                _children.discard(child)
            if code:
                return code
    return 0


@contextmanager
def _held(path: Path) -> Iterator[tuple[int, ...]]:
    with path.open("w", encoding="utf-8") as stream:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield (stream.fileno(),)


def _last_line(log: Path, code: int) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("lead: ")] or lines
    return f"{said[-1].removeprefix('lead: ')} (exit code {code})"


def _process() -> int:
    """Number of this process among those that Slurm started for one job."""
    return int(os.environ.get("SLURM_PROCID", 0))
