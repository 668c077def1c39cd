"""A micro dataset and micro options, so that a stage trains in about a second."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lead.cli.config import compose
from lead.cli.train_request import train_request
from lead.core.reading import read_tensors
from lead.core.runs import Run
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource
from lead.training.optimization import GradientClipping
from lead.training.stages import train_stage

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

EARLIER = {
    **{"vae": (), "diffusion": ("vae",), "projector": ("diffusion",)},
    **{"autoencoder": (), "flow": ("autoencoder",)},
}
"""The stages in order, with the earlier runs that each one names."""

MakeValues = Callable[..., dict]


class Micro(CmuOpenSource):
    """A few of the motions that come with lead, in splits of our own."""

    def list_items(self):
        splits = ["train"] * 18 + ["val"] * 3 + ["test"] * 3
        items = super().list_items()
        assert len(items) == len(splits)
        return [replace(item, split=split) for item, split in zip(items, splits, strict=True)]


@pytest.fixture(scope="session")
def micro_dataset(tmp_path_factory) -> Path:
    """A packed dataset of 18 training, 3 validation and 3 test clips."""
    folder = tmp_path_factory.mktemp("datasets") / "micro"
    pack(Micro(clips=24), folder, workers=1)
    return folder


@pytest.fixture(scope="session")
def micro_words(micro_dataset) -> Callable[..., list[str]]:
    """The options of one stage, as they are written after `lead train`."""

    def words(stage: str, run: Path, *overrides: str) -> list[str]:
        return [
            *(f"stage={stage}", *MICRO, f"dataset={micro_dataset}", f"run={run}"),
            *(f"stages.{stage}.batch_size=4", f"stages.{stage}.max_steps={STEPS}"),
            *(f"stages.{stage}.validate_every=3", *overrides),
        ]

    return words


@pytest.fixture(scope="session")
def make_values(micro_words) -> MakeValues:
    """Resolved values of one stage, as `lead train` hands them to training."""

    def make(stage: str, run: Path, *overrides: str) -> dict:
        values = compose("train", micro_words(stage, run, *overrides))
        del values["data"]
        return values

    return make


@pytest.fixture(scope="session")
def train_chain(make_values, tmp_path_factory) -> Callable[..., dict[str, Path]]:
    """Run folders of stages, trained without a stop; once for each set of options.

    ``stages`` are those that a test needs, with the ones they stand on; without it all.
    """
    chains: dict[tuple[str, ...], tuple[Path, dict[str, Path]]] = {}

    def train(*overrides: str, stages: Iterable[str] = tuple(EARLIER)) -> dict[str, Path]:
        own = tuple(option for option in overrides if option not in MICRO)
        if own not in chains:
            chains[own] = tmp_path_factory.mktemp("chain"), {}
        folder, trained = chains[own]
        for stage in stages:
            train(*own, stages=EARLIER[stage])
            if stage not in trained:
                names = [f"{name}={folder / name}" for name in EARLIER[stage]]
                train_stage(train_request(make_values(stage, folder / stage, *names, *own)))
                trained[stage] = folder / stage
        return trained

    return train


@pytest.fixture
def at_step(monkeypatch) -> Callable[[int, Callable[[], None]], None]:
    """Have something happen when a training step begins, after what is due then was saved."""

    def arrange(step: int, action: Callable[[], None]) -> None:
        begin = GradientClipping.on_train_batch_start

        def on_train_batch_start(self, trainer, *arguments):
            begin(self, trainer, *arguments)
            if trainer.global_step == step:
                action()

        monkeypatch.setattr(GradientClipping, "on_train_batch_start", on_train_batch_start)

    return arrange


@pytest.fixture(scope="session")
def assert_same_run() -> Callable[[Path, Path], None]:
    """Fail unless two runs ended in the same bits: weights, trainer state, log and best step."""

    def check(one: Path, other: Path) -> None:
        files = sorted(path.name for path in (one / "weights").iterdir())
        assert files == sorted(path.name for path in (other / "weights").iterdir())
        for name in files:
            assert_same(
                read_tensors(one / "weights" / name), read_tensors(other / "weights" / name)
            )
        assert_same(*(trainer_state(folder) for folder in (one, other)))
        assert Run(one).record.best == Run(other).record.best
        assert Run(one).record.status == Run(other).record.status == "finished"
        assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()

    return check


def trainer_state(folder: Path) -> dict:
    """What the trainer keeps, but for its own counters of epochs and calls."""
    state = torch.load(Run(folder).state_path, weights_only=True)
    kept = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step")
    return {key: state[key] for key in kept}


def assert_same(one: object, other: object, where: str = "state") -> None:
    """Equality to the last bit, through dictionaries and lists."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{place}]")
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other), where
    else:
        assert one == other, where
