"""The paths of flow matching by name; another one is one file and one name here."""

from collections.abc import Mapping

from lead.core.errors import RequestError, did_you_mean
from lead.diffusion.flow_path import FlowPath
from lead.diffusion.paths.linear import LINEAR
from lead.diffusion.paths.trigonometric import TRIGONOMETRIC

PATHS: Mapping[str, FlowPath] = {"linear": LINEAR, "trigonometric": TRIGONOMETRIC}


def find_path(name: str) -> FlowPath:
    """The path of that name; RequestError where there is none."""
    if name not in PATHS:
        raise RequestError(f"unknown path '{name}': {did_you_mean(name, PATHS)}")
    return PATHS[name]
