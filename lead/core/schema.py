"""One schema for each kind of file or request from outside: reading gives an object or one line."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import pydantic
from pydantic import AfterValidator, ConfigDict, Field

from lead.core.errors import LeadError, RequestError, WorkError, did_you_mean
from lead.core.reading import SENTENCE_CHARACTERS, read_json

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Rate = Annotated[float, Field(ge=0.1, le=1000)]
"""Frames a second."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]


def _within(name: str) -> str:
    if not all(re.fullmatch(r"\w[^\0]*", part) for part in name.split("/")):
        raise ValueError("names of files here, without '..', are expected")
    return name


Sentence = Annotated[str, Field(max_length=SENTENCE_CHARACTERS)]

FileName = Annotated[Name, AfterValidator(_within)]
"""Of a file beside or below the one that names it, so that nothing else is opened."""


class Schema(pydantic.BaseModel):
    """What one kind of file holds. Types are taken strictly, unknown keys are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", protected_namespaces=())


class ClosedSchema(Schema):
    """The same for what people write by hand: an unknown key is a mistake, and is told."""

    model_config = ConfigDict(extra="forbid")


S = TypeVar("S", bound=pydantic.BaseModel)


def read_file(
    schema: type[S],
    path: Path | str,
    advice: str,
    *,
    load: Callable[[Path], Any] | None = None,
    error: type[LeadError] = WorkError,
) -> S:
    """The object that a JSON file (or one that ``load`` reads) holds.

    Raises ``error`` with file, key, what is wanted and ``advice``, such as "prepare it again".
    """
    value = load(Path(path)) if load else read_json(path, advice=advice)
    return check(schema, value, str(path), advice, error=error)


def check(
    schema: type[S],
    value: object,
    where: str,
    advice: str,
    *,
    error: type[LeadError] = WorkError,
) -> S:
    """``value`` as an object of ``schema``; ``error`` says in one line what does not fit."""
    try:
        return schema.model_validate(value)
    except pydantic.ValidationError as problem:
        raise error(f"{where}: {first_mistake(schema, problem)}: {advice}") from problem


def check_options(make: Callable, options: Mapping, where: str) -> dict[str, Any]:
    """``options`` as the parameters of ``make`` take them, by their types and limits.

    Raises RequestError for what is unknown, missing, of another type or out of its limits. What
    ``Annotated[int, Field(ge=1)]`` says of a parameter is its one limit, wherever it comes from.
    """
    schema = _options_of(make)
    try:
        checked = schema.model_validate(dict(options))
    except pydantic.ValidationError as problem:
        raise RequestError(f"{where}: {first_mistake(schema, problem)}") from problem
    return {name: getattr(checked, name) for name in checked.model_fields_set}


@cache
def _options_of(make: Callable) -> type[pydantic.BaseModel]:
    source = make.__init__ if inspect.isclass(make) else make
    types = get_type_hints(source, include_extras=True)
    fields = {
        name: (types.get(name, Any), ... if given.default is given.empty else given.default)
        for name, given in inspect.signature(make).parameters.items()
    }
    return pydantic.create_model(make.__name__, __config__=_OPTIONS, **fields)


_OPTIONS = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)


def one_of(known: Iterable[str]) -> AfterValidator:
    """The limit of a text that has to be one of these names."""

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"unknown '{name:.60}', {did_you_mean(name, known)}")
        return name

    return AfterValidator(check)


def worst(problem: pydantic.ValidationError) -> Any:
    """The mistake that is told: the first key that is misspelt, not one that is then missing."""
    return min(problem.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")


def first_mistake(schema: type[pydantic.BaseModel], problem: pydantic.ValidationError) -> str:
    """The first mistake in words: which key, what it takes, what it holds."""
    found = worst(problem)
    key = ".".join(f"{part:.40}" if isinstance(part, str) else str(part) for part in found["loc"])
    kind, context = found["type"], found.get("ctx", {})
    if kind == "missing":
        return f"it has no '{key}'"
    if kind in ("extra_forbidden", "invalid_key"):
        known = schema.model_fields if len(found["loc"]) == 1 else ()
        return (
            f"unknown key '{key}', {did_you_mean(str(found['loc'][-1]), known)}"
            if known
            else f"unknown key '{key}'"
        )
    if kind in ("value_error", "assertion_error"):
        reason = str(context.get("error", found["msg"]))
        return f"'{key}': {reason}" if key else reason
    wanted = found["msg"].removeprefix("Input should be ")
    if kind in _WANTED:
        wanted = _WANTED[kind].format(**context)
    if kind.startswith(("greater_than", "less_than")):
        wanted = f"a number {wanted}"
    return f"'{key}' takes {wanted}, got {shown(found['input'])}" if key else f"{wanted} expected"


def shown(value: object) -> str:
    """A value from outside as messages show it: short, on one line, whatever it is."""
    if isinstance(value, dict | list | tuple):
        kind = "an object" if isinstance(value, dict) else "a list"
        return f"{kind} of {len(value)}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of many digits"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_WANTED = {
    "string_type": "a text",
    "string_unicode": "a text in UTF-8",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "an object of keys and values",
    "model_type": "an object of keys and values",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
}
