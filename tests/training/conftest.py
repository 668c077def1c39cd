"""A micro dataset and micro options, so that a stage trains in about a second."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lead.cli.config import compose
from lead.data.packing import pack
from lead.data.sources.synthetic import SyntheticSource

STEPS = 7
PARTS = ("vae", "denoiser", "projector")
MICRO = (
    *("size=tiny", "text_encoder=hash", "text_encoder.dim=12"),
    *(f"model.{part}.latent_dim=8" for part in PARTS),
    *(f"model.{part}.width=16" for part in PARTS),
    *(f"model.{part}.feed_forward=24" for part in PARTS),
    *("trainer.progress=false", "trainer.accelerator=cpu", "trainer.threads=1"),
    *("trainer.precision=fp32", "trainer.log_every=1", "trainer.save_every=2"),
)
"""18 clips in batches of 4: training crosses the epoch's end at step 4, validates at 3 and 6."""

MakeValues = Callable[..., dict]


@pytest.fixture(scope="session")
def micro_dataset(tmp_path_factory) -> Path:
    """A packed dataset of 18 training, 3 validation and 3 test clips."""
    folder = tmp_path_factory.mktemp("datasets") / "micro"
    splits = {"train": 0.75, "val": 0.125, "test": 0.125}
    pack(SyntheticSource(clips=24, splits=splits), folder, workers=1)
    return folder


@pytest.fixture(scope="session")
def make_values(micro_dataset) -> MakeValues:
    """Resolved values of one stage, as `lead train` hands them to training."""

    def make(stage: str, run: Path, *overrides: str) -> dict:
        steps = (
            *(f"stages.{stage}.batch_size=4", f"stages.{stage}.max_steps={STEPS}"),
            *(f"stages.{stage}.validate_every=3", f"dataset={micro_dataset}", f"run={run}"),
        )
        values = compose("train", [f"stage={stage}", *MICRO, *steps, *overrides])
        del values["data"]
        return values

    return make
