"""Run directories: what a training leaves behind, and how a later stage finds it.

Layout of ``checkpoints/NAME/``::

    run.json               stage, status, step, model descriptions, earlier runs, data set, options
    config.yaml            the same options, for reading and for comparing runs
    environment.json       versions, revision, seed
    weights/PART.safetensors   best weights by validation, trainable parts only
    state/trainer.ckpt     what is needed to resume
    metrics.csv            the log; metrics.json the last evaluation

Each file is replaced whole, so a killed run leaves the state before it.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lead.core.building import build
from lead.core.claims import remove_leftovers
from lead.core.errors import RequestError, WorkError, did_you_mean
from lead.core.files import content_hash, write_json, write_tensors
from lead.core.reading import read_json, read_tensors

SCHEMA_VERSION = 1
RUN_FILES = (
    *("run.json", "config.yaml", "environment.json", "vocabulary.json", "known_texts.safetensors"),
    *("weights", "state", "metrics.csv", "metrics.json"),
    *("wandb", "events.out.tfevents.*", "hparams.yaml"),
)
"""Names (patterns) of everything that lead and its loggers write into a run directory."""


@dataclass(frozen=True)
class Run:
    """One run directory."""

    folder: Path

    @cached_property
    def record(self) -> dict:
        """The contents of run.json; RequestError where the folder is not a run."""
        if not (self.folder / "run.json").is_file():
            raise RequestError(
                f"{self.folder} is not a run directory (no run.json): "
                "name one that `lead train` or `lead import` made"
            )
        record = read_json(self.folder / "run.json")
        if record.get("schema") != SCHEMA_VERSION:
            raise RequestError(
                f"{self.folder} has layout {record.get('schema')}, "
                f"this version reads {SCHEMA_VERSION}"
            )
        return record

    @property
    def stage(self) -> str:
        """vae, diffusion, projector, ..."""
        return self.entry("stage")

    @property
    def trained_part(self) -> str:
        """Name of the part that this run trained: the first that it describes."""
        return next(iter(self.entry("parts")))

    @property
    def state_path(self) -> Path:
        """The file that resuming reads."""
        return self.folder / "state" / "trainer.ckpt"

    def weights_path(self, part: str) -> Path:
        """Where a part's weights stand."""
        return self.folder / "weights" / f"{part}.safetensors"

    def weights_hash(self, part: str) -> str:
        """Hash of a part's weights; RequestError where the training has saved none yet."""
        return content_hash(self._saved(part))

    def tensors(self, part: str) -> dict:
        """A part's weights by name, float32 where they are packed; WorkError for a broken file."""
        from lead.core.compact import restore

        return restore(read_tensors(self._saved(part)))

    def _saved(self, part: str) -> Path:
        path = self.weights_path(part)
        if not path.is_file():
            raise RequestError(
                f"{self.folder} holds no weights of its {part} yet: let its training reach a "
                "validation, or resume it with resume=true"
            )
        return path

    def load_part(self, part: str, description: dict | None = None):
        """Build a part from its description and fill in its weights, every tensor accounted for."""
        if description is None:
            parts = self.entry("parts")
            if part not in parts:
                raise RequestError(
                    f"{self.folder} has no part '{part}': {did_you_mean(part, parts)}"
                )
            description = parts[part]
        module = build(description)
        fill(module, self.tensors(part), f"{self.folder} ({part})")
        return module

    def entry(self, *keys: str):
        """What run.json holds under a key, or under keys inside one another; else WorkError."""
        value: object = self.record
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise WorkError(
                    f"{self.folder / 'run.json'} has no '{'.'.join(keys)}': "
                    "train or import it again"
                )
            value = value[key]
        return value

    def save_part(self, part: str, tensors: dict) -> None:
        """Replace a part's weights."""
        # One entry only: safetensors writes several in random order, and the file is hashed.
        write_tensors(self.weights_path(part), tensors, {"format": "pt"})

    def update(self, **changes: object) -> None:
        """Change fields of run.json."""
        record = read_json(self.folder / "run.json") if self.exists() else {}
        write_json(self.folder / "run.json", {**record, **changes})
        self.__dict__.pop("record", None)

    def clear_leftovers(self) -> None:
        """Remove the half-written files of a process that was killed while it wrote."""
        for folder in (self.folder, self.folder / "weights", self.folder / "state"):
            remove_leftovers(folder)

    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return (self.folder / "run.json").is_file()

    def ancestor(self, stage: str) -> "Run":
        """This run or the earlier run of a given stage; checks that its weights are unchanged."""
        if self.stage == stage:
            return self
        for parent in self.record.get("parents", {}).values():
            run = Run((self.folder / parent["path"]).resolve())
            if not run.exists():
                raise RequestError(
                    f"{self.folder} was trained on {run.folder}, which is gone: "
                    f"restore it, or name another with {run_option(stage)}"
                )
            if run.weights_hash(run.trained_part) != parent["hash"]:
                raise WorkError(
                    f"{run.folder} has changed since {self.folder} was trained on it: "
                    "train the later stage again"
                )
            if stage == run.stage or stage in _stages_above(run):
                return run.ancestor(stage)
        raise RequestError(
            f"{self.folder} is a {self.stage} run without a {stage}: name one with "
            f"{run_option(stage)}"
        )

    def holding(self, part: str, stage: str) -> "Run":
        """This run where it holds the part itself, else the earlier run of a given stage."""
        return self if part in self.entry("parts") else self.ancestor(stage)

    def has_ancestor(self, stage: str) -> bool:
        """Whether this run or one it was trained on is of the given stage."""
        return stage in _stages_above(self)

    def as_parent(self, child: Path) -> dict[str, str]:
        """The entry that a later run keeps of this one: relative path and weights hash."""
        path = os.path.relpath(self.folder.resolve(), child.resolve())
        return {"path": path, "hash": self.weights_hash(self.trained_part)}


def run_option(stage: str) -> str:
    """The command-line option that names an earlier run."""
    return f"{stage}=RUN"


def _stages_above(run: Run) -> set[str]:
    stages = {run.stage}
    for parent in run.record.get("parents", {}).values():
        above = Run((run.folder / parent["path"]).resolve())
        if above.exists():
            stages |= _stages_above(above)
    return stages


def fill(module, tensors: dict, where: str) -> None:
    """Load weights; WorkError lists what is missing, unexpected or of another shape."""
    own = module.state_dict()
    problems = [f"missing {name}" for name in own.keys() - tensors.keys()]
    problems += [f"unexpected {name}" for name in tensors.keys() - own.keys()]
    problems += [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own.keys() & tensors.keys()
        if own[name].shape != tensors[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:4])
        raise WorkError(f"{where}: {len(problems)} tensors do not fit the model: {shown}")
    module.load_state_dict(tensors)
