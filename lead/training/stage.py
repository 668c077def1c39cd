"""What a stage is: typed options, a LightningModule, and how one training of it is set up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pytorch_lightning as pl
from torch import Tensor, nn

from lead.core.building import HOLDS, NETWORKS, find_class
from lead.core.errors import RequestError, did_you_mean
from lead.core.files import write_tensors
from lead.core.freezing import trainable_parameters
from lead.core.schema import ClosedSchema
from lead.core.sizes import Some
from lead.data.packed import PackedDataset
from lead.representation.normalizer import Normalizer
from lead.training.datamodule import StepDataModule
from lead.training.fit import TrainerOptions
from lead.training.losses import check_finite
from lead.training.optimization import OptimizerOptions, Steps, make_optimizer
from lead.training.randomness import StepDraws, step_draws, validation_draws

Description = Mapping[str, Any]
"""How a part is built, see lead.core.building; it stands in run.json as it is."""


class StageOptions(ClosedSchema):
    """What every stage takes; each adds its own, with its types and limits.

    The values stand in configs/stage, configs/size and configs/train.yaml.
    """

    batch_size: Some = 64
    max_steps: Steps = 1000  # where a cosine ends
    validate_every: Steps = 200  # configs/trainer has it from here
    optimizer: OptimizerOptions = OptimizerOptions()


Own = TypeVar("Own", bound=StageOptions)


@dataclass(frozen=True)
class TrainRequest(Generic[Own]):
    """One training, as it was asked for.

    ``models`` are descriptions by part, ``earlier`` the runs that it stands on, by the option that
    names them, ``init`` the run whose weights it starts from. ``kept`` is what config.yaml and
    run.json hold of it, read by nobody below.
    """

    stage: str
    options: Own
    trainer: TrainerOptions
    run: Path
    dataset: Path
    seed: int
    size: str
    models: Mapping[str, Description]
    text_encoder: Description
    earlier: Mapping[str, Path]
    kept: Mapping[str, Any]
    init: Path | None = None
    resume: bool = False
    overwrite: bool = False


class Stage(pl.LightningModule):
    """Base of all stages: a training that knows its options, its parts and its optimiser."""

    options_type: ClassVar[type[StageOptions]]
    purpose: ClassVar[str] = ""  # names the random numbers of its training steps

    def __init__(self, options: StageOptions, seed: int):
        super().__init__()
        self.options, self.seed = options, seed

    @classmethod
    def set_up(cls, request: TrainRequest, dataset: PackedDataset) -> "Prepared":
        """All that a training needs; nothing is written yet but caches of the data set.

        torch's generator is seeded for the weights when this is called. Raises RequestError for
        what does not fit: an earlier run, the data, options that do not go together.
        """
        raise NotImplementedError

    def losses(self, batch: Any, index: int | None) -> dict[str, Tensor]:
        """What a batch loses: "loss", and whatever else is logged beside it, by name.

        ``index`` is None in a training step, else that of a validation batch.
        """
        raise NotImplementedError

    def draws(self, index: int | None) -> StepDraws:
        """The random numbers of such a batch; those of validation are equal every time."""
        return step_draws(self, self.purpose) if index is None else validation_draws(self, index)

    def on_fit_start(self) -> None:
        """Lightning moves only what it can see."""
        if hasattr(self, "schedule"):
            self.schedule = self.schedule.beside(self.device)

    def training_step(self, batch: Any, _index: int) -> Tensor:
        """One optimisation step."""
        terms, rows = self.losses(batch, None), len(batch.ids)
        logged = {f"train/{name}": value for name, value in terms.items()}
        self.log_dict(logged, batch_size=rows, sync_dist=True)
        self.log("loss", terms["loss"], prog_bar=True, logger=False, batch_size=rows)
        return terms["loss"]

    def validation_step(self, batch: Any, index: int) -> None:
        """The same for a validation batch; WorkError where its loss is not finite."""
        terms = self.losses(batch, index)
        check_finite(terms["loss"], self.global_step, batch.ids)
        logged = {f"val/{name}": value for name, value in terms.items()}
        self.log_dict(logged, batch_size=len(batch.ids))

    def parts(self) -> dict[str, nn.Module]:
        """What a run keeps of this stage: the networks that are called like a part."""
        return {name: part for name, part in self.named_children() if name in NETWORKS}

    def configure_optimizers(self) -> dict:
        """AdamW over all that is not frozen."""
        learned = trainable_parameters(self).values()
        return make_optimizer(learned, self.options.optimizer, self.options.max_steps)


@dataclass(frozen=True)
class Prepared:
    """A training that can begin.

    ``record`` is what run.json says of it: parts, parents, text encoder, ... ``keep`` writes what
    the run keeps beside its weights, called once when it begins.
    """

    module: Stage
    data: StepDataModule
    record: dict[str, Any]
    keep: Callable[[], None] = lambda: None


def keep_statistics(run: Path, statistics: Normalizer, name: str = "normalizer") -> None:
    """Write how motions, or latents, were normalised beside the weights of a run."""
    write_tensors(run / "weights" / f"{name}.safetensors", statistics.state_dict())


def stage_class(name: str) -> type[Stage]:
    """The stage of a name; RequestError for a name that there is not."""
    if name not in HOLDS:
        raise RequestError(f"unknown stage '{name}': {did_you_mean(name, HOLDS)}")
    return find_class("stage", f"{name}_stage")
