"""What goes with a run to another place, and what of its record stays behind."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lead.core.building import HOLDS
from lead.core.runs import Run

_BESIDE_WEIGHTS = (
    *("vocabulary.json", "tokenizer.json", "environment.json"),
    "known_texts.safetensors",
)
_PLACES = ("dataset", "run", "init", "teacher", *HOLDS)
"""Values that name places of the machine where a run was trained."""


def copy_beside(run: Run, folder: Path) -> None:
    """Copy what stands beside a run's weights: its words and pieces, its facts, its captions."""
    for name in _BESIDE_WEIGHTS:
        if (run.folder / name).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run.folder / name, folder / name)


def portable_record(run: Run, parents: Mapping[str, Run], folder: Path) -> dict[str, Any]:
    """The record of a run in ``folder``, which stands on ``parents``; without paths of before."""
    return {
        **run.contents,
        "parents": {stage: parent.as_parent(folder) for stage, parent in parents.items()},
        "values": {key: value for key, value in run.record.values.items() if key not in _PLACES},
    }
