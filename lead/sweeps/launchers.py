"""Where the jobs of a sweep run: one by one, several at once, or on a Slurm cluster."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Annotated

from pydantic import Field

from lead.core.errors import RequestError, WorkError
from lead.core.files import write_json
from lead.core.schema import Schema, read_file
from lead.sweeps.job import FAILED, FINISHED, JobFolder, run_job

POLL_SECONDS = 1.0
SETTLING_POLLS = 10


@dataclass(frozen=True)
class LocalLauncher:
    """One job after the other."""

    def run(self, places: Sequence[JobFolder]) -> Iterator[JobFolder]:
        """Run the jobs; each comes back when it has ended."""
        yield from map(run_job, places)


@dataclass(frozen=True)
class JoblibLauncher:
    """Several jobs at once on this machine; each gets its share of the cores, or a GPU of its own.

    ``gpus`` are numbers of CUDA devices; no more jobs run at once than there are.
    """

    at_once: int = 2
    gpus: Sequence[str] = ()

    def run(self, places: Sequence[JobFolder]) -> Iterator[JobFolder]:
        """Run the jobs; each comes back when it has ended."""
        joblib = _library("joblib")
        at_once = min(self.at_once, len(self.gpus) or self.at_once)
        threads = max(1, (os.cpu_count() or 1) // at_once)
        free: Queue = Queue()
        for gpu in self.gpus:
            free.put(gpu)

        def work(place: JobFolder) -> JobFolder:
            extra = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(threads)}
            if not self.gpus:
                return run_job(place, extra)
            gpu = free.get()
            try:
                return run_job(place, {**extra, "CUDA_VISIBLE_DEVICES": gpu})
            finally:
                free.put(gpu)

        # A thread only waits for the process of its job.
        together = joblib.Parallel(at_once, backend="threading", return_as="generator_unordered")
        yield from together(joblib.delayed(work)(place) for place in places)


class Requeued:
    """A job as submitit calls it: when its time is up it is queued again, and then resumes."""

    def __call__(self, place: JobFolder) -> None:
        """Do the job."""
        run_job(place)

    def checkpoint(self, place: JobFolder):
        """What to queue instead of the job that was stopped."""
        return _library("submitit").helpers.DelayedSubmission(self, place)


@dataclass(frozen=True)
class SubmititLauncher:
    """A job array on a Slurm cluster. What waits for it may be stopped; the jobs go on."""

    cluster: str = "slurm"
    partition: str | None = None
    account: str | None = None
    minutes: int = 240
    nodes: int = 1
    tasks_per_node: int = 1
    gpus_per_node: int = 1
    cpus_per_task: int = 8
    memory_gb: int = 32
    at_once: int = 16
    setup: Sequence[str] = ()

    def run(self, places: Sequence[JobFolder]) -> Iterator[JobFolder]:
        """Queue the jobs that are not queued yet, and wait for all; each comes back at its end."""
        submitit = _library("submitit")
        folder = places[0].sweep / "submitit"
        waiting = {}
        for place in places:
            job = self._queued(submitit, folder, place)
            if job is not None:
                waiting[place] = job
        new = [place for place in places if place not in waiting]
        if new:
            waiting |= self._submit(submitit, folder, new)
        while waiting:
            ended = [place for place, job in waiting.items() if job.done()]
            for place in ended:
                del waiting[place]
                if not _has_ended(place):
                    place.update(state=FAILED, error=f"ended by the cluster: see {folder}")
                yield place
            if not ended:
                time.sleep(POLL_SECONDS)

    def _queued(self, submitit, folder: Path, place: JobFolder):
        """The Slurm job of an earlier call that still waits or runs."""
        if self.cluster != "slurm" or not _ticket(place).is_file():
            return None
        advice = f"remove {place.folder}, the job is queued anew"
        job = submitit.SlurmJob(folder, read_file(_Ticket, _ticket(place), advice).slurm)
        return None if job.done() else job

    def _submit(self, submitit, folder: Path, places: Sequence[JobFolder]) -> dict:
        try:
            executor = submitit.AutoExecutor(folder, cluster=self.cluster)
        except (RuntimeError, ValueError) as error:
            raise WorkError(
                f"cannot start jobs on '{self.cluster}' ({' '.join(str(error).split())[:150]}): "
                "call from a machine that has sbatch, or use launcher=joblib"
            ) from error
        executor.update_parameters(**self._parameters(places[0].sweep.name))
        with executor.batch():
            jobs = [executor.submit(Requeued(), place) for place in places]
        for place, job in zip(places, jobs, strict=True):
            write_json(_ticket(place), {"slurm": str(job.job_id)})
        return dict(zip(places, jobs, strict=True))

    def _parameters(self, name: str) -> dict:
        given = {
            "name": f"lead-{name}",
            "timeout_min": self.minutes,
            "nodes": self.nodes,
            "tasks_per_node": self.tasks_per_node,
            "gpus_per_node": self.gpus_per_node or None,
            "cpus_per_task": self.cpus_per_task,
            "mem_gb": self.memory_gb,
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "slurm_array_parallelism": self.at_once,
            "slurm_setup": list(self.setup) or None,
        }
        return {key: value for key, value in given.items() if value is not None}


class _Ticket(Schema):
    """``slurm.json``: the number that the cluster gave to a job, or to a part of an array."""

    slurm: Annotated[str, Field(pattern=r"^[0-9]+(_[0-9]+)?$")]


def _has_ended(place: JobFolder) -> bool:
    """Whether a job said how it ended; a network file system may show that some seconds later."""
    for _ in range(SETTLING_POLLS):
        if place.state in (FINISHED, FAILED):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _ticket(place: JobFolder) -> Path:
    """The file with the number of a queued job; job.json belongs to the job itself by then."""
    return place.folder / "slurm.json"


def _library(name: str):
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RequestError(
            f"this launcher needs {name}: pip install '.[sweep]' in lead's folder, or say "
            "launcher=local"
        ) from error
