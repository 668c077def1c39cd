"""Options read without Hydra, which loads for half a second, where they are simple.

That is a file of values and entries of groups alone, and a word, a number, or a list of these.
"""

import re
from collections.abc import Sequence

from lead.cli.paths import config_folder
from lead.core.reading import parse_yaml, read_text

_VALUE = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?|[A-Za-z_]\w*", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None}
_NUMBERS = ("nan", "inf")


def compose_plainly(name: str, groups: Sequence[str]) -> dict | None:
    """The values of a file of configs, with GROUP=ENTRY chosen; None where only Hydra can tell."""
    chosen = dict(word.split("=", 1) for word in groups)
    root = _read(name)
    if root is None:
        return None
    defaults = root.pop("defaults", ["_self_"])
    if "_self_" not in defaults:
        return None
    values: dict = {}
    for entry in defaults:
        (group, choice), *more = entry.items() if isinstance(entry, dict) else [("", entry)]
        if more or (not group and choice != "_self_"):
            return None
        if not group:
            values |= root
        elif (choice := chosen.pop(group, choice)) is not None:
            part = _read(f"{group}/{choice}") if re.fullmatch(r"\w+", group) else None
            if part is None or "defaults" in part:
                return None
            values[group] = part
    return None if chosen else values


def plain_value(text: str) -> tuple[bool, object]:
    """Whether a value is simple, and what it is then."""
    if text.startswith("[") and text.endswith("]"):
        parts = [_scalar(part) for part in text[1:-1].split(",")] if text != "[]" else []
        return all(known for known, _ in parts), [value for _, value in parts]
    return _scalar(text)


def _scalar(text: str) -> tuple[bool, object]:
    if not _VALUE.fullmatch(text) or text.lower() in _NUMBERS:
        return False, None
    if text.lower() in _WORDS:
        return True, _WORDS[text.lower()]
    if text[0].isalpha() or text[0] == "_":
        return True, text
    return True, float(text) if "." in text else int(text)


def _read(name: str) -> dict | None:
    """A file of configs; None where it says more than values."""
    text = read_text(config_folder() / f"{name}.yaml")
    if "${" in text or "@package" in text:
        return None
    values = parse_yaml(text, name)
    return values if isinstance(values, dict) else None
