"""Motion files to feature clips, many at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from lead.core.errors import RequestError
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
    results: dict[int, LoadedClip | Rejected] = {}
    motions: dict[int, np.ndarray] = {}
    for place, item in enumerate(items):
        try:
            motions[place] = _load_joints(item.path, settings, (cuts or {}).get(item.id))
        except RequestError as error:
            results[place] = Rejected(item.id, str(item.path), str(error))
    clips = loaded_clips([items[place] for place in motions], [*motions.values()])
    results |= zip(motions, clips, strict=True)
    return [results[place] for place in range(len(items))]


def loaded_clips(items: Sequence[Item], motions: Sequence[np.ndarray]) -> list[LoadedClip]:
    """Items with the features of their joints (frames, 22, 3)."""
    return [
        LoadedClip(item.id, item.split, features, item.captions, item.labels)
        for item, features in zip(items, clip_features(motions), strict=True)
    ]


def clip_features(motions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """HumanML3D features (frames - 1, 263) of joints (frames, 22, 3), several at a time."""
    results: dict[int, np.ndarray] = {}
    for places in _batches([len(joints) for joints in motions]):
        batch = [torch.tensor(motions[place]) for place in places]
        lengths = torch.tensor([len(joints) for joints in batch])
        padded = pad_sequence(batch, batch_first=True)
        features = joints_to_features_batch(padded, lengths, shortest_turn=True).numpy()
        for place, rows in zip(places, features, strict=True):
            results[place] = rows[: len(motions[place]) - 1].copy()
    return [results[place] for place in range(len(motions))]


def _load_joints(path: Path, settings: BvhSettings, cut: tuple[int, int] | None) -> np.ndarray:
    joints = load_bvh_joints(path, cut=cut, **vars(settings))
    if len(joints) < 2:
        raise RequestError(f"{path}: one frame at {settings.fps:g} fps is no motion")
    return joints


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Places of clips of about equal length, each batch within the limit of padded frames."""
    batches: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches and (len(batches[-1]) + 1) * lengths[place] <= _BATCH_FRAMES:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches
