"""What this machine can do: the rates that a floor is computed from."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from lead.bench.setting import Setting

SIDE = 1024  # of the matrices whose product is timed
COPIED = 1 << 27  # bytes; more than a cache holds
TRIES = 7


@dataclass(frozen=True)
class Machine:
    """Measured peaks: operations a second by precision, and bytes a second of a copy."""

    name: str
    torch: str
    flops: dict[str, float]
    bytes_per_second: float

    def floor(self, operations: float, moved: float, precision: str) -> float:
        """Seconds below which no code can do so many operations on so many bytes."""
        return max(operations / self.flops[precision], moved / self.bytes_per_second)

    def describe(self) -> str:
        """One line."""
        rates = ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in self.flops.items())
        return f"{self.name}; torch {self.torch}; {rates}, {self.bytes_per_second / 1e9:.1f} GB/s"


def measure_machine(setting: Setting) -> Machine:
    """Time large matrix products and a large copy; the best of several tries counts."""
    device = setting.device
    flops = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        if name == "bf16" and setting.precision != "bf16":
            continue  # without native support one product takes seconds
        a, b = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
        flops[name] = 2 * SIDE**3 / _best(lambda a=a, b=b: a @ b, setting)
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = _best(lambda: target.copy_(source), setting)
    return Machine(_name(device), torch.__version__, flops, 2 * COPIED / seconds)


def _best(work: Callable[[], object], setting: Setting) -> float:
    work()
    return min(setting.time(work) for _ in range(TRIES))


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line for line in lines if line.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.processor()
    return f"{name or 'unknown processor'}, {torch.get_num_threads()} threads"
