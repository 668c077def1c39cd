"""What is in a collection of motion files, without reading all of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError, one_line
from lead.data.bvh.conventions import detect_units, detect_up_axis
from lead.data.bvh.joints import mapped_joints
from lead.data.bvh.loading import BvhSettings
from lead.data.bvh.motion_files import read_motion, read_motion_header
from lead.data.bvh.parser import BvhHeader, frame_rate
from lead.data.bvh.skeleton_maps import choose_skeleton_map

_SAMPLE = 9  # files that are read whole
_LENGTH_EDGES = (0, 1, 2, 4, 8, 16, 32, 64)  # seconds


def detect_collection_up_axis(paths: Sequence[Path], settings: BvhSettings) -> str | None:
    """The up axis that most of a few files show, for those that show none; None where none does."""
    votes = Counter(axis for _, axis in _sample_conventions(paths, settings) if axis)
    return votes.most_common(1)[0][0] if votes else None


def survey(paths: Sequence[Path], settings: BvhSettings) -> Mapping[str, object]:
    """Counts, frame rates, skeletons and lengths of motion files; opens headers and nine files."""
    headers: list[BvhHeader] = []
    unreadable: list[str] = []
    for path in paths:
        try:
            headers.append(read_motion_header(path, settings.amc_fps))
        except Exception as error:
            unreadable.append(one_line(error))
    sample = _sample_conventions(paths, settings)
    axes = Counter(axis for _, axis in sample if axis)
    return {
        "files": len(paths),
        "unreadable": unreadable,
        "frames": sum(header.frames for header in headers),
        "fps": _counts(f"{frame_rate(header.frame_time):g}" for header in headers),
        "skeletons": _counts(_skeleton_name(header, settings) for header in headers),
        "units": _counts(units for units, _ in sample),
        "up_axis": settings.up_axis if settings.up_axis != "auto" else dict(axes.most_common()),
        "seconds": _histogram([header.frames * header.frame_time for header in headers]),
    }


def _sample_conventions(
    paths: Sequence[Path], settings: BvhSettings
) -> list[tuple[str, str | None]]:
    """(units, up axis) of a few files, evenly spread; those that cannot be read are left out."""
    chosen = np.linspace(0, len(paths) - 1, min(_SAMPLE, len(paths))).astype(int)
    found = []
    for path in (paths[index] for index in chosen):
        try:
            motion = read_motion(path, settings.amc_fps)
            skeleton_map = choose_skeleton_map(motion, settings.skeleton_map)
            joints = mapped_joints(motion, skeleton_map, settings.fps)
            units = settings.units
            if units == "auto":
                units = detect_units(joints, skeleton_map.metres_per_unit)[0]
        except Exception:  # loading it tells why
            continue
        found.append((units, detect_up_axis(joints)))
    return found


def _skeleton_name(header: BvhHeader, settings: BvhSettings) -> str:
    try:
        return choose_skeleton_map(header.hierarchy, settings.skeleton_map).name
    except RequestError:
        return "unknown"


def _counts(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _histogram(seconds: Sequence[float]) -> dict[str, int]:
    """How many files last how long: ``{"1-2 s": 12, ...}``."""
    edges = [*_LENGTH_EDGES, np.inf]
    counts = np.histogram(seconds, edges)[0]
    names = [f"{low}-{high} s" for low, high in zip(_LENGTH_EDGES, _LENGTH_EDGES[1:], strict=False)]
    names.append(f"{_LENGTH_EDGES[-1]} s and more")
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}
