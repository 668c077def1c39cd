"""From resolved values to the LightningModule of a stage."""

import pytorch_lightning as pl

from lead.core.building import build
from lead.core.schema import check_options
from lead.training.optimization import make_optimizer


def make_stage_module(values: dict, **parts) -> pl.LightningModule:
    """The module that ``values["stage"]`` describes, with its networks and optimiser."""
    name = values["stage"]["name"]
    stage = values["stages"][name]
    optimizer = {**stage["optimizer"], "total_steps": stage["max_steps"]}
    check_options(make_optimizer, {**optimizer, "parameters": ()}, f"stages.{name}.optimizer")
    given = {**parts, "optimizer": optimizer, "seed": values["seed"]}
    return build("stage", stage_options(values), "stage.module", **given)


def stage_options(values: dict) -> dict:
    """The options of the stage's module: the stage's own, and what the size changes of them."""
    stage = values["stages"][values["stage"]["name"]]
    return {**values["stage"]["module"], **stage.get("module", {})}
