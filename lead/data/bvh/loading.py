"""Motion files to feature clips, many at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lead.core.errors import RequestError
from lead.data.bvh.conventions import check_conventions
from lead.data.bvh.joints import load_bvh_joints
from lead.data.bvh.motion_files import AMC_FPS
from lead.data.bvh.skeleton_maps import load_skeleton_map
from lead.data.source import Item, LoadedClip, Rejected
from lead.representation import joints_to_features_batch

_BATCH_FRAMES = 8192  # padded frames per call, so that long clips do not fill the memory


@dataclass(frozen=True)
class BvhSettings:
    """How BVH and AMC files become joints: see ``load_bvh_joints``."""

    skeleton_map: str | Path | None = None  # shipped name or YAML file; None: by joint names
    units: str = "auto"  # m, cm, mm, inch, auto
    up_axis: str = "auto"  # y, z, x, auto: judged for each file
    fps: float = 20.0
    usual_axis: str | None = None  # of most files, for those that do not show theirs
    amc_fps: float | int = AMC_FPS  # the frame rate of AMC files

    def __post_init__(self) -> None:
        check_conventions(self.units, self.up_axis)
        for name in ("fps", "amc_fps"):
            if not 1 <= getattr(self, name) <= 1000:
                rate = getattr(self, name)
                raise RequestError(f"{name}={rate} is no frame rate: give 1 to 1000")
        if self.skeleton_map is not None:
            load_skeleton_map(self.skeleton_map)


def load_bvh_items(
    items: Sequence[Item],
    settings: BvhSettings,
    cuts: Mapping[str, tuple[int, int]] | None = None,
) -> list[LoadedClip | Rejected]:
    """Read items as HumanML3D features, one result per item, in order.

    ``cuts`` gives for an id the first frame to read and the one after the last, as the file counts
    them. A file that cannot be used comes back as Rejected with its reason.
    """
    results: list[LoadedClip | Rejected | None] = [None] * len(items)
    clips: list[tuple[int, np.ndarray]] = []
    for place, item in enumerate(items):
        try:
            cut = (cuts or {}).get(item.id)
            clips.append((place, _load_joints(item.path, settings, cut)))
        except RequestError as error:
            results[place] = Rejected(item.id, str(item.path), str(error))
    places = [place for place, _ in clips]
    loaded = loaded_clips([items[place] for place in places], [joints for _, joints in clips])
    for place, clip in zip(places, loaded, strict=True):
        results[place] = clip
    return results


def loaded_clips(items: Sequence[Item], motions: Sequence[np.ndarray]) -> list[LoadedClip]:
    """Items with the features of their joints (frames, 22, 3)."""
    return [
        LoadedClip(item.id, item.split, features, item.captions, item.labels)
        for item, features in zip(items, clip_features(motions), strict=True)
    ]


def clip_features(motions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """HumanML3D features (frames - 1, 263) of joints (frames, 22, 3), several at a time."""
    results: list[np.ndarray | None] = [None] * len(motions)
    for batch in _batches(list(enumerate(motions))):
        for place, features in _features(batch):
            results[place] = features
    return results


def _load_joints(
    path: Path, settings: BvhSettings, cut: tuple[int, int] | None = None
) -> np.ndarray:
    joints = load_bvh_joints(
        *(path, settings.skeleton_map, settings.fps, settings.units, settings.up_axis, cut),
        usual_axis=settings.usual_axis,
        amc_fps=settings.amc_fps,
    )
    if len(joints) < 2:
        raise RequestError(f"{path}: one frame at {settings.fps:g} fps is no motion")
    return joints


def _batches(clips: list[tuple[int, np.ndarray]]) -> list[list[tuple[int, np.ndarray]]]:
    """Clips of about equal length together, each batch within the limit of padded frames."""
    batches: list[list[tuple[int, np.ndarray]]] = []
    for clip in sorted(clips, key=lambda clip: len(clip[1])):
        if batches and (len(batches[-1]) + 1) * len(clip[1]) <= _BATCH_FRAMES:
            batches[-1].append(clip)
        else:
            batches.append([clip])
    return batches


def _features(batch: list[tuple[int, np.ndarray]]) -> list[tuple[int, np.ndarray]]:
    lengths = [len(joints) for _, joints in batch]
    padded = np.zeros((len(batch), max(lengths), *batch[0][1].shape[1:]), dtype=np.float32)
    for row, (_, joints) in zip(padded, batch, strict=True):
        row[: len(joints)] = joints
    features = joints_to_features_batch(
        torch.from_numpy(padded), torch.tensor(lengths), shortest_turn=True
    ).numpy()
    return [
        (place, rows[: length - 1].copy())
        for (place, _), rows, length in zip(batch, features, lengths, strict=True)
    ]
