"""Seconds of several pieces of work, taken in turns so that a busy machine slows all alike."""

import statistics
from collections.abc import Callable, Mapping

from lead.bench.setting import Setting


def alternate(
    works: Mapping[str, Callable[[], object]], setting: Setting, warm_up: bool = True
) -> dict[str, list[float]]:
    """Run every piece of work ``repeats`` times, one after the other; name -> seconds."""
    if warm_up:
        for work in works.values():
            work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(setting.repeats):
        for name, work in works.items():
            seconds[name].append(setting.time(work))
    return seconds


def median(seconds: list[float]) -> float:
    """The middle one."""
    return statistics.median(seconds)
