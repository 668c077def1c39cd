"""Joint positions of clips, computed once: what the auto-encoder of a flow reads."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from lead.core.batches import MotionBatch
from lead.core.files import content_hash
from lead.data.cache import cached_array
from lead.data.clips import ClipDataset, length_sorted_batches, pad_clips
from lead.data.packed import PackedDataset, PackedSplit
from lead.representation import constant_bones, features_to_joints
from lead.representation.normalizer import Normalizer

TOGETHER = 64  # clips


class JointDataset(ClipDataset):
    """Positions in metres of the clips of a split, with constant bones; indexed by (step, place).

    ``crop`` > 0 cuts longer clips to so many frames, at a place that the step and the clip decide;
    ``longest`` are the frames of each clip as it is served.
    """

    def __init__(self, dataset: PackedDataset, split: str, *, crop: int = 0, seed: int = 0):
        super().__init__(dataset, split, crop_most=crop, seed=seed)
        self.ends = np.cumsum(self.split.frames)
        self.joints = _cached_joints(dataset, self.split)

    def __getitem__(self, index: tuple[int, int]) -> tuple[str, np.ndarray]:
        """The clip's id and its positions (frames, joints, 3)."""
        step, place = index
        end = int(self.ends[place])
        clip = self.joints[end - int(self.split.frames[place]) : end]
        return self.split.ids[place], np.array(self._crop(clip, step, place))

    def statistics(self) -> Normalizer:
        """Mean of each coordinate over all joints and frames; one deviation, theirs on average."""
        flat = self.joints.reshape(-1, 3)
        deviation = flat.std(axis=0, dtype=np.float64).mean()
        return Normalizer(
            flat.mean(axis=0, dtype=np.float64), np.full(3, deviation if deviation > 1e-6 else 1.0)
        )


def pad_joints(clips: Sequence[tuple[str, np.ndarray]]) -> MotionBatch:
    """Clips of several lengths -> one batch whose features are the joints' coordinates."""
    return pad_clips([(name, joints.reshape(len(joints), -1)) for name, joints in clips])


def _cached_joints(dataset: PackedDataset, split: PackedSplit) -> np.ndarray:
    """Positions (all frames, joints, 3) of all clips, one after the other."""
    skeleton = dataset.skeleton

    def fill(joints: np.ndarray) -> None:
        starts = np.cumsum(split.frames) - split.frames
        batches = length_sorted_batches(split.frames, TOGETHER)
        for places in tqdm(batches, desc=f"joints of {split.name}", unit="batch", disable=None):
            batch = pad_clips([(split.ids[place], np.array(split.clip(place))) for place in places])
            held = constant_bones(features_to_joints(batch.x, skeleton.name), skeleton.name)
            for place, rows in zip(places, held, strict=True):
                frames = split.frames[place]
                joints[starts[place] : starts[place] + frames] = rows[:frames]

    key = content_hash(dataset.data_hash, split.name)[:16]
    path = dataset.folder / "cache" / f"joints-{split.name}-{key}.npy"
    return cached_array(path, (int(split.frames.sum()), skeleton.joints, 3), "float32", fill)
