"""An hour of the CMU motion capture database that comes with lead, and how it is packed."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from lead.core.files import atomic_path, write_json
from lead.core.reading import read_archive
from lead.core.schema import Count, Schema, read_file
from lead.data.source import Caption, Item

FOLDER = Path(__file__).parent
UNIT = 0.0005  # metres; joints are rounded to it
ADVICE = "install lead again"


class Entry(Schema):
    """What index.json says of one clip; ``frames`` are of joints, one more than of features."""

    id: str
    split: str
    frames: Count
    captions: list[str]
    labels: dict[str, str]


class Index(Schema):
    """index.json: the clips in the order of their joints."""

    clips: list[Entry]


def write_clips(folder: Path, clips: Sequence[tuple[Item, np.ndarray]]) -> None:
    """Write items with their joints (frames, 22, 3) in metres as ``clips.npz`` and ``index.json``.

    Each clip begins at x = z = 0. Stored are whole units of half a millimetre, seen from the root
    and as steps in time, which compresses to a quarter.
    """
    entries = [
        {
            "id": item.id,
            "split": item.split,
            "frames": len(joints),
            "captions": [caption.text for caption in item.captions],
            "labels": {key: value for key, value in item.labels.items() if key != "fps"},
        }
        for item, joints in clips
    ]
    with atomic_path(folder / "clips.npz") as temporary:
        np.savez_compressed(temporary, steps=np.concatenate([_packed(j) for _, j in clips]))
    write_json(folder / "index.json", {"clips": entries})


def read_index(folder: Path = FOLDER) -> list[Item]:
    """Every clip, by name."""
    index = read_file(Index, folder / "index.json", ADVICE)
    return [
        Item(clip.id, folder / "clips.npz", clip.split, tuple(map(Caption, clip.captions)), labels)
        for clip in index.clips
        for labels in [clip.labels]
    ]


def read_joints(names: set[str], folder: Path = FOLDER) -> Iterator[tuple[str, np.ndarray]]:
    """Joints (frames, 22, 3) in metres, float32, of the clips that are named, with their names."""
    clips, steps = _opened(folder)
    start = 0
    for clip in clips:
        if clip.id in names:
            yield clip.id, _unpacked(steps[start : start + clip.frames])
        start += clip.frames


@lru_cache(maxsize=1)
def _opened(folder: Path) -> tuple[list[Entry], np.ndarray]:
    """All that is stored, 10 MB; a preparation asks for it once for every few clips."""
    steps = read_archive(folder / "clips.npz", advice=ADVICE)["steps"]
    return read_file(Index, folder / "index.json", ADVICE).clips, steps


def _packed(joints: np.ndarray) -> np.ndarray:
    places = np.round(joints / UNIT).astype(np.int64)
    places[:, :, [0, 2]] -= places[:1, :1, [0, 2]]
    places[:, 1:] -= places[:, :1]
    steps = np.diff(places, axis=0, prepend=0)
    packed = steps.astype(np.int16)
    if not (packed == steps).all():
        raise ValueError("a joint is more than 16 m from where it was")
    return packed


def _unpacked(steps: np.ndarray) -> np.ndarray:
    places = np.cumsum(steps.astype(np.int64), axis=0)
    places[:, 1:] += places[:, :1]
    return (places * UNIT).astype(np.float32)
