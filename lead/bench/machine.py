"""What this machine can do: the rates that a floor is computed from."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass

import torch

from lead.bench.setting import Setting
from lead.core.precision import CPU_FACTS

SIDE = 1024  # of the matrices whose product is timed
COPIED = 1 << 27  # bytes; more than a cache holds
TRIES = 7
MATRIX_SETS = ("avx512_bf16", "amx_bf16")  # of a processor, beside those of torch's kernels


@dataclass(frozen=True)
class Machine:
    """Measured peaks: operations a second by precision, and bytes a second of a copy."""

    name: str
    torch: str
    flops: dict[str, float]
    bytes_per_second: float
    instructions: str = ""  # of the processor, and what the libraries were told to leave out

    def floor(self, operations: float, moved: float, precision: str) -> float:
        """Seconds below which no code can do so many operations on so many bytes."""
        return max(operations / self.flops[precision], moved / self.bytes_per_second)

    def describe(self) -> str:
        """One line."""
        rates = ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in self.flops.items())
        own = "; ".join(filter(None, (self.name, self.instructions)))
        return f"{own}; torch {self.torch}; {rates}, {self.bytes_per_second / 1e9:.1f} GB/s"


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
    measured = (torch.__version__, flops, 2 * COPIED / seconds)
    return Machine(_name(device), *measured, instruction_sets(device))


def instruction_sets(device: torch.device) -> str:
    """What products run on: torch's kernels, bf16 and matrix units of the processor, limits set.

    Empty for a GPU.
    """
    if device.type != "cpu":
        return ""
    has = CPU_FACTS.read_text(encoding="utf-8").split() if CPU_FACTS.is_file() else []
    units = [name for name in MATRIX_SETS if name in has]
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    told = [f"oneDNN up to {limit}"] if limit else []
    return ", ".join([torch.backends.cpu.get_cpu_capability().lower(), *units, *told])


def _best(work: Callable[[], object], setting: Setting) -> float:
    work()
    return min(setting.time(work) for _ in range(TRIES))


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    facts = CPU_FACTS.read_text(encoding="utf-8").splitlines() if CPU_FACTS.is_file() else []
    names = [line for line in facts if line.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.processor()
    return f"{name or 'unknown processor'}, {torch.get_num_threads()} threads"
