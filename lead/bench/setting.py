"""How all rows of a benchmark are measured."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from lead.core.devices import choose_device
from lead.core.precision import resolve_precision

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""``cpu`` is the processor time of this process: for one thread on a machine that is busy."""


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
    def of(cls, config: dict) -> "Setting":
        """From the options of `lead bench`; sets torch's threads."""
        if config["threads"]:
            torch.set_num_threads(config["threads"])
        device = choose_device(config["device"])
        precision = resolve_precision(config["precision"], device)
        threads = torch.get_num_threads()
        return cls(config["repeats"], device, threads, precision, config["seed"], config["clock"])

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
