"""The motions that a word is learned from: files, folders, and clips of a prepared dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError, plain
from lead.core.reading import check_regular, map_array, read_floats
from lead.core.seeding import derive_seed
from lead.data.packed import PackedDataset, open_dataset
from lead.export.motion_file import read_motion
from lead.generation import MotionModel
from lead.inversion import read_recorded_example, whole_features
from lead.studies.words.entries import Entry

RECORDED = (".bvh", ".amc")
KINDS = (*RECORDED, ".npz", ".npy")
UNKNOWN_LICENCE = "unknown: ask the owner of the files"


@dataclass(frozen=True)
class Chosen:
    """Un-normalised features (frames, F) of each motion, where each came from, and the licence."""

    motions: tuple
    sources: tuple[str, ...]
    licence: str


def choose_motions(entry: Entry, model: MotionModel, seed: int) -> Chosen:
    """Motions by the options motions, dataset, split, style, content and examples of ``entry``.

    Raises RequestError where nothing is named or found, and where the motions are of another
    skeleton or frame rate than the model's.
    """
    names = entry.motions
    chosen = entry.style is not None or entry.content is not None
    if entry.dataset is not None:
        if bool(names) == chosen:
            raise RequestError(
                "name clips of the dataset by motions=ID,ID, or choose them by style= and content="
            )
        return _of_dataset(entry, model, names, seed)
    if chosen:
        raise RequestError("style= and content= choose from a dataset: name it, dataset=DIR")
    if not names:
        raise RequestError(
            "no motions: give motions=FILE (BVH, AMC, .npz, .npy) or dataset=DIR style=S"
        )
    paths = motion_files(names, "for clips of a dataset add dataset=DIR")
    motions = tuple(read_features(path, model) for path in paths)
    return Chosen(motions, tuple(map(plain, paths)), UNKNOWN_LICENCE)


def motion_files(names: Sequence[str], advice: str = "check the path") -> list[Path]:
    """The files of these names, and those in the folders among them."""
    return [path for name in names for path in _files(Path(name), advice)]


def _files(path: Path, advice: str) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in KINDS)
        if not found:
            raise RequestError(f"motions={path} holds no motion file ({', '.join(KINDS)})")
        return found
    if not path.exists():
        raise RequestError(f"motions={path} is no file: {advice}")
    _kind(path)
    return [check_regular(path, "motions=")]


def _kind(path: Path) -> str:
    if path.suffix.lower() not in KINDS:
        raise RequestError(f"{path} is no motion file: give {', '.join(KINDS)}")
    return path.suffix.lower()


def read_features(path: Path, model: MotionModel) -> np.ndarray:
    """Features of a file as the run has them."""
    kind = _kind(path)
    if kind in RECORDED:
        return read_recorded_example(path, model.skeleton.name, model.fps)
    if kind == ".npy":
        return _read_array(path, model)
    motion = read_motion(path)
    _check_kind(str(path), motion.skeleton, motion.fps, model)
    return motion.features


def _read_array(path: Path, model: MotionModel) -> np.ndarray:
    """Features (frames, F), or joints (frames, J, 3) in metres, which have an axis more."""
    advice = "give features of the run's kind, or joints (frames, joints, 3)"
    if map_array(path).ndim != 3:
        return read_floats(path, ("frames", model.skeleton.features), advice)
    joints = read_floats(path, ("frames", model.skeleton.joints, 3), advice)
    if len(joints) < 2:
        raise RequestError(f"{path}: one frame is no motion")
    return whole_features(joints, model.skeleton.name)


def _check_kind(name: str, skeleton: str, fps: float, model: MotionModel) -> None:
    if skeleton != model.skeleton.name:
        raise RequestError(
            f"{name} has skeleton '{skeleton}', the run has '{model.skeleton.name}': give "
            "motions of that skeleton"
        )
    if abs(fps - model.fps) > 0.01:
        raise RequestError(
            f"{name} has {fps:g} frames a second, the run {model.fps:g}: resample it first"
        )


def _of_dataset(entry: Entry, model: MotionModel, names: list[str], seed: int) -> Chosen:
    dataset = open_dataset(entry.dataset)
    _check_kind(str(dataset.folder), dataset.skeleton.name, dataset.fps, model)
    found = _by_id(dataset, names) if names else _by_label(dataset, entry, seed)
    return Chosen(
        tuple(np.array(split.clip(place)) for split, place in found),
        tuple(split.ids[place] for split, place in found),
        dataset.manifest.licence,
    )


def _by_id(dataset: PackedDataset, names: list[str]) -> list[tuple]:
    splits = [dataset.split(name) for name in dataset.manifest.clips]
    places = {name: (split, at) for split in splits for at, name in enumerate(split.ids)}
    for name in names:
        if name not in places:
            raise RequestError(
                f"{dataset.folder} has no clip '{name}': ids are such as {next(iter(places))}"
            )
    return [places[name] for name in names]


def _by_label(dataset: PackedDataset, entry: Entry, seed: int) -> list[tuple]:
    split = dataset.split(entry.split)
    wanted = {
        key: value
        for key, value in (("style", entry.style), ("content", entry.content))
        if value is not None
    }
    places = [
        place
        for place, labels in enumerate(split.labels)
        if all(labels.get(key) == value for key, value in wanted.items())
    ]
    if not places:
        text = " ".join(f"{key}={value}" for key, value in wanted.items())
        key = next(iter(wanted))
        there = sorted({labels[key] for labels in split.labels if key in labels})
        raise RequestError(
            f"{dataset.folder} has no clip of {text} in split '{split.name}'; {key}s there: "
            f"{', '.join(there) or 'none'}"
        )
    if entry.examples:
        rng = np.random.default_rng(derive_seed(seed, "examples", entry.word))
        places = sorted(rng.permutation(places)[: entry.examples].tolist())
    return [(split, place) for place in places]
