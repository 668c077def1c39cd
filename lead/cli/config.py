"""From ``key=value`` words to a plain dictionary; every mistake in them is one line."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lead.cli.paths import config_folder
from lead.core.errors import RequestError, did_you_mean

SENTENCES = ("text", "word", "init", "data.template", "data.licence")
PATHS = (
    *("prompts", "source", "output", "dataset", "run", "vae", "diffusion", "projector", "motion"),
    *("evaluator", "classifier", "words", "motions", "actions", "concepts", "teacher", "distilled"),
    *("checkpoint", "mean", "std", "sentences"),
    *("sweep", "plot", "data.captions", "data.skeleton_map", "data.cache", "text_encoder.path"),
)
"""Options of both kinds are taken as they are: commas, quotes and brackets need no escaping."""

NULLABLE = (
    *("text_encoder.package", "text_encoder.hub", "text_encoder.sha256"),
    *("model.schedule.beta_start", "model.schedule.beta_end", "sampling.timesteps"),
)
"""Options that have a value in the YAML files and may be set to null; others keep their type."""

WORDS_FOR_NUMBERS = {"trainer.devices": ("auto",)}

_OPTION = re.compile(r"([A-Za-z_]\w*(?:[./]\w+)*)=(.*)", re.DOTALL)


def compose(name: str, overrides: Sequence[str]) -> dict:
    """Compose ``configs/NAME.yaml`` with overrides; RequestError for anything that does not fit.

    A value has to be of the type of the one that it replaces; where that is null, any type goes
    and the verb checks it.
    """
    options = [_split(word) for word in overrides]
    groups = [f"{key}={_choose(key, value)}" for key, value in options if _is_group(key)]
    config = _hydra(name, groups)
    default = _plain(config)
    known = dict(_walk(default))
    values: dict[str, object] = {}
    free: dict[str, str | None] = {}
    for key, value in options:
        if key in known and key in SENTENCES + PATHS:
            free[key] = _free(key, value)
        elif not _is_group(key):
            if key not in known:
                raise _unknown(key, name, known)
            if isinstance(known[key], dict) and not value.startswith("{"):
                raise RequestError(f"{key} takes several values: write {key}.NAME=VALUE")
            values[key] = _parsed(key, value)
    plain = _with_types_of(default, _plain(config, values), [*values])
    for key, value in free.items():
        _put(plain, key, value)
    return plain


def choice(overrides: Sequence[str], group: str, default: str) -> str:
    """Which entry of a group the overrides choose."""
    chosen = [word.partition("=")[2] for word in overrides if word.startswith(f"{group}=")]
    return chosen[-1] if chosen else default


def _split(word: str) -> tuple[str, str]:
    match = _OPTION.fullmatch(word)
    if match is None:
        raise RequestError(f"'{word}' is not an option: write key=value")
    return match.group(1), match.group(2)


def _is_group(key: str) -> bool:
    return "." not in key and (config_folder() / key).is_dir()


def _choose(group: str, value: str) -> str:
    choices = [path.stem for path in (config_folder() / group).glob("*.yaml")]
    if not choices:
        inner = sorted(path.name for path in (config_folder() / group).iterdir())
        raise RequestError(f"'{group}' is a group of options: set {group}.{inner[0]}.KEY=VALUE")
    if value not in choices:
        raise RequestError(f"unknown {group} '{value}': {did_you_mean(value, choices)}")
    return value


def _parsed(key: str, value: str) -> object:
    """The value as Hydra's grammar reads it; RequestError where it does not."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    word = f"{key}={value}"
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException as error:
        raise RequestError(
            f"cannot read the value of {key} in '{word}': close its brackets and quotes, or put "
            f"it in quotes, {key}=\"'...'\""
        ) from error
    if override.is_sweep_override():
        raise RequestError(f"'{word}' gives several values: give one, or a list, {key}=[A,B]")
    return override.value()


def _hydra(name: str, groups: Sequence[str]):
    """The verb's values, with the chosen entries of its groups."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import ConfigCompositionException

    try:
        with initialize_config_dir(config_dir=str(config_folder()), version_base="1.3"):
            return hydra_compose(name, list(groups))
    except ConfigCompositionException as error:
        unknown = re.search(r"Could not override '([^']+)'", str(error))
        if unknown is None:
            raise
        known = dict(_walk(_plain(_hydra(name, ()))))
        raise _unknown(unknown.group(1), name, known) from error


def _plain(config, changes: Mapping[str, object] | None = None) -> dict:
    """A dictionary of the values, some of them changed and what refers to them filled in."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        for key, value in (changes or {}).items():
            OmegaConf.update(config, key, value)
        return OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        reason = " ".join(str(error).split()).partition(" full_key:")[0]
        raise RequestError(f"the options do not fit together: {reason}") from error


def _unknown(key: str, name: str, known: Iterable[str]) -> RequestError:
    hint, verb = did_you_mean(key, known), name.replace("_", " ")
    if hint.startswith("known"):
        hint = f"see `lead {verb} --help`"
    return RequestError(f"unknown option '{key}' of `lead {verb}`: {hint}")


def _walk(values: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every dotted key with its value."""
    for key, value in values.items():
        yield prefix + key, value
        if isinstance(value, dict):
            yield from _walk(value, f"{prefix}{key}.")


def _put(config: dict, key: str, value: str | None) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        config = config[parent]
    config[last] = value


def _free(key: str, value: str) -> str | None:
    if value == "null":
        return None
    if not value and key not in SENTENCES:
        raise RequestError(f"{key}= is empty: name one, or leave {key} out")
    if key in PATHS and value.startswith("~"):
        try:
            return str(Path(value).expanduser())
        except RuntimeError as error:  # ~NAME of nobody here
            raise RequestError(
                f"{key}={value} names nobody's home here: write the whole path"
            ) from error
    return value


def _with_types_of(default: dict, config: dict, written: Sequence[str]) -> dict:
    """``config`` with whole numbers and words as in ``default``; RequestError for other types."""
    problems: dict[str, str] = {}
    typed = _typed("", default, config, problems)
    if problems:
        key = next((key for key in written if key in problems), next(iter(problems)))
        raise RequestError(f"{key} takes {problems[key]}")
    return typed


def _typed(key: str, default: object, value: object, problems: dict[str, str]) -> object:
    """``value`` in the type of ``default``; what does not fit is noted under its key."""
    if isinstance(default, dict) and isinstance(value, dict):
        prefix = f"{key}." if key else ""
        return {
            name: _typed(prefix + name, default.get(name), entry, problems)
            for name, entry in value.items()
        }
    if default is None or value in WORDS_FOR_NUMBERS.get(key, ()):
        return value
    if value is None and key in NULLABLE:
        return None
    counts = isinstance(default, list) and default and all(type(word) is int for word in default)
    fits, wanted, convert = _NUMBERS if counts else _KINDS[type(default)]
    if not fits(value):
        problems[key] = f"{wanted.format(key=key)}, got {_shown(value)}"
        return value
    return convert(value)


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else f"{value!r:.80}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_word(value: object) -> bool:
    return isinstance(value, str) or _is_number(value)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_word, value))


_KINDS = {
    bool: (lambda value: isinstance(value, bool), "true or false", bool),
    int: (lambda value: _is_number(value) and value == int(value), "a whole number", int),
    float: (_is_number, "a finite number", float),
    str: (_is_word, "a word", str),
    list: (_is_list, "a list of words, {key}=[A,B]", lambda value: [str(word) for word in value]),
    dict: (lambda value: isinstance(value, dict), "several values, {key}.NAME=VALUE", dict),
}
"""Type of the default -> whether a value fits, what is wanted, and how the value becomes it."""

_NUMBERS = (
    lambda value: isinstance(value, list) and all(type(number) is int for number in value),
    "a list of whole numbers, {key}=[1,2]",
    list,
)
"""The same where the default is a list of whole numbers."""
