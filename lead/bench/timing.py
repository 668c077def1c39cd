"""Seconds of several pieces of work, taken in turns so that a busy machine slows all alike."""

from collections.abc import Callable, Mapping
from statistics import median

from lead.bench.setting import Setting

__all__ = ["alternate", "in_turns", "median"]


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


def in_turns(
    ours: Callable[[int], float], plain: Callable[[int], float], setting: Setting
) -> tuple[list[float], list[float]]:
    """Seconds that both say of themselves, asked ``repeats`` times with the number of the turn."""
    pairs = [(plain(turn), ours(turn)) for turn in range(setting.repeats)]
    return [own for _, own in pairs], [other for other, _ in pairs]
