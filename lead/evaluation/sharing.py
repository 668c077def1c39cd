"""Work that several processes share out among them, with the results of one."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import distributed

Result = TypeVar("Result")


class Sharing:
    """One process does every task; several deal them out, and all of them get all results.

    A task is done whole by one process and depends on no other, so that its result does not depend
    on how many processes there are.
    """

    def __init__(self, process: int = 0, processes: int = 1):
        self.process, self.processes = process, processes

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that speaks and writes."""
        return self.process == 0

    def own(self, costs: Sequence[int]) -> list[int]:
        """Which tasks this process does, in ascending order."""
        owners = deal(costs, self.processes)
        return [task for task, owner in enumerate(owners) if owner == self.process]

    def run(self, costs: Sequence[int], work: Callable[[int], Result]) -> list[Result]:
        """``work(task)`` of every task in their order; ``costs`` say how long each one takes."""
        done = {task: work(task) for task in self.own(costs)}
        if self.processes > 1:
            parts: list = [None] * self.processes
            distributed.all_gather_object(parts, done)
            done = {task: result for part in parts for task, result in part.items()}
        return [done[task] for task in range(len(costs))]


def deal(costs: Sequence[int], processes: int) -> list[int]:
    """The process of each task: dearest tasks first, to whoever has least to do (Graham 1969)."""
    load = [0] * processes
    owners = [0] * len(costs)
    for task in sorted(range(len(costs)), key=lambda task: -costs[task]):
        owners[task] = load.index(min(load))
        load[owners[task]] += costs[task]
    return owners
