"""From resolved values to the LightningModule of a stage."""

import pytorch_lightning as pl

from lead.core.building import build
from lead.training.optimization import check_optimizer


def make_stage_module(values: dict, **parts) -> pl.LightningModule:
    """The module that ``values["stage"]`` describes, with its networks and optimiser."""
    stage = values["stages"][values["stage"]["name"]]
    check_optimizer(**stage["optimizer"])
    schedule = {**stage["optimizer"], "total_steps": stage["max_steps"]}
    return build({**stage_options(values), "optimizer": schedule, "seed": values["seed"]}, **parts)


def stage_options(values: dict) -> dict:
    """The options of the stage's module: the stage's own, and what the size changes of them."""
    stage = values["stages"][values["stage"]["name"]]
    return {**values["stage"]["module"], **stage.get("module", {})}
