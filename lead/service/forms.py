"""What may be asked for, one schema a form."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, create_model

from lead.core.errors import RequestError
from lead.core.reading import parse_json, plain_text
from lead.core.schema import ClosedSchema, check
from lead.generation import Sampling
from lead.models.text_encoders.learned_words import check_spelling

SECONDS = 4.0  # of a clip where a request says nothing, if the model can
TEXT_MOST = 500  # characters of a sentence


def _sentence(name: str, example: str, text: str) -> str:
    """The text on one line; RequestError where nothing is left of it or no screen shows it."""
    text = " ".join(plain_text(name, text, most=TEXT_MOST).split())
    if not text:
        raise RequestError(f"{name} is empty: give one, such as {example}")
    if not text.isprintable():
        raise RequestError(f"{name} must be plain text without control characters")
    return text


def _shown_name(name: str) -> str:
    """The last part of a file name, printable and short."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[-80:] or "upload.bvh"


def _text(name: str, example: str, meaning: str) -> Any:
    limits = {"minLength": 1, "maxLength": TEXT_MOST}
    facts = Field(examples=[example], description=meaning, json_schema_extra=limits)
    return Annotated[str, facts, AfterValidator(partial(_sentence, name, example))]


Guidance = Annotated[float, Field(ge=0, le=30, description="higher keeps closer to the words")]
Steps = Annotated[int, Field(ge=1, le=1000, description="of the sampler")]
Side = Literal["on", "off", "both"]


class Form(ClosedSchema):
    """What may be asked for: these fields, each of its type, and no others."""

    model_config = ConfigDict(allow_inf_nan=False)


class ClipForm(Form):
    """One clip to generate, or two of the same latent: with the projector and without."""

    text: _text("text", "a person walks forward", "the sentence; learned words as <zombie>")
    seconds: float = Field(SECONDS, description="length of the clip")
    seed: int = Field(1, ge=0, le=2**53 - 1, description="same sentence and seed: same motion")
    guidance: Guidance = 7.5
    steps: Steps = 50
    projector: Side = "on"
    joints: bool = Field(False, description="answer with the joints' places")
    wait: bool = Field(True, description="answer when the clip is there; false: at once")


class WordForm(Form):
    """One word to learn from an uploaded BVH file."""

    word: Annotated[_text("word", "<zombie>", "the new word"), AfterValidator(check_spelling)]
    init: _text("init", "walk", "the plain word that it begins as")
    means: Literal["manner", "motion"] = Field(
        "manner", description="manner: a <word> person waves; motion: a person <word>"
    )
    file: Annotated[str, AfterValidator(_shown_name)] = Field(
        "upload.bvh", description="what messages call the upload; no file gets this name"
    )
    wait: bool = Field(True, strict=False, description="answer when it is learned; false: at once")


class CaptionForm(Form):
    """Sentences about an uploaded motion, a BVH file or a motion file (npz)."""

    count: int = Field(1, ge=1, le=10, strict=False, description="sentences, of seeds seed, ...")
    seed: int = Field(1, ge=0, le=2**53 - 1, strict=False)
    file: Annotated[str, AfterValidator(_shown_name)] = Field(
        "upload.bvh", description="what messages call the upload; no file gets this name"
    )
    wait: bool = Field(True, strict=False, description="answer when they are written")


class LookForm(Form):
    """To see where a motion that was generated looks among its words."""

    wait: bool = Field(True, description="answer when the picture is there; false: at once")


class Settings(Form):
    """Where the server listens and what it takes; ``names`` are hosts that it is called by."""

    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)
    names: list[str] = []
    upload_mb: float = Field(10.0, gt=0, le=1000)
    waiting: int = Field(8, ge=1)  # requests in line
    kept: int = Field(20, ge=1)  # results that can still be looked at
    examples: list[str] = []  # sentences to begin with
    licence: str = ""  # of the data that the model was trained on

    @property
    def upload_bytes(self) -> int:
        """Largest upload."""
        return round(self.upload_mb * 1e6)


def clip_form(model, sampling: Sampling) -> type[ClipForm]:
    """The form of one model, with its limits and with what it does where a request says nothing."""

    def check_side(side: str) -> str:
        if side != "off" and not model.can("project"):
            raise RequestError('the model has no projector: ask for "projector": "off"')
        return side

    shortest, longest = (frames / model.fps for frames in model.frame_limits)
    usual = min(max(SECONDS, math.ceil(shortest * 10) / 10), longest)
    steps = sampling.steps if sampling.timesteps is None else len(sampling.timesteps)
    side = "on" if model.can("project") else "off"
    return create_model(
        "Clip",
        __base__=ClipForm,
        __doc__=ClipForm.__doc__,
        seconds=(float, Field(usual, ge=shortest, le=longest, description="length of the clip")),
        guidance=(Guidance, sampling.guidance_scale),
        steps=(Steps, steps),
        projector=(Annotated[Side, AfterValidator(check_side)], side),
    )


F = TypeVar("F", bound=Form)


def fill(form: type[F], values: bytes | Mapping[str, str]) -> F:
    """The form that a JSON object or a query fills in; RequestError for what does not fit."""
    try:
        given = parse_json(values) if isinstance(values, bytes) else values
    except ValueError as error:
        raise RequestError(f"the body is not valid JSON ({error}): correct it") from error
    return check(form, given, "the request", "GET /openapi.json describes it", error=RequestError)
