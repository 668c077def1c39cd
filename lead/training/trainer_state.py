"""The state that a training resumes from, held against the training before anything is changed."""

from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from pydantic import Field, ValidationError
from torch import Tensor

from lead.core.errors import WorkError
from lead.core.freezing import trainable_parameters
from lead.core.reading import check_regular
from lead.core.schema import Count, Finite, Schema, first_mistake


class OptimizerState(Schema):
    """AdamW's moments by parameter, and the settings of its one group."""

    state: dict[Count, dict[str, Any]]
    param_groups: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1)]


class SchedulerState(Schema):
    """Where the learning rate stands."""

    last_epoch: Count
    base_lrs: Annotated[list[Finite], Field(min_length=1, max_length=1)]
    lr_lambdas: Annotated[list[None], Field(min_length=1, max_length=1)]


class TrainerState(Schema):
    """What Lightning saves of a training, as far as resuming reads it."""

    global_step: Count
    state_dict: dict[str, Any]
    loops: dict[str, Any]
    callbacks: dict[str, dict[str, Any]]
    optimizer_states: Annotated[list[OptimizerState], Field(min_length=1, max_length=1)]
    lr_schedulers: Annotated[list[SchedulerState], Field(min_length=1, max_length=1)]


def check_state(path: Path, module: pl.LightningModule, trainer: pl.Trainer) -> int:
    """The step of a file that is a whole state of this training; nothing in it is executed.

    Raises WorkError for any other.
    """
    try:
        content = torch.load(check_regular(path), map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # zip, pickle and tensors each fail in their own way
        raise WorkError(f"{path} is broken: start again with overwrite=true") from error
    check_content(content, path, module, trainer)
    return content["global_step"]


def check_content(
    content: object, path: Path, module: pl.LightningModule, trainer: pl.Trainer
) -> None:
    """WorkError unless this, as it was read from ``path``, is a whole state of this training."""
    try:
        _compare(TrainerState.model_validate(content), module, trainer)
    except ValidationError as problem:
        raise _foreign(path, first_mistake(TrainerState, problem)) from problem
    except ValueError as error:
        raise _foreign(path, str(error)) from error


def _foreign(path: Path, reason: str) -> WorkError:
    return WorkError(f"{path} is no state of this training ({reason}): overwrite=true starts again")


def _compare(state: TrainerState, module: pl.LightningModule, trainer: pl.Trainer) -> None:
    """ValueError says what differs from the state that this training would save."""
    _same_form(trainer.fit_loop.state_dict(), state.loops.get("fit_loop"), "loops.fit_loop")
    _same_tensors(module.state_dict(), state.state_dict, "state_dict")
    for callback in trainer.callbacks:
        if own := callback.state_dict():
            kept = state.callbacks.get(callback.state_key)
            _same_form(own, kept, f"callbacks.{callback.state_key}")
    averaged = state.callbacks.get("ExponentialAverage", {})
    _same_tensors(trainable_parameters(module), averaged, "callbacks.ExponentialAverage")
    _same_optimizer(module.configure_optimizers()["optimizer"], state.optimizer_states[0])


def _same_optimizer(own: torch.optim.Optimizer, state: OptimizerState) -> None:
    settings, given = own.state_dict()["param_groups"][0], state.param_groups[0]
    for key in ("params", "betas", "eps", "weight_decay", "amsgrad", "maximize"):
        if given.get(key) != settings[key]:
            raise ValueError(f"'param_groups.{key}' is another")
    _same_form(settings["lr"], given.get("lr"), "param_groups.lr")
    if not state.state:
        raise ValueError("the optimiser's state is empty")
    for place, moments in state.state.items():
        if place not in settings["params"]:
            raise ValueError(f"moments of a parameter {place} that there is not")
        like = own.param_groups[0]["params"][place]
        wanted = {"step": torch.zeros(()), "exp_avg": like, "exp_avg_sq": like}
        _same_tensors(wanted, moments, f"moments of parameter {place}")


def _same_tensors(own: dict[str, Tensor], given: dict[str, Any], where: str) -> None:
    if own.keys() != given.keys():
        odd = sorted(map(str, own.keys() ^ given.keys()))
        raise ValueError(f"{where} does not fit the model in {len(odd)} names, first {odd[0]:.60}")
    for name, tensor in own.items():
        if not isinstance(given[name], Tensor) or given[name].shape != tensor.shape:
            raise ValueError(f"{where}.{name} is no tensor of shape {tuple(tensor.shape)}")


def _same_form(own: object, given: object, where: str) -> None:
    """The same keys in the same order of nesting, and numbers of the same kinds in the same places.

    Further keys do no harm: later versions of Lightning may have some.
    """
    if isinstance(own, dict):
        if not isinstance(given, dict):
            raise ValueError(f"no '{where}'")
        for key, value in own.items():
            _same_form(value, given.get(key), f"{where}.{key}")
    elif type(own) is not type(given) or (type(own) is int and given < -1):
        raise ValueError(f"'{where}' takes a {type(own).__name__}")
