"""Running one stage: Lightning's trainer around a module, its data and its run directory."""

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytorch_lightning as pl
import torch
from pydantic import Field, model_validator
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from lead.core.errors import RequestError, WorkError
from lead.core.precision import resolve_precision
from lead.core.runs import Run
from lead.core.schema import ClosedSchema, one_of
from lead.models.blocks.quick import quicken
from lead.training.averaging import ExponentialAverage
from lead.training.csv_log import CsvLog
from lead.training.finite_loss import FiniteLoss
from lead.training.optimization import GradientClipping, Steps
from lead.training.randomness import StepSeeding
from lead.training.saving import RunSaver, WholeState
from lead.training.trainer_state import check_state

LOGGERS = ("wandb", "tensorboard")


class TrainerOptions(ClosedSchema):
    """How to run a stage; the values stand in configs/trainer."""

    max_steps: Steps
    accelerator: str = "auto"
    devices: int | str = 1
    num_nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    strategy: str = "auto"
    precision: str = "auto"  # auto: bf16 where the processor has it
    gradient_clip: Annotated[float, Field(ge=0, le=1e9)] = 1.0
    validate_every: Steps = 200
    save_every: Steps = 200
    save_seconds: Annotated[float, Field(ge=0, le=1e9)] = 300.0
    log_every: Steps = 10
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    logger: Annotated[tuple[Annotated[str, one_of(LOGGERS)], ...], Field(strict=False)] = ()
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    progress: bool = True

    @model_validator(mode="after")
    def _has_a_precision(self) -> "TrainerOptions":
        choose_precision(self.precision, self.accelerator)
        return self


class ProgressBar(TQDMProgressBar):
    """Ends its line where a training is stopped: what is said of that has a line of its own."""

    def on_exception(self, *_: object) -> None:
        """Lightning calls it for whatever ends the training early."""
        for bar in (self._val_progress_bar, self._train_progress_bar):
            if bar is not None:
                bar.close()


def fit(
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    run: Run,
    options: TrainerOptions,
    *,
    seed: int,
    resume: bool,
    begin: Callable[[], None] | None = None,
) -> Run:
    """Train to ``max_steps``; the run directory holds the best weights by validation afterwards.

    With ``resume`` the last saved state is loaded, and on one CPU process the final weights equal
    those of a run that was never stopped. ``begin`` is called when all options were accepted and
    nothing is written yet. Raises WorkError where a loss is not finite or a stop signal came.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    average, finite = ExponentialAverage(options.ema_decay), FiniteLoss()
    every = (options.save_every, options.save_seconds)
    saver = RunSaver(run, average, finite.check, *every, monitor="val/loss")
    clipping = GradientClipping(options.gradient_clip)
    callbacks: list[pl.Callback] = [average, StepSeeding(seed), finite, saver, clipping]
    if options.progress:
        callbacks.append(ProgressBar(refresh_rate=options.log_every))
    trainer = _make_trainer(run, options, callbacks)
    quicken_on_cpu(module, trainer.strategy.root_device)
    state = run.state_path if resume and run.state_path.is_file() else None
    if state:
        step = check_state(state, module, trainer)
        if step >= options.max_steps and not run.record.best:
            raise RequestError(
                f"{run.folder} is at step {step} and has no weights yet: it is not finished by "
                f"trainer.max_steps={options.max_steps}, take more"
            )
    if begin is not None:
        begin()
    if trainer.is_global_zero:
        run.update(status="running")
    accepted = inspect.signature(trainer.fit).parameters
    safely = {"weights_only": True} if "weights_only" in accepted else {}
    with warnings.catch_warnings():  # Lightning cannot know that batches are a function of the step
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable")
        trainer.fit(module, datamodule=data, ckpt_path=state, **safely)
    if trainer.is_global_zero:
        run.update(status="finished", step=trainer.global_step)
    return run


def quicken_on_cpu(module: pl.LightningModule, device: torch.device) -> None:
    """On a processor, choose the forms of layers that train faster there; else change nothing."""
    if device.type == "cpu":
        # Training attention of 49 tokens to 16 others: 20 ms without, 34 ms with it.
        torch.backends.cuda.enable_flash_sdp(False)
        quicken(module)


def _make_trainer(run: Run, options: TrainerOptions, callbacks: list[pl.Callback]) -> pl.Trainer:
    values = dict(
        max_steps=options.max_steps,
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        strategy=options.strategy,
        precision=choose_precision(options.precision, options.accelerator),
        val_check_interval=min(options.validate_every, options.max_steps),
        check_val_every_n_epoch=None,
        log_every_n_steps=options.log_every,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=options.progress,
        use_distributed_sampler=False,
        callbacks=callbacks,
        plugins=[WholeState()],
        logger=make_loggers(run.folder, options.logger),
        default_root_dir=run.folder,
    )
    try:
        return pl.Trainer(**values)
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"the trainer options do not fit this machine: {reason}") from error


def choose_precision(precision: str, accelerator: str) -> str:
    """Lightning's name of a precision; ``auto`` takes bf16 autocast where it is native."""
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    return {"fp32": "32-true", "bf16": "bf16-mixed"}[resolve_precision(precision, device)]


def make_loggers(folder: Path, names: tuple[str, ...]) -> list:
    """CSV always; wandb (offline unless a key is set) and TensorBoard where asked for."""
    loggers: list = [CsvLog(folder / "metrics.csv")]
    for name in names:
        try:
            loggers.append(_wandb(folder) if name == "wandb" else TensorBoardLogger(folder, "", ""))
        except ImportError as error:
            line = f"logger '{name}' is not installed: pip install '.[{name}]' in lead's folder"
            raise RequestError(line) from error
        except OSError as error:
            raise WorkError(f"logger '{name}' could not start: {error}") from error
    return loggers


def _wandb(folder: Path) -> WandbLogger:
    import os

    key = os.environ.get("WANDB_API_KEY") or (Path.home() / ".netrc").is_file()
    return WandbLogger(name=folder.name, save_dir=folder, project="lead", offline=not key)
