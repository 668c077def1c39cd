"""Runs on their way to another place, each with all that it stands on."""

import shutil
from pathlib import Path

from lead.core.building import HOLDS
from lead.core.compact import compact
from lead.core.errors import RequestError
from lead.core.runs import Run

_BESIDE_WEIGHTS = (
    *("vocabulary.json", "tokenizer.json", "environment.json"),
    "known_texts.safetensors",
)
_PLACES = ("dataset", "run", "init", "teacher", *HOLDS)
"""Values that name places of the machine where a run was trained."""


class Packing:
    """Runs in one folder; what several stand on is packed once, in a folder named by its stage.

    Weights are kept with ``bits`` a number (see lead.core.compact), or copied where that is None.
    """

    def __init__(self, folder: Path, bits: int | None = None):
        self.folder, self.bits = folder, bits
        self.sources: dict[Path, Run] = {}

    def pack(self, run: Run, folder: Path) -> Run:
        """One run with all that it stands on, without what only resuming needs and paths of here.

        Raises RequestError for a run without weights, and where another run of the stage is there.
        """
        own, packed, before = _weights(run), Run(folder), self.sources.get(folder)
        if before is not None:
            if _weights(before) != own:
                raise RequestError(
                    f"{run.folder} and {before.folder} are different {run.stage} runs: what is "
                    "packed together stands on the same ones"
                )
            return packed
        self.sources[folder] = run
        parents = {
            stage: self.pack(run.ancestor(stage), self.folder / stage)
            for stage in run.record.parents
        }
        self._copy(run, packed)
        values = {key: value for key, value in run.record.values.items() if key not in _PLACES}
        if files := values.get("stage", {}).get("sentences"):
            values["stage"] = {**values["stage"], "sentences": [Path(file).name for file in files]}
        of = {stage: parent.as_parent(folder) for stage, parent in parents.items()}
        packed.update(**{**run.contents, "parents": of, "values": values, **self._about(run)})
        return packed

    def _copy(self, run: Run, packed: Run) -> None:
        """Weights, and what stands beside them: words and pieces, facts, captions."""
        for path in sorted(run.weights_path("any").parent.glob("*.safetensors")):
            place, is_part = packed.weights_path(path.stem), path.stem in run.record.parts
            if self.bits is None:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
            else:  # a part, or statistics, which stay as they are
                tensors = run.tensors(path.stem)
                packed.save_part(path.stem, compact(tensors, self.bits) if is_part else tensors)
        for name in _BESIDE_WEIGHTS:
            if (run.folder / name).is_file():
                shutil.copyfile(run.folder / name, packed.folder / name)

    def _about(self, run: Run) -> dict[str, object]:
        """What the record says of weights that were made smaller."""
        if self.bits is None:
            return {}
        parts = [part for part in run.record.parts if run.weights_path(part).is_file()]
        hashes = {part: run.weights_hash(part) for part in parts}
        of = {"from": run.folder.resolve().name, "bits": self.bits, "weights": hashes}
        return {"packed": of}


def _weights(run: Run) -> str:
    return run.weights_hash(run.trained_part)
