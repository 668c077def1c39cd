"""Sentences that tell what a model knows: near ones that its motions show, and far ones."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from lead.core.errors import RequestError
from lead.core.reading import read_yaml
from lead.core.schema import ClosedSchema, read_file

BANDAI_NAMCO_PROBES = Path(__file__).with_name("probes.yaml")


Sentences = Annotated[
    list[Annotated[str, Field(pattern=r"\S", max_length=1000)]], Field(min_length=2)
]


class Probes(ClosedSchema):
    """Near and far sentences, none of them trained on."""

    near: Sentences
    far: Sentences

    def halves(self) -> tuple["Probes", "Probes"]:
        """Every other sentence of both kinds: one half to choose by, one half to measure with."""
        halves = (
            Probes.model_construct(near=self.near[first::2], far=self.far[first::2])
            for first in (0, 1)
        )
        return (*halves,)


def read_probes(path: Path = BANDAI_NAMCO_PROBES) -> Probes:
    """Read near and far sentences (YAML); RequestError where the file holds anything else."""
    advice = "list two sentences or more under near, and under far"
    return read_file(Probes, path, advice, load=read_yaml, error=RequestError)
