"""From the composed values of `lead train` to what training takes; every mistake is one line."""

from collections.abc import Mapping
from inspect import isclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lead.core.building import HOLDS
from lead.core.errors import RequestError
from lead.core.schema import S, first_mistake, shown, worst
from lead.training.fit import TrainerOptions
from lead.training.stage import StageOptions, TrainRequest, stage_class

EARLIER = (*HOLDS, "teacher")
"""Options that name an earlier run, where they are there."""

NOT_KEPT = ("resume", "overwrite", "run", "data")
"""Of the values: where a run stands, whether it resumes, and which entry ``dataset`` came from."""


def train_request(values: Mapping[str, Any]) -> TrainRequest:
    """The training that ``values`` (configs/train.yaml) ask for.

    Raises RequestError for options that the stage or the trainer does not have, or not so.
    """
    name = values["stage"]["name"]
    return TrainRequest(
        stage=name,
        options=_stage_options(stage_class(name).options_type, name, values),
        trainer=_read(TrainerOptions, {"trainer": values["trainer"]}),
        run=Path(values["run"]),
        dataset=Path(values["dataset"]),
        seed=values["seed"],
        size=values["size_name"],
        models=values["model"],
        text_encoder=values["text_encoder"],
        earlier={key: Path(values[key]) for key in EARLIER if values.get(key)},
        kept={key: value for key, value in values.items() if key not in NOT_KEPT},
        init=None if values["init"] is None else Path(values["init"]),
        resume=values["resume"],
        overwrite=values["overwrite"],
    )


def _stage_options(schema: type[StageOptions], name: str, values: Mapping) -> StageOptions:
    """The options of a stage, from its own file and from the size, which has the last word."""
    own, sized = dict(values["stage"]), dict(values["stages"][name])
    module, changes = dict(own.pop("module")), sized.pop("module", {})
    del own["name"]
    if (target := module.pop("_target_", None)) != f"{name}_stage":
        raise RequestError(
            f"stage.module: no stage is called {shown(target)} here: did you mean '{name}_stage'?"
        )
    size = f"stages.{name}"
    return _read(
        schema, {"stage": own, "stage.module": module, size: sized, f"{size}.module": changes}
    )


def _read(schema: type[S], places: Mapping[str, Mapping[str, Any]]) -> S:
    """The options that stand in several places, the last of which has the last word."""
    where = {key: place for place, options in places.items() for key in options}
    given = {key: places[place][key] for key, place in where.items()}
    for key, field in schema.model_fields.items():
        inner = field.annotation
        if isclass(inner) and issubclass(inner, BaseModel) and isinstance(given.get(key), dict):
            given[key] = _read(inner, {f"{where[key]}.{key}": given[key]})
    try:
        return schema.model_validate(given)
    except ValidationError as problem:
        key = (*worst(problem)["loc"], "")[0]
        place = where.get(key, next(iter(places)))
        raise RequestError(f"{place}: {first_mistake(schema, problem)}") from problem
