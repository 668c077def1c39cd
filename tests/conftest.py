"""What all tests share: one thread, fixed seeds, no network, and where the sample data lies."""

import os
import random
import sys
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

# Set before torch is imported, and inherited by the commands that tests start.
os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    WANDB_MODE="offline",
    MPLBACKEND="Agg",
    PYTHONSAFEPATH="1",  # as `lead` sets it
)

settings.register_profile("lead", deadline=None, derandomize=True)
settings.load_profile("lead")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked ``gpu`` where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Start every test from the same global random state, in whatever order the tests run."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of real sample motions: ``LEAD_TEST_DATA``, else ``../shared/data``."""
    named = os.environ.get("LEAD_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if folder.is_dir():
        return folder.resolve()
    if named:
        pytest.fail(f"LEAD_TEST_DATA names {folder}, which is no folder", pytrace=False)
    pytest.skip(f"no sample data at {folder}: set LEAD_TEST_DATA to its folder")


@pytest.fixture(scope="session")
def styled(tmp_path_factory: pytest.TempPathFactory) -> "PackedDataset":  # noqa: F821
    """A packed dataset of made-up styles and contents, one style held out (tests/styled.py)."""
    import importlib.util

    from lead.data.packed import open_dataset
    from lead.data.packing import pack

    spec = importlib.util.spec_from_file_location("styled", Path(__file__).with_name("styled.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["styled"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("styled") / "styled"
    pack(module.StyledSource(), folder, workers=1)
    return open_dataset(folder)
