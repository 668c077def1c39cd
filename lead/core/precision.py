"""The number formats of inference and training, and where the processor multiplies in them."""

from pathlib import Path

import torch

CPU_FACTS = Path("/proc/cpuinfo")


def resolve_precision(name: str, device: torch.device) -> str:
    """``fp32`` or ``bf16``; ``auto`` takes bf16 where it is native."""
    if name != "auto":
        return name
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()
    return "bf16" if native and device.type in ("cpu", "cuda") else "fp32"


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices natively (AVX512-BF16 or AMX)."""
    return CPU_FACTS.is_file() and "avx512_bf16" in CPU_FACTS.read_text(encoding="utf-8").split()
