"""From a source to a packed dataset: one array per split, an index, statistics and a manifest.

Layout of ``datasets/NAME/``::

    manifest.json        name, skeleton, fps, licence, counts, content hash per split, data hash
    Mean.npy Std.npy     of the train split, or the source's own
    SPLIT.npy            float32 (frames, features), every clip after the other, un-normalised
    SPLIT.index.json     columns: id, start, frames, captions, tokens, labels
    report.json          what was left out, and why
    stamps.json          size and time of each file, to notice a change in place
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError, WorkError
from lead.core.files import atomic_folder, write_json
from lead.core.reading import map_array
from lead.data.contents import STATISTICS, part_names, record_contents
from lead.data.loading import load_all
from lead.data.source import LoadedClip, Rejected, Source
from lead.representation.normalizer import feature_statistics
from lead.representation.skeletons import get_skeleton

SCHEMA_VERSION = 1
_COLUMNS = ("id", "start", "frames", "captions", "tokens", "labels")


@dataclass
class PackReport:
    """What a preparation did: counts per split and every motion that was left out."""

    clips: dict[str, int] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass
class _Split:
    """The clips of one split while packing."""

    features: list[np.ndarray] = field(default_factory=list)
    frames: int = 0
    rows: list[tuple] = field(default_factory=list)  # of the index, in the order of _COLUMNS


def pack(
    source: Source,
    output: Path,
    *,
    workers: int = 2,
    overwrite: bool = False,
    mirror: bool = False,
) -> PackReport:
    """Read a source with ``workers`` processes and write it to ``output`` as a packed dataset.

    ``mirror`` adds the mirror image of every training clip, left and right swapped in its captions
    (HumanML3D and KIT-ML hold theirs already).
    A motion that cannot be read is left out and reported. Raises WorkError where nothing is left.
    The folder appears whole, or not at all.
    """
    with atomic_folder(output, replace=overwrite) as folder:
        items = source.list_items()
        if not items:
            raise RequestError(f"source '{source.name}' found no motions: check source=")
        splits: dict[str, _Split] = {}
        report = PackReport()
        order = {item.id: place for place, item in enumerate(items)}
        results = load_all(source, items, workers, mirror=mirror)
        results.sort(key=lambda result: order.get(result.id, len(order)))
        for result in results:
            if isinstance(result, Rejected):
                report.rejected.append(result)
            else:
                report.rejected.extend(
                    _place(result, splits.setdefault(result.split, _Split()), source)
                )
        splits = {name: split for name, split in splits.items() if split.rows}
        if not splits:
            raise WorkError(f"'{source.name}' gave no clip: {_first_reason(report.rejected)}")
        _write(folder, source, splits, report)
    return report


def _first_reason(rejected: Sequence[Rejected]) -> str:
    """Why the first motion was left out, and which it was."""
    if not rejected:
        return "no motion was read"
    first = rejected[0]
    place = "" if first.path in first.reason else f"{first.path}: "
    return f"{len(rejected)} left out, the first: {place}{first.reason}"


def _place(clip: LoadedClip, split: _Split, source: Source) -> list[Rejected]:
    """Put a clip and its tagged segments into a split; returns what does not fit the limits."""
    frames = len(clip.features)
    whole = [c for c in clip.captions if c.text.strip() and c.start == c.end == 0]
    windows = [(*window, whole) for window in _windows(clip.id, frames, source) if whole]
    rejected, before = [], len(split.rows)
    for name, begin, end, captions in [*windows, *_segments(clip, source.fps, frames)]:
        if source.min_frames <= end - begin <= source.max_frames:
            texts, tokens = [c.text for c in captions], [c.tokens for c in captions]
            row = (name, split.frames + begin, end - begin, texts, tokens, dict(clip.labels))
            split.rows.append(row)
        else:
            limits = f"{source.min_frames}..{source.max_frames}"
            rejected.append(
                Rejected(name, clip.id, f"{end - begin} frames, outside {limits}: left out")
            )
    if len(split.rows) > before:
        split.features.append(np.ascontiguousarray(clip.features, dtype=np.float32))
        split.frames += frames
    return rejected


def _windows(name: str, frames: int, source: Source) -> list[tuple[str, int, int]]:
    """The whole clip, or consecutive windows of a long one where the source splits those."""
    if frames <= source.max_frames or source.long_clips != "split":
        return [(name, 0, frames)]
    pieces = -(-frames // source.max_frames)
    edges = np.linspace(0, frames, pieces + 1).astype(int)
    return [
        (f"{name}#{part}", int(begin), int(end))
        for part, (begin, end) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    ]


def _segments(clip: LoadedClip, fps: float, frames: int) -> list[tuple[str, int, int, list]]:
    """HumanML3D's rule: a caption with a time range is a clip of its own with that caption only."""
    segments = []
    for place, caption in enumerate(clip.captions):
        if not caption.text.strip() or caption.start == caption.end == 0:
            continue
        begin = min(max(int(caption.start * fps), 0), frames)
        end = max(min(int(caption.end * fps), frames), begin)
        segments.append((f"{clip.id}@{place}", begin, end, [caption]))
    return segments


def _write_features(path: Path, clips: list[np.ndarray]) -> np.ndarray:
    """Write clips one after the other, without a second copy of them all in memory."""
    shape = (sum(map(len, clips)), clips[0].shape[1])
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with path.open("wb") as stream:  # not through a memory map, which a full disk kills (SIGBUS)
        np.lib.format.write_array_header_1_0(stream, header)
        for clip in clips:
            stream.write(np.ascontiguousarray(clip, dtype="<f4").data)
    return map_array(path)


def _write(folder: Path, source: Source, splits: dict[str, _Split], report: PackReport) -> None:
    skeleton = get_skeleton(source.skeleton)
    for name, split in splits.items():
        array, index = (folder / part for part in part_names(name))
        features = _write_features(array, split.features)
        columns = map(list, zip(*split.rows, strict=True))
        write_json(index, dict(zip(_COLUMNS, columns, strict=True)))
        report.clips[name] = len(split.rows)
        report.frames[name] = len(features)
        if name == "train" or "train" not in splits:
            train = features
    statistics = source.statistics() or feature_statistics(train, skeleton)
    for name, values in zip(STATISTICS, statistics, strict=True):
        np.save(folder / name, np.asarray(values, dtype=np.float32))
    reasons = Counter(rejected.reason for rejected in report.rejected)
    write_json(
        folder / "report.json",
        {
            "left_out": [vars(rejected) for rejected in report.rejected],
            "reasons": dict(reasons.most_common()),
        },
    )
    write_json(
        folder / "manifest.json",
        {
            "schema": SCHEMA_VERSION,
            "name": source.name,
            "skeleton": source.skeleton,
            "fps": source.fps,
            "licence": source.licence,
            "clips": report.clips,
            "frames": report.frames,
            "left_out": len(report.rejected),
            **record_contents(folder, splits),
        },
    )
