"""Checkpoints with the tensors of the public ones, filled with random numbers."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "published", Path(__file__).with_name("published.py")
)
published = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(published)


@pytest.fixture(scope="session")
def shapes(sample_data):
    """Names and shapes of a public checkpoint; ``motionlcm_v1`` is version 2 without its maps."""

    def read(name: str) -> dict[str, tuple[int, ...]]:
        path = sample_data.parent / "reference" / "checkpoints"
        if not path.is_dir():
            pytest.skip(f"no listings of the public checkpoints at {path}")
        if name != "motionlcm_v1":
            return published.read_listing(sample_data, name)
        found = published.read_listing(sample_data, "motionlcm_humanml3d")
        found = {name: shape for name, shape in found.items() if ".latent_p" not in name}
        return {**found, "vae.global_motion_token": (2, 256)}

    return read


@pytest.fixture(scope="session")
def make_tensors(shapes):
    """Random tensors of the names and shapes of a public checkpoint."""
    return lambda name, seed=0: published.random_tensors(shapes(name), seed)


@pytest.fixture(scope="session")
def reference():
    """The published functions on a set of tensors."""
    return published.Published
