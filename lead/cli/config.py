"""From ``key=value`` words to a plain dictionary; every mistake in them is one line."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from itertools import accumulate
from pathlib import Path

from lead.cli.paths import config_folder
from lead.cli.plain_config import compose_plainly, plain_value
from lead.cli.values import takes
from lead.core.errors import RequestError, did_you_mean

SENTENCES = ("text", "word", "data.template", "data.licence")
PATHS = (
    *("prompts", "source", "output", "dataset", "run", "vae", "diffusion", "projector", "motion"),
    *("start", "keep", "autoencoder", "text_autoencoder", "joint_diffusion", "like", "init"),
    *("evaluator", "classifier", "words", "motions", "actions", "concepts", "teacher", "beside"),
    *("checkpoint", "mean", "std", "sentences", "bertscore"),
    *("sweep", "plot", "data.captions", "data.skeleton_map", "data.cache", "text_encoder.path"),
)
"""Options of both kinds are taken as they are: commas, quotes and brackets need no escaping."""

DEEPEST = 10  # brackets within brackets, of a value that is not taken as it is

_OPTION = re.compile(r"(?=[^=]{1,200}=)([A-Za-z_]\w*(?:[./]\w+)*)=(.*)", re.DOTALL)


def compose(name: str, overrides: Sequence[str]) -> dict:
    """Compose ``configs/NAME.yaml`` with overrides; RequestError for anything that does not fit.

    A value has to be one that its option takes, see lead.cli.values.
    """
    options = [_split(word) for word in overrides]
    groups = [f"{key}={_choose(key, value)}" for key, value in options if _is_group(key)]
    config = deepcopy(_composed(name, tuple(groups)))
    default = _plain(config)
    known = dict(_walk(default))
    values: dict[str, object] = {}
    free: dict[str, str | None] = {}
    for key, value in options:
        if key in SENTENCES + PATHS and isinstance(known.get(key, ()), str | None):
            free[key] = takes(name, key, known[key]).read(key, _free(key, value))
        elif not _is_group(key):
            if key not in known:
                raise _unknown(key, name, known)
            values[key] = _taken(name, key, known[key], _parsed(key, value))
    if any(isinstance(value, dict) for value in values.values()):
        config = deepcopy(_hydra(name, tuple(groups)))  # it merges them, and knows what fits
    plain = _taken(name, "", default, _plain(config, values))
    for key, value in free.items():
        _put(plain, key, value)
    return plain


def compose_with_words(name: str, overrides: Sequence[str]) -> tuple[dict, list[str]]:
    """The same, and the words without ``=`` among the overrides: files, runs, a table."""
    options = [word for word in overrides if "=" in word]
    return compose(name, options), [word for word in overrides if "=" not in word]


def choice(overrides: Sequence[str], group: str, default: str) -> str:
    """Which entry of a group the overrides choose."""
    chosen = [word.partition("=")[2] for word in overrides if word.startswith(f"{group}=")]
    return chosen[-1] if chosen else default


def _split(word: str) -> tuple[str, str]:
    match = _OPTION.fullmatch(word)
    if match is None:
        raise RequestError(f"'{word}' is not an option: write key=value, a sentence in quotes")
    return match.group(1), match.group(2)


def _is_group(key: str) -> bool:
    return "." not in key and (config_folder() / key).is_dir()


def entries_of(group: str) -> list[str]:
    """The names that stand in a folder of the YAML files; none where there is no such folder."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def _choose(group: str, value: str) -> str:
    choices = entries_of(group)
    if not choices:
        inner = sorted(path.name for path in (config_folder() / group).iterdir())
        raise RequestError(f"'{group}' is a group of options: set {group}.{inner[0]}.KEY=VALUE")
    if value not in choices:
        raise RequestError(f"unknown {group} '{value}': {did_you_mean(value, choices)}")
    return value


def parse(key: str, value: str):
    """An option as Hydra's grammar reads it; RequestError where it does not."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    steps = ((mark in "([{") - (mark in ")]}") for mark in value)
    if max(accumulate(steps), default=0) > DEEPEST:
        raise RequestError(f"{key}: brackets stand {DEEPEST} deep at most: take some away")
    if "${" in value:
        raise RequestError(f"{key} is taken as it is written: give a value for ${{...}}")
    try:
        return OverridesParser.create().parse_override(f"{key}={value}")
    except (HydraException, ValueError) as error:  # ValueError: a number of 5,000 digits
        raise RequestError(
            f"cannot read the value of {key} in '{key}={value}': close its brackets and quotes, or "
            f"put it in quotes, {key}=\"'...'\""
        ) from error


def _parsed(key: str, value: str) -> object:
    simple, found = plain_value(value)
    if simple:
        return found
    override = parse(key, value)
    if override.is_sweep_override():
        word = f"{key}={value}"
        raise RequestError(f"'{word}' gives several values: give one, or a list, {key}=[A,B]")
    return override.value()


@cache
def _composed(name: str, groups: tuple[str, ...]):
    """The verb's values, with the chosen entries of its groups; a sweep asks many times."""
    plain = compose_plainly(name, groups)
    return _hydra(name, groups) if plain is None else plain


@cache
def _hydra(name: str, groups: tuple[str, ...]):
    """The same, as Hydra composes them."""
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
    if isinstance(config, dict):
        plain = deepcopy(config)
        for key, value in (changes or {}).items():
            _put(plain, key, value)
        return plain
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        for key, value in (changes or {}).items():
            named = OmegaConf.select(config, key) == {}  # by the names of something: any key goes
            OmegaConf.update(config, key, value, force_add=named)
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


def _put(config: dict, key: str, value: object) -> None:
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


def _taken(name: str, key: str, default: object, value: object) -> object:
    """``value`` as the options of a verb take it, below ``key``; RequestError where they do not."""
    if not (isinstance(default, dict) and isinstance(value, dict)):
        return takes(name, key, default).read(key, value)
    prefix = f"{key}." if key else ""
    return {
        entry: _taken(name, f"{prefix}{entry}", default[entry], of) if entry in default else of
        for entry, of in value.items()
    }
