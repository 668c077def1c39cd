"""What a verb hands down: every option of a request as it was composed, mistakes in one line."""

from dataclasses import asdict

import pytest
from pydantic import BaseModel

from lead.cli.config import compose
from lead.cli.loading import SENTENCES, request
from lead.core.errors import RequestError
from lead.export.formats import Manner
from lead.generation.loading import ModelRequest
from lead.generation.motion_model import TELLING
from lead.studies.captions import CaptionRequest
from lead.studies.clips import GenerateRequest
from lead.studies.latents import LatentsRequest
from lead.studies.pairs import PairsRequest
from lead.studies.request import EvaluateRequest
from lead.studies.words.learning import LearnRequest

REQUESTS = {
    ("generate", "sampling=lcm1_guidance3"): GenerateRequest,
    ("generate", "sampling=euler16_sink"): GenerateRequest,
    ("evaluate", "study=table4", "split=test"): EvaluateRequest,
    ("evaluate", "protocol=open", "split=val"): EvaluateRequest,
    ("caption", "beams=4"): CaptionRequest,
    ("report_latents",): LatentsRequest,
    ("report_study",): PairsRequest,
    ("invert",): LearnRequest,
    ("demo",): ModelRequest,
}


def composed(verb: str, *words: str) -> dict:
    values = compose(verb, words)
    return values | ({"kept": {}} if verb == "evaluate" else {}) | {"run": "somewhere"}


def plain(value: object) -> object:
    return value.model_dump() if isinstance(value, BaseModel) else value


@pytest.mark.parametrize(("words", "schema"), REQUESTS.items())
def test_every_option_arrives_as_it_was_composed(words, schema):
    values = composed(*words)
    more = {"manner": request(Manner, values)} if "manner" in schema.model_fields else {}
    asked = request(schema, values, **more)
    own = {name: plain(getattr(asked, name)) for name in schema.model_fields if name not in more}
    if "sampling" in values and "sampling" in own:
        drawn, wanted = asdict(own.pop("sampling")), values["sampling"]
        assert drawn | {"timesteps": None} == drawn | wanted | {"timesteps": None}
        assert [*(drawn["timesteps"] or ())] == (wanted["timesteps"] or [])
    else:
        assert own.pop("sampling", None) in (None, ModelRequest.model_fields["sampling"].default)
    for name, value in own.items():
        if name == "control":
            value = {key: dict(of) for key, of in value.items()}
        assert value == values.get(name), name  # without a study or a protocol there is no key


@pytest.mark.parametrize(("words", "schema"), REQUESTS.items())
def test_what_is_of_another_type_is_one_line(words, schema):
    values = composed(*words)
    for name in schema.model_fields:
        with pytest.raises(RequestError, match=f"'{name}' takes ") as caught:
            request(schema, values | {name: 1.5j})
        assert "\n" not in str(caught.value) and len(str(caught.value)) <= 300


def test_sentences_are_drawn_in_one_way_wherever_nobody_says_how():
    """Of `lead caption`, of `lead evaluate task=caption`, and of the model itself."""
    named = compose("caption", [f"sampling={SENTENCES}"])["sampling"]
    assert compose("caption", [])["sampling"] == named
    assert {key: asdict(TELLING)[key] for key in named} == named
