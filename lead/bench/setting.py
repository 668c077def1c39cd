"""How all rows of a benchmark are measured."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lead.core.devices import choose_device
from lead.core.precision import resolve_precision
from lead.generation.loading import ModelRequest

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""``cpu`` is the processor time of this process: for one thread on a machine that is busy."""


@dataclass(frozen=True)
class BenchOptions:
    """What `lead bench` was asked for; the values stand in configs/bench.yaml.

    ``teacher`` and ``taught`` are the two models of `distilled`, the first that of `joint`,
    ``flows`` the FlowSize of each of the ``sizes`` of `flow`.
    """

    subject: str
    repeats: int
    batch: int
    frames: int
    precision: str
    compiled: bool
    threads: int
    clock: str
    device: str
    seed: int
    run: str | None
    student: str | None
    source: str | None
    output: str | None
    plot: str | None
    sizes: list[str]
    teacher: ModelRequest | None = None
    taught: ModelRequest | None = None
    flows: Any = ()


@dataclass(frozen=True)
class Setting:
    """Repeats, device, threads, the precision of rows that are not fp32 by name, seed, clock."""

    repeats: int
    device: torch.device
    threads: int
    precision: str
    seed: int
    clock: str

    @classmethod
    def of(cls, options: BenchOptions) -> "Setting":
        """From the options of `lead bench`; sets torch's threads."""
        if options.threads:
            torch.set_num_threads(options.threads)
        device = choose_device(options.device)
        precision = resolve_precision(options.precision, device)
        threads = torch.get_num_threads()
        return cls(options.repeats, device, threads, precision, options.seed, options.clock)

    def time(self, work: Callable[[], object]) -> float:
        """Seconds that ``work`` takes, by the clock of this setting."""
        clock = CLOCKS[self.clock]
        self._wait()
        start = clock()
        work()
        self._wait()
        return clock() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
