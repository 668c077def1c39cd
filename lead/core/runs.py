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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lead.core.building import build, check_fit, full_options
from lead.core.claims import remove_leftovers
from lead.core.errors import RequestError, WorkError, did_you_mean
from lead.core.files import content_hash, write_json, write_tensors
from lead.core.reading import FORM_BYTES, read_json, read_tensors
from lead.core.run_record import HOLDS, SCHEMA_VERSION, Parent, RunRecord
from lead.core.schema import check, shown

RUN_FILES = (
    *("run.json", "config.yaml", "environment.json", "vocabulary.json", "tokenizer.json"),
    "known_texts.safetensors",
    *("weights", "state", "metrics.csv", "metrics.json"),
    *("wandb", "events.out.tfevents.*", "hparams.yaml"),
)
"""Names (patterns) of everything that lead and its loggers write into a run directory."""

GENERATIONS = 8  # of runs that stand on one another; three are usual


@dataclass(frozen=True)
class Run:
    """One run directory; ``folder`` is a Path, whatever it was named by."""

    folder: Path | str

    def __post_init__(self) -> None:
        """Take a text for a path."""
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def file(self) -> Path:
        """run.json."""
        return self.folder / "run.json"

    @cached_property
    def contents(self) -> dict[str, Any]:
        """All of run.json; RequestError where there is none."""
        if not self.exists():
            raise RequestError(
                f"{self.folder} is not a run directory (no run.json): "
                "name one that `lead train` or `lead import` made"
            )
        contents = read_json(self.file, most=FORM_BYTES)
        version = contents.get("schema")
        if type(version) is not int or version != SCHEMA_VERSION:
            raise RequestError(
                f"{self.folder} has layout {shown(version)}, this version reads {SCHEMA_VERSION}"
            )
        return contents

    @cached_property
    def record(self) -> RunRecord:
        """What run.json says; WorkError names what in it does not fit."""
        return check(RunRecord, self.contents, str(self.file), "train or import it again")

    @property
    def stage(self) -> str:
        """vae, diffusion, projector, ..."""
        return self.record.stage

    @property
    def trained_part(self) -> str:
        """Name of the part that this run trained."""
        return HOLDS[self.stage][0]

    @property
    def state_path(self) -> Path:
        """The file that resuming reads."""
        return self.folder / "state" / "trainer.ckpt"

    @property
    def default_dataset(self) -> Path:
        """Where the data that it was trained on stand, where no other place is named."""
        name = self.record.dataset.name
        if Path(name).name != name:
            raise RequestError(
                f"{self.file}: the data set is called {shown(name)}, which names no folder below "
                "datasets: name it, dataset=DIR"
            )
        return Path("datasets") / name

    def weights_path(self, part: str) -> Path:
        """Where a part's weights stand."""
        return self.folder / "weights" / f"{part}.safetensors"

    def weights_hash(self, part: str) -> str:
        """Hash of a part's weights; RequestError where the training has saved none yet."""
        return content_hash(self._saved(part))

    def tensors(self, part: str) -> dict:
        """A part's weights by name, float32 where they are packed; WorkError for a broken file."""
        from lead.core.compact import restore

        path = self._saved(part)
        return restore(read_tensors(path), str(path))

    def _saved(self, part: str) -> Path:
        path = self.weights_path(part)
        if not path.is_file():
            raise RequestError(
                f"{self.folder} holds no weights of its {part} yet: let its training reach a "
                "validation, or resume it with resume=true"
            )
        return path

    def description(self, part: str) -> dict[str, Any]:
        """How a part is built; RequestError where the run has none of that name."""
        parts = self.record.parts
        if part not in parts:
            raise RequestError(f"{self.folder} has no part '{part}': {did_you_mean(part, parts)}")
        return parts[part]

    def options(self, part: str) -> dict[str, Any]:
        """The options of a part, checked, those that are left out by their default."""
        return full_options(part, self.description(part), f"{self.file} ({part})")

    def build_part(self, part: str, **changes: object):
        """Build a part from its description, with fresh weights."""
        return build(part, self.description(part), f"{self.file} ({part})", **changes)

    def load_part(self, part: str, **wanted: object):
        """Build a part from its description and fill in its weights, every tensor accounted for.

        ``wanted`` are options that need these values, where the part has them, to work with others.
        """
        check_fit(self.options(part), f"{self.file} ({part})", **wanted)
        module = self.build_part(part)
        fill(module, self.tensors(part), f"{self.folder} ({part})")
        return module

    def build_text_encoder(self):
        """The text encoder that a run with a denoiser was trained with."""
        return build("text_encoder", self.record.text_encoder, f"{self.file} (text_encoder)")

    def save_part(self, part: str, tensors: dict) -> None:
        """Replace a part's weights."""
        # One entry only: safetensors writes several in random order, and the file is hashed.
        write_tensors(self.weights_path(part), tensors, {"format": "pt"})

    def update(self, **changes: object) -> None:
        """Change fields of run.json."""
        before = read_json(self.file, most=FORM_BYTES) if self.exists() else {}
        write_json(self.file, {**before, **changes})
        for name in ("contents", "record"):
            self.__dict__.pop(name, None)

    def clear_leftovers(self) -> None:
        """Remove the half-written files of a process that was killed while it wrote."""
        for folder in (self.folder, self.folder / "weights", self.folder / "state"):
            remove_leftovers(folder)

    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return os.path.isfile(self.file)  # noqa: PTH113, Path's own fails for a name too long

    def ancestor(self, stage: str) -> "Run":
        """This run or the earlier run of a given stage; checks that its weights are unchanged.

        WorkError where runs stand on one another in a circle, or in too many generations.
        """
        run = self
        for _ in range(GENERATIONS):
            if run.stage == stage:
                return run
            run = run._parent_towards(stage)
        raise WorkError(
            f"{self.folder}: its earlier runs stand on one another in a circle, or more than "
            f"{GENERATIONS} deep: train it again"
        )

    def _parent_towards(self, stage: str) -> "Run":
        for parent, run in self._parents():
            if not run.exists():
                raise RequestError(
                    f"{self.folder} was trained on {run.folder}, which is gone: "
                    f"restore it, or name another with {run_option(stage)}"
                )
            if run.weights_hash(run.trained_part) != parent.hash:
                raise WorkError(
                    f"{run.folder} has changed since {self.folder} was trained on it: "
                    "train the later stage again"
                )
            if run.has_ancestor(stage):
                return run
        raise RequestError(
            f"{self.folder} is a {self.stage} run without a {stage}: name one with "
            f"{run_option(stage)}"
        )

    def _parents(self) -> Iterator[tuple[Parent, "Run"]]:
        for parent in self.record.parents.values():
            yield parent, Run(Path(os.path.realpath(self.folder / parent.path)))

    def holding(self, part: str, stage: str) -> "Run":
        """This run where it holds the part itself, else the earlier run of a given stage."""
        return self if part in self.record.parts else self.ancestor(stage)

    def has_ancestor(self, stage: str) -> bool:
        """Whether this run or one it was trained on is of the given stage."""
        generation = {self.folder: self}
        for _ in range(GENERATIONS):
            if any(run.stage == stage for run in generation.values()):
                return True
            above = [up for run in generation.values() for _, up in run._parents() if up.exists()]
            generation = {run.folder: run for run in above}
        return False

    def as_parent(self, child: Path) -> dict[str, str]:
        """The entry that a later run keeps of this one: relative path and weights hash."""
        path = os.path.relpath(self.folder.resolve(), child.resolve())
        return {"path": path, "hash": self.weights_hash(self.trained_part)}


def run_option(stage: str) -> str:
    """The command-line option that names an earlier run."""
    return f"{stage}=RUN"


def misfits(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping) -> list[str]:
    """What is missing, unexpected or of another shape than ``wanted``, a phrase each."""
    problems = [f"missing {name}" for name in wanted.keys() - tensors.keys()]
    problems += [f"unexpected {name}" for name in tensors.keys() - wanted.keys()]
    for name in wanted.keys() & tensors.keys():
        shape = tuple(getattr(tensors[name], "shape", ()))
        if shape != wanted[name]:
            problems.append(f"{name} is {shape}, expected {wanted[name]}")
    return problems


def fill(module, tensors: dict, where: str) -> None:
    """Load weights; WorkError lists what is missing, unexpected or of another shape."""
    own = module.state_dict()
    problems = misfits({name: tuple(tensor.shape) for name, tensor in own.items()}, tensors)
    problems += [
        f"{name} is {tensors[name].dtype}, expected {own[name].dtype}"
        for name in own.keys() & tensors.keys()
        if own[name].is_floating_point() != tensors[name].is_floating_point()
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:4])
        raise WorkError(f"{where}: {len(problems)} tensors do not fit the model: {shown}")
    module.load_state_dict(tensors)
