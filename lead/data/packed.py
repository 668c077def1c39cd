"""Reading a packed dataset: memory-mapped features and an index, opened without a copy."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError, WorkError, did_you_mean
from lead.core.reading import read_json
from lead.data.packing import INDEX_COLUMNS, SCHEMA_VERSION
from lead.representation.normalizer import Normalizer
from lead.representation.skeletons import Skeleton, get_skeleton

WEIGHT = "weight"  # label of a clip, see PackedSplit.weights


@dataclass(frozen=True)
class PackedSplit:
    """The clips of one split. Captions and tokens are lists per clip, in the source's order."""

    name: str
    features: np.ndarray  # (all frames, features), memory-mapped, un-normalised
    ids: list[str]
    starts: np.ndarray
    frames: np.ndarray
    captions: list[list[str]]
    tokens: list[list[str]]
    labels: list[dict[str, str]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def weights(self) -> np.ndarray:
        """How often each clip comes in an epoch of training: 1, but for parts of a mix."""
        return np.array([float(labels.get(WEIGHT, 1)) for labels in self.labels])

    def clip(self, place: int) -> np.ndarray:
        """Features (frames, F) of one clip, a view into the mapped file."""
        start = self.starts[place]
        return self.features[start : start + self.frames[place]]


@dataclass(frozen=True)
class PackedDataset:
    """A folder written by lead.data.packing."""

    folder: Path
    manifest: dict

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton whose feature layout the dataset has."""
        return get_skeleton(self.manifest["skeleton"])

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(self.manifest["fps"])

    @property
    def data_hash(self) -> str:
        """Hash over all features, captions and statistics."""
        return self.manifest["data_hash"]

    @property
    def same_motions(self) -> tuple[str, ...]:
        """Hashes of earlier versions with the same motions and splits and other captions."""
        return tuple(self.manifest.get("same_motions", ()))

    @cached_property
    def normalizer(self) -> Normalizer:
        """The dataset's own standardisation."""
        width = self.skeleton.features
        mean, std = (self._load(name) for name in ("Mean.npy", "Std.npy"))
        if mean.shape != (width,) or std.shape != (width,):
            raise WorkError(
                f"{self.folder}: Mean.npy has shape {mean.shape} and Std.npy {std.shape}, expected "
                f"({width},): prepare it again"
            )
        return Normalizer(mean, std)

    def split(self, name: str) -> PackedSplit:
        """Open one split; RequestError names the splits there are."""
        if name not in self.manifest["clips"]:
            raise RequestError(
                f"{self.folder} has no split '{name}': {did_you_mean(name, self.manifest['clips'])}"
            )
        index = self._index(name)
        features = self._load(f"{name}.npy", mmap_mode="r")
        starts, frames = np.asarray(index["start"]), np.asarray(index["frames"])
        width = self.skeleton.features
        if features.ndim != 2 or features.shape[1] != width:
            raise WorkError(
                f"{self.folder / name}.npy has shape {features.shape}, expected (frames, {width}): "
                "prepare it again"
            )
        if len(starts) and int((starts + frames).max()) > len(features):
            raise WorkError(f"{self.folder / name}.npy is shorter than its index: prepare it again")
        return PackedSplit(
            *(name, features, index["id"], starts, frames),
            *(index["captions"], index["tokens"], index["labels"]),
        )

    def _index(self, name: str) -> dict[str, list]:
        path = self.folder / f"{name}.index.json"
        index = read_json(path)
        columns = [index.get(column) for column in INDEX_COLUMNS]
        if not all(isinstance(column, list) for column in columns):
            raise WorkError(f"{path} lacks one of {', '.join(INDEX_COLUMNS)}: prepare it again")
        if len({len(column) for column in columns}) > 1:
            raise WorkError(f"{path} has columns of different lengths: prepare it again")
        if not all(type(value) is int and value >= 0 for value in index["start"] + index["frames"]):
            raise WorkError(f"{path} has a start or length that is no frame: prepare it again")
        return index

    def _load(self, name: str, mmap_mode=None) -> np.ndarray:
        path = self.folder / name
        if not path.is_file():
            raise RequestError(f"{path} is missing: prepare the dataset again")
        try:
            return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise WorkError(f"{path} is not a whole array ({error}): prepare it again") from error


def open_dataset(folder: Path | str) -> PackedDataset:
    """Open a packed dataset; RequestError says how to make one where there is none."""
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise RequestError(
            f"{folder} is not a prepared dataset: make it with `lead prepare data=NAME "
            f"output={folder}`"
        )
    manifest = read_json(folder / "manifest.json")
    if manifest.get("schema") != SCHEMA_VERSION:
        raise RequestError(
            f"{folder} has layout {manifest.get('schema')}, this version reads {SCHEMA_VERSION}: "
            "prepare it again"
        )
    for key in ("name", "skeleton", "fps", "licence", "clips", "data_hash"):
        if key not in manifest:
            raise WorkError(f"{folder / 'manifest.json'} has no '{key}': prepare it again")
    return PackedDataset(folder, manifest)
