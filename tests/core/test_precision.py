"""Which number format a run takes: what is asked for, and with ``auto`` what the hardware has."""

import pytest
import torch

from lead.core import precision
from lead.core.precision import resolve_precision

CPU = torch.device("cpu")
PROCESSORS = {
    "flags : fma avx avx2 f16c": "fp32",
    "flags : avx2 avx512f avx512bw avx512_vnni avx512_fp16": "fp32",
    "flags : avx2 avx512f avx512_bf16": "bf16",
    "flags : avx512f avx512_bf16 amx_bf16 amx_tile": "bf16",
    "Features : fp asimd": "fp32",
    None: "fp32",  # where nothing tells: macOS
}


@pytest.mark.parametrize(("facts", "wanted"), PROCESSORS.items())
def test_auto_is_fp32_where_a_processor_does_not_multiply_bf16(
    tmp_path, monkeypatch, facts, wanted
):
    monkeypatch.setattr(precision, "CPU_FACTS", tmp_path / "cpuinfo")
    if facts is not None:
        (tmp_path / "cpuinfo").write_text(f"model name : one\n{facts}\n")
    assert resolve_precision("auto", CPU) == wanted


@pytest.mark.parametrize("native", [True, False])
def test_what_is_asked_for_is_taken_on_every_processor(monkeypatch, native):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: native)
    assert [resolve_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert resolve_precision("auto", torch.device("meta")) == "fp32"
