"""What `lead train` hands to training: typed options, each mistake told where it stands."""

import shlex
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import annotated_types
import pytest

from lead.cli.config import compose
from lead.cli.next_stage import what_comes_next
from lead.cli.train_request import train_request
from lead.core.building import HOLDS
from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.training.fit import TrainerOptions
from lead.training.optimization import OptimizerOptions
from lead.training.stage import stage_class

MISSPELT = {
    "stage": ("crop_mim", "crop_min"),
    "stage.module": ("align_weihgt", "align_weight"),
    "stages.vae": ("batch_sise", "batch_size"),
    "stages.vae.module": ("kl_weigth", "kl_weight"),
    "stages.vae.optimizer": ("warmup_step", "warmup_steps"),
    "trainer": ("max_step", "max_steps"),
}


@cache
def composed(*words: str) -> dict:
    return compose("train", ["size=small", "dataset=d", "run=r", *words])


def values_of(stage: str, *words: str) -> dict:
    return deepcopy(composed(f"stage={stage}", *words))


def within(values: dict, place: str) -> dict:
    for part in place.split("."):
        values = values[part]
    return values


@pytest.mark.parametrize("place", MISSPELT)
def test_a_misspelt_option_is_told_with_its_place(place):
    wrong, meant = MISSPELT[place]
    values = values_of("vae")
    within(values, place)[wrong] = 1
    with pytest.raises(RequestError) as told:
        train_request(values)
    assert str(told.value) == f"{place}: unknown key '{wrong}', did you mean '{meant}'?"


def bounds(schema) -> list[tuple[str, object]]:
    """Each option of a schema with a number just outside one of its limits."""
    return [
        (key, getattr(limit, side) + step)
        for key, field in schema.model_fields.items()
        for limit in field.metadata
        for side, step in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0))
        if isinstance(limit, getattr(annotated_types, side.title()))
    ]


SCHEMAS = {
    **{(stage, "stage"): stage_class(stage).options_type for stage in HOLDS},
    ("vae", "stages.vae.optimizer"): OptimizerOptions,
    ("vae", "trainer"): TrainerOptions,
}
OUTSIDE = [(*place, *bound) for place, schema in SCHEMAS.items() for bound in bounds(schema)]


@pytest.mark.parametrize(("stage", "place", "key", "value"), OUTSIDE)
def test_a_number_outside_its_limits_is_told_with_its_place(stage, place, key, value):
    """Options of the stage stand in its file, the size's, or those of its module in either."""
    values = values_of(stage)
    if place == "stage":
        size = values["stages"][stage]
        for of, there in (
            ("stage.module", values["stage"]["module"]),
            (f"stages.{stage}", size),
            (f"stages.{stage}.module", size.get("module", {})),
        ):
            place = of if key in there else place
    within(values, place)[key] = value
    with pytest.raises(RequestError) as told:
        train_request(values)
    assert str(told.value).startswith(f"{place}: '{key}' takes a number ")


def test_the_size_has_the_last_word():
    values = values_of("distill")
    assert values["stage"]["module"]["w_high"] == 15.0
    options = train_request(values).options
    assert (options.w_high, options.sampling) == (4.0, "lcm4_guidance3")
    assert (options.huber_c, options.optimizer.warmup_steps) == (0.001, 50)


def test_a_run_keeps_the_values_as_they_are():
    values = values_of("vae", "vae=x", "teacher=y", "seed=3", "resume=true")
    before = deepcopy(values)
    request = train_request(values)
    assert values == before
    left_out = {"resume", "overwrite", "run", "data"}
    assert request.kept == {key: value for key, value in values.items() if key not in left_out}
    assert request.earlier == {"vae": Path("x"), "teacher": Path("y")}
    assert (request.seed, request.resume, request.run) == (3, True, Path("r"))


@pytest.mark.parametrize("stage", HOLDS)
def test_the_module_that_is_named_is_the_stages_own(stage):
    values = values_of(stage)
    for named in ("other_stage", None, "inversion"):
        values["stage"]["module"]["_target_"] = named
        with pytest.raises(RequestError, match=f"did you mean '{stage}_stage'"):
            train_request(values)


def test_a_classifier_of_nothing_is_refused():
    with pytest.raises(RequestError, match="stage: 'labels' takes at least 1 entries"):
        train_request(values_of("classifier", "stage.labels=[]"))


@pytest.mark.parametrize("stage", HOLDS)
def test_what_comes_next_repeats_what_holds_for_all_stages(stage):
    """Where the data is, of which size, with which words, machine and parts of other stages."""
    shared = ["dataset=/my data", "size=small", "text_encoder=hash", "text_encoder.dim=9"]
    shared += ["seed=3", "trainer.logger=[wandb]", "trainer.precision=fp32"]
    kinds = ("vae", "denoiser", "flow", "projector")
    parts = {f"model{mark}=x": part for part in kinds for mark in (f"/{part}", f".{part}.width")}
    own = [f"stage={stage}", "run=R", "vae=V", "teacher=T", "overwrite=true", "stage.module.x=1"]
    own += [f"stages.{stage}.batch_size=2", "trainer.max_steps=9"]
    record = SimpleNamespace(parts={part: {} for part in HOLDS[stage]})
    finished = type("Finished", (Run,), {"stage": stage, "record": record})(Path("a run"))
    verb, *words = shlex.split(what_comes_next(finished, [*own, *shared, *parts], "mix"))[1:]
    assert any(word.endswith("=a run") for word in words)
    if verb == "train":
        others = [word for word, part in parts.items() if part not in HOLDS[stage]]
        assert [word for word in words[1:-1] if word != "vae=RUN"] == [*shared, *others]
    elif verb == "evaluate":
        assert words[-1] == shared[0]
