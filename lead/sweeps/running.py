"""The jobs of a sweep from the first to their table."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lead.sweeps.expanding import Job
from lead.sweeps.job import FINISHED, JobFolder, Planned, stop_jobs

Say = Callable[[str], None]


def run_sweep(
    jobs: Sequence[Job], sweep: Path, launcher, *, together: bool, say: Say
) -> list[JobFolder]:
    """Run all jobs that are not finished and say their results; returns those that failed.

    ``launcher`` is one of lead.sweeps.launchers. ``together`` measures all runs in one table, where
    every one of them was trained.
    """
    planned = [Planned(replace(job, measure=()) if together else job, sweep) for job in jobs]
    joint = None
    with _stopping_politely():
        failed = _launch(launcher, planned, say)
        if together and not failed:
            joint = Planned(_joint(planned, jobs), sweep)
            failed = _launch(launcher, [joint], say)
    from lead.sweeps.table import report

    if told := report(planned, None if failed else joint):
        say(told)
    return failed


def _joint(planned: Sequence[Planned], jobs: Sequence[Job]) -> Job:
    """One `lead evaluate` of all runs: their projectors, on the same latents."""
    first, *others = [str(one.place.run) for one in planned]
    listed = ",".join(f"'{run}'" for run in others)
    return Job("evaluate", (f"run={first}", f"projectors=[{listed}]", *jobs[0].measure))


def _launch(launcher, planned: Sequence[Planned], say: Say) -> list[JobFolder]:
    """Run what is not finished; returns the jobs that failed."""
    for one in planned:
        one.prepare()
    left = [one.place for one in planned if one.place.state != FINISHED]
    done = len(planned) - len(left)
    if left:
        say(f"{left[0].sweep}: {len(planned)} jobs" + (f", {done} finished before" * bool(done)))
    failed = []
    for place in launcher.run(left) if left else ():
        done += 1
        seconds = place.record.seconds
        say(f"[{done}/{len(planned)}] {place.state} {place.name} {seconds:.0f} s")
        if place.state != FINISHED:
            failed.append(place)
    return failed


@contextmanager
def _stopping_politely() -> Iterator[None]:
    """On SIGINT or SIGTERM the processes of the jobs are told to stop, and save first."""

    def stop(_number: int, _frame: object) -> None:
        stop_jobs()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
