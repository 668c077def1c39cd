"""Sentences that tell what a model knows: near ones that its motions show, and far ones."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from lead.core.errors import RequestError

BANDAI_NAMCO_PROBES = Path(__file__).with_name("probes.yaml")


@dataclass(frozen=True)
class Probes:
    """Near and far sentences, none of them trained on."""

    near: tuple[str, ...]
    far: tuple[str, ...]

    def halves(self) -> tuple["Probes", "Probes"]:
        """Every other sentence of both kinds: one half to choose by, one half to measure with."""
        first = Probes(self.near[::2], self.far[::2])
        return first, Probes(self.near[1::2], self.far[1::2])


def read_probes(path: Path = BANDAI_NAMCO_PROBES) -> Probes:
    """Read near and far sentences (YAML); RequestError where the file holds anything else."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError(f"{path}: the sentences cannot be read ({error})") from error
    lists = [content.get(key) for key in ("near", "far")] if isinstance(content, dict) else []
    for entries in lists or [None]:
        if not isinstance(entries, list) or len(entries) < 2 or not all(map(_is_text, entries)):
            raise RequestError(f"{path} has to list sentences under near and far, two or more each")
    return Probes(*(tuple(entries) for entries in lists))


def _is_text(entry: object) -> bool:
    return isinstance(entry, str) and bool(entry.strip())
