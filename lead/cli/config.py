"""From ``key=value`` words to a plain dictionary; every mistake in them is one line."""

import re
from collections.abc import Sequence

from lead.cli.paths import config_folder
from lead.core.errors import RequestError, did_you_mean

FREE_TEXT = (
    *("text", "prompts", "source", "output", "dataset", "run", "vae", "diffusion", "projector"),
    "motion",
)
"""Options whose value is taken as it is, so that commas and quotes need no escaping."""


def compose(name: str, overrides: Sequence[str]) -> dict:
    """Compose ``configs/NAME.yaml`` with overrides; RequestError for anything that does not fit."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    words = [_literal(word) for word in overrides]
    try:
        with initialize_config_dir(config_dir=str(config_folder()), version_base="1.3"):
            config = hydra_compose(config_name=name, overrides=words)
            return OmegaConf.to_container(config, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise RequestError(_explain(error, name, overrides)) from error


def _literal(word: str) -> str:
    key, equals, value = word.partition("=")
    if not equals:
        raise RequestError(f"'{word}' is not an option: write key=value")
    if key in FREE_TEXT and value not in ("null", "") and not value.startswith("["):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{key}='{escaped}'"
    return word


def _explain(error: Exception, name: str, overrides: Sequence[str]) -> str:
    """One line about what Hydra or OmegaConf did not accept."""
    text = str(error)
    missing = re.search(r"Could not find '([^']+)/([^/']+)'", text)
    if missing:
        group, choice = missing.groups()
        return f"unknown {group} '{choice}': {did_you_mean(choice, _choices(group))}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown.group(1)
        return f"unknown option '{key}' of `lead {name}`: {did_you_mean(key, _known_keys(name))}"
    first = " ".join(text.split())
    return f"cannot read the options {' '.join(overrides)!r}: {first[:200]}"


def _choices(group: str) -> list[str]:
    return [path.stem for path in (config_folder() / group).glob("*.yaml")]


def _known_keys(name: str) -> list[str]:
    """Every dotted key of a verb's configuration, and its groups."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(config_dir=str(config_folder()), version_base="1.3"):
        config = OmegaConf.to_container(hydra_compose(config_name=name), resolve=False)
    keys: list[str] = []

    def walk(value: dict, prefix: str) -> None:
        for key, entry in value.items():
            keys.append(prefix + key)
            if isinstance(entry, dict):
                walk(entry, f"{prefix}{key}.")

    walk(config, "")
    return keys


def choice(overrides: Sequence[str], group: str, default: str) -> str:
    """Which entry of a group the overrides choose."""
    chosen = [word.partition("=")[2] for word in overrides if word.startswith(f"{group}=")]
    return chosen[-1] if chosen else default
