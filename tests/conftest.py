"""What all tests share: threads, seeds, limits, no network, and where the sample data lies."""

import fcntl
import importlib.util
import os
import random
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

THREADS = os.environ.get("LEAD_TEST_THREADS", "1")
LONG = 900
"""Seconds for a test marked ``slow`` or ``dev``; pyproject.toml limits the others."""

# Set before torch is imported, and inherited by the commands that tests start.
os.environ.update(
    OMP_NUM_THREADS=THREADS,
    MKL_NUM_THREADS=THREADS,
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    WANDB_MODE="offline",
    MPLBACKEND="Agg",
    PYTHONSAFEPATH="1",  # as `lead` sets it
)

settings.register_profile("lead", deadline=None, derandomize=True)
settings.load_profile("lead")


def pytest_configure(config: pytest.Config) -> None:
    """Leave the order to pytest-randomly, the seeds to the fixture below."""
    config.option.randomly_reset_seed = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give long tests time; skip the ones marked ``gpu`` where there is no CUDA device."""
    for item in items:
        if item.get_closest_marker("slow") or item.get_closest_marker("dev"):
            item.add_marker(pytest.mark.timeout(LONG))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@contextmanager
def fixed_seeds() -> Iterator[None]:
    """The same random state at every start, and the one from before at the end."""
    numpy, torch = (sys.modules.get(name) for name in ("numpy", "torch"))
    before = (
        random.getstate(),
        numpy and numpy.random.get_state(),
        torch and torch.get_rng_state(),
    )
    random.seed(0)
    if numpy:
        numpy.random.seed(0)
    if torch:
        torch.default_generator.manual_seed(0)
        if torch.cuda.is_initialized():  # else torch.manual_seed notes the stack for when it is
            torch.cuda.manual_seed_all(0)
    yield
    random.setstate(before[0])
    if numpy:
        numpy.random.set_state(before[1])
    if torch:
        torch.set_rng_state(before[2])


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request) -> object:
    """A shared fixture holds the same numbers, whichever test comes first and asks for it."""
    if fixturedef.scope == "function":
        return (yield)
    with fixed_seeds():
        return (yield)


@pytest.fixture(autouse=True)
def same_start() -> Iterator[None]:
    """Every test starts from the same state, in whatever order the tests run, and leaves it so."""
    folder, torch = Path.cwd(), sys.modules.get("torch")
    threads = torch and torch.get_num_threads()
    with fixed_seeds():
        yield
    assert Path.cwd() == folder, "the working directory is another than before"
    if torch:
        torch.set_num_threads(threads)  # training sets its own
        assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
        assert not torch.are_deterministic_algorithms_enabled()


@pytest.fixture
def count_calls() -> Callable[[Callable[[], object]], int]:
    """How many functions of lead some work calls, and of C from there: its cost anywhere."""

    def count(work: Callable[[], object]) -> int:
        ours, found = str(REPOSITORY / "lead"), []

        def hear(frame, kind: str, _argument) -> None:
            if kind in ("call", "c_call") and frame.f_code.co_filename.startswith(ours):
                found.append(kind)

        before = sys.getprofile()
        sys.setprofile(hear)
        try:
            work()
        finally:
            sys.setprofile(before)
        return len(found)

    return count


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


def load_beside(name: str) -> ModuleType:
    """A module of helpers in this folder, which is on no path; read once, when first needed."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def styled(tmp_path_factory: pytest.TempPathFactory) -> "PackedDataset":  # noqa: F821
    """A packed dataset of made-up styles and contents, one style held out (tests/styled.py)."""
    from lead.data.packed import open_dataset
    from lead.data.packing import pack

    folder = tmp_path_factory.mktemp("styled") / "styled"
    pack(load_beside("styled").StyledSource(), folder, workers=1)
    return open_dataset(folder)


@pytest.fixture(scope="session")
def sticks() -> ModuleType:
    """A second motion model, which needs no training (tests/walking_sticks.py)."""
    return load_beside("walking_sticks")


@pytest.fixture(scope="session")
def flow_run(tmp_path_factory: pytest.TempPathFactory) -> "Run":  # noqa: F821
    """A small flow with random weights, and the auto-encoder it stands on (tests/flow_runs.py)."""
    return load_beside("flow_runs").make_runs(tmp_path_factory.mktemp("flow"))


@pytest.fixture(scope="session")
def timed_lead_run(tmp_path_factory: pytest.TempPathFactory) -> "Run":  # noqa: F821
    """A small projector on a diffusion of latents that keep time, with random weights."""
    return load_beside("flow_runs").make_timed_lead(tmp_path_factory.mktemp("timed_lead"))


@pytest.fixture(scope="session")
def timed_flow_run(tmp_path_factory: pytest.TempPathFactory) -> "Run":  # noqa: F821
    """The same on a VAE whose latents keep time, each for three frames."""
    return load_beside("flow_runs").make_timed_runs(tmp_path_factory.mktemp("timed_flow"))


@pytest.fixture(scope="session")
def mote_runs() -> "Callable[..., Run]":  # noqa: F821
    """Makes small MoTe runs with random weights (tests/mote_runs.py)."""
    return load_beside("mote_runs").make_runs


@pytest.fixture(scope="session")
def acclaim_figure() -> "Callable[..., Figure]":  # noqa: F821
    """Makes figures that write themselves as ASF and AMC files (tests/acclaim_files.py)."""
    module = load_beside("acclaim_files")

    def make(frames: int = 5, seed: int = 0, **dialect) -> "Figure":  # noqa: F821
        return module.Figure(module.Dialect(**dialect), frames, seed)

    return make


@pytest.fixture(scope="session")
def cmu_folder(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trials of the CMU database in ``cmu/motions.tar.xz``, unpacked, captions beside them."""
    archive = sample_data / "cmu" / "motions.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (base / "cmu.lock").open("w") as lock:  # 90 MB of xz: once for all workers, to read
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, made = base / "cmu", base / "cmu-made"
        if not made.exists():
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
            shutil.copy(archive.with_name("captions.json"), folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, a run of each stage and a generated clip (tests/world.py)."""
    return load_beside("world").make_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def world(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "World":  # noqa: F821
    """The chain, trained when a test first asks for it, and the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return load_beside("world").World(lambda: request.getfixturevalue("chain"), tmp_path)


@pytest.fixture
def refused(world, capfd, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run a command that has to fail: one line, the right exit code, nothing changed on disk."""
    return load_beside("world").refusing(world, capfd, tmp_path_factory.getbasetemp())


@pytest.fixture
def outcome(world, capfd) -> Callable[[list], str | None]:
    """Run a command: what it said on one line where it failed, None where it did its work."""
    return load_beside("world").trying(world, capfd)
