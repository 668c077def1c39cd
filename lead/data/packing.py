"""From a source to a packed dataset: one array per split, an index, statistics and a manifest.

Layout of ``datasets/NAME/``::

    manifest.json        name, skeleton, fps, licence, counts, content hash per split, data hash
    Mean.npy Std.npy     of the train split, or the source's own
    SPLIT.npy            float32 (frames, features), every clip after the other, un-normalised
    SPLIT.index.json     columns: id, start, frames, captions, tokens, labels
    report.json          what was left out, and why
    stamps.json          size and time of each file, to notice a change in place
"""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lead.core.errors import LeadError, RequestError, WorkError
from lead.core.files import atomic_folder, write_json
from lead.data.captions.mirroring import mirror_caption, mirrored
from lead.data.contents import STATISTICS, part_names, record_contents
from lead.data.source import Caption, Item, LoadedClip, Rejected, Source
from lead.representation.features import features_to_joints, joints_to_features
from lead.representation.mirroring import mirror_joints
from lead.representation.normalizer import feature_statistics
from lead.representation.skeletons import get_skeleton

SCHEMA_VERSION = 1
_COLUMNS = ("id", "start", "frames", "captions", "tokens", "labels")
CHUNK = 32


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
    columns: dict[str, list] = field(default_factory=lambda: {name: [] for name in _COLUMNS})

    def add_features(self, features: np.ndarray) -> int:
        start = self.frames
        self.features.append(features)
        self.frames += len(features)
        return start

    def add_entry(self, name, start, frames, captions: Sequence[Caption], labels) -> None:
        row = (
            *(name, start, frames),
            *([c.text for c in captions], [c.tokens for c in captions], dict(labels)),
        )
        for column, value in zip(self.columns.values(), row, strict=True):
            column.append(value)


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
        results = list(_load_all(source, items, workers))
        if mirror:
            training = [
                result
                for result in results
                if isinstance(result, LoadedClip)
                and result.split == "train"
                and not _unusable(result, source)
            ]
            results += [
                _mirrored(clip, source)
                for clip in tqdm(training, desc="mirror", unit="clip", disable=None)
            ]
        results.sort(key=lambda result: order.get(result.id, len(order)))
        for result in results:
            if isinstance(result, Rejected):
                report.rejected.append(result)
            else:
                report.rejected.extend(
                    _place(result, splits.setdefault(result.split, _Split()), source)
                )
        splits = {name: split for name, split in splits.items() if split.columns["id"]}
        if not splits:
            raise WorkError(f"'{source.name}' gave no clip: {_first_reason(report.rejected)}")
        _write(folder, source, splits, report)
    return report


def _load_all(
    source: Source, items: Sequence[Item], workers: int
) -> Iterator[LoadedClip | Rejected]:
    """Load every item, in chunks, in worker processes; a chunk that fails is reported."""
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    jobs = ((source, chunk) for chunk in chunks)
    progress = tqdm(total=len(items), desc=f"prepare {source.name}", unit="clip", disable=None)
    with progress:
        if workers <= 1:
            for job in jobs:
                yield from _tick(progress, *_load_chunk(job))
            return
        context = multiprocessing.get_context("spawn" if os.name == "nt" else "fork")
        with context.Pool(min(workers, len(chunks)), initializer=_start_worker) as pool:
            for answer in pool.imap(_load_chunk, jobs):
                yield from _tick(progress, *answer)


def _first_reason(rejected: Sequence[Rejected]) -> str:
    """Why the first motion was left out, and which it was."""
    if not rejected:
        return "no motion was read"
    first = rejected[0]
    place = "" if first.path in first.reason else f"{first.path}: "
    return f"{len(rejected)} left out, the first: {place}{first.reason}"


def _tick(progress, size: int, results: Iterable) -> Iterable:
    progress.update(size)
    return results


def _start_worker() -> None:
    """One thread each; Ctrl-C is for the parent, which ends its workers without a word.

    The parent ends them by SIGTERM, so a handler that it has for itself must not live on in them.
    """
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _load_chunk(job: tuple[Source, Sequence[Item]]) -> tuple[int, list[LoadedClip | Rejected]]:
    source, items = job
    try:
        return len(items), source.load(items)
    except LeadError as error:
        if len(items) > 1:  # one bad item spoils no other
            return len(items), [
                loaded for item in items for loaded in _load_chunk((source, [item]))[1]
            ]
        return 1, [Rejected(items[0].id, str(items[0].path), str(error))]


def _place(clip: LoadedClip, split: _Split, source: Source) -> list[Rejected]:
    """Put a clip and its tagged segments into a split; returns what does not fit the limits."""
    frames = len(clip.features)
    bad = _unusable(clip, source)
    if bad:
        return [Rejected(clip.id, clip.id, bad)]
    whole = [c for c in clip.captions if c.text.strip() and c.start == c.end == 0]
    segments = _segments(clip, source.fps, frames)
    windows = []
    if whole:
        windows.extend(
            (name, begin, end, whole) for name, begin, end in _windows(clip.id, frames, source)
        )
    windows.extend(segments)
    rejected = []
    kept = []
    for name, begin, end, captions in windows:
        if source.min_frames <= end - begin <= source.max_frames:
            kept.append((name, begin, end, captions))
        else:
            limits = f"{source.min_frames}..{source.max_frames}"
            rejected.append(
                Rejected(name, clip.id, f"{end - begin} frames, outside {limits}: left out")
            )
    if kept:
        start = split.add_features(np.ascontiguousarray(clip.features, dtype=np.float32))
        for name, begin, end, captions in kept:
            split.add_entry(name, start + begin, end - begin, captions, clip.labels)
    return rejected


def _mirrored(clip: LoadedClip, source: Source) -> LoadedClip:
    """The mirror image, named as HumanML3D does: M before the id. It is one frame shorter.

    It goes through the joints, so that it has the bone lengths of the reference skeleton, whose
    left and right differ a little.
    """
    joints = torch.from_numpy(features_to_joints(clip.features, source.skeleton))
    image = mirror_joints(joints, source.skeleton)
    features = joints_to_features(image, source.skeleton, shortest_turn=True)
    labels = {key: mirror_caption(value) for key, value in clip.labels.items()}
    captions = tuple(mirrored(caption) for caption in clip.captions)
    return LoadedClip(f"M{clip.id}", clip.split, features.numpy(), captions, labels)


def _unusable(clip: LoadedClip, source: Source) -> str:
    """Why a clip cannot be used at all, or an empty string."""
    width = get_skeleton(source.skeleton).features
    if clip.features.ndim != 2 or clip.features.shape[1] != width:
        return f"features of shape {clip.features.shape}, expected (frames, {width})"
    if not np.isfinite(clip.features).all():
        return "features hold a value that is not finite (NaN or infinity)"
    if not any(caption.text.strip() for caption in clip.captions):
        return "no caption: add one, or give a template"
    frames = len(clip.features)
    if frames < source.min_frames or (frames > source.max_frames and source.long_clips != "split"):
        return f"{frames} frames, outside {source.min_frames}..{source.max_frames}: left out"
    return ""


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
    features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    start = 0
    for clip in clips:
        features[start : start + len(clip)] = clip
        start += len(clip)
    features.flush()
    return features


def _write(folder: Path, source: Source, splits: dict[str, _Split], report: PackReport) -> None:
    skeleton = get_skeleton(source.skeleton)
    for name, split in splits.items():
        array, index = (folder / part for part in part_names(name))
        features = _write_features(array, split.features)
        write_json(index, split.columns)
        report.clips[name] = len(split.columns["id"])
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
