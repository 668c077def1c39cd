"""Motion clips as padded, normalised batches."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from lead.core.batches import MotionBatch
from lead.core.masks import lengths_to_mask
from lead.core.seeding import derive_seed
from lead.data.packed import PackedDataset, PackedSplit


class ClipDataset(torch.utils.data.Dataset):
    """The clips of one split, normalised; training clips may be cropped at random.

    ``crop_unit`` cuts a clip to a multiple of that many frames at a random place, as the field does
    (4 frames, the evaluator's stride). ``crop_min`` > 0 also draws a random length of at least that
    many frames, ``crop_most`` > 0 cuts longer clips to that many. Indexed by (step, place), so that
    the crop depends on the training step alone.
    """

    def __init__(
        self,
        dataset: PackedDataset,
        split: str,
        *,
        crop_unit: int = 1,
        crop_min: int = 0,
        crop_most: int = 0,
        seed: int = 0,
    ):
        self.split: PackedSplit = dataset.split(split)
        self.mean = dataset.normalizer.mean.numpy()
        self.std = dataset.normalizer.std.numpy()
        self.crop_unit, self.crop_min, self.seed = crop_unit, crop_min, seed
        self.longest = self.split.frames
        if crop_most:
            self.longest = np.minimum(self.longest, crop_most)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: tuple[int, int]) -> tuple[str, np.ndarray]:
        step, place = index
        clip = self._crop(self.split.clip(place), step, place)
        return self.split.ids[place], (clip - self.mean) / self.std

    def _crop(self, clip: np.ndarray, step: int, place: int) -> np.ndarray:
        frames = len(clip)
        most = int(self.longest[place])
        longest = most // self.crop_unit * self.crop_unit or most
        if self.crop_min == 0 and longest == frames:
            return clip
        rng = np.random.default_rng(derive_seed(self.seed, "crop", step, place))
        length = longest
        fewest = -(-self.crop_min // self.crop_unit)  # in units
        if self.crop_min and longest > fewest * self.crop_unit:
            length = int(rng.integers(fewest, longest // self.crop_unit + 1)) * self.crop_unit
        begin = int(rng.integers(0, frames - length + 1))
        return clip[begin : begin + length]


def pad_clips(clips: Sequence[tuple[str, np.ndarray]]) -> MotionBatch:
    """Clips of several lengths -> one batch, zero where the mask is false."""
    lengths = torch.tensor([len(features) for _, features in clips])
    x = torch.zeros(len(clips), int(lengths.max()), clips[0][1].shape[1])
    for row, (_, features) in enumerate(clips):
        x[row, : len(features)] = torch.from_numpy(np.ascontiguousarray(features))
    return MotionBatch(x, lengths_to_mask(lengths), [name for name, _ in clips])


def length_sorted_batches(lengths: Sequence[int] | np.ndarray, batch_size: int) -> list[list[int]]:
    """Places of all clips, sorted by length, in batches: for evaluation and encoding."""
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def padded_batches(
    motions: Sequence[np.ndarray], batch_size: int, device: torch.device
) -> Iterator[tuple[list[int], MotionBatch]]:
    """All motions in batches of nearly equal lengths, each with their places."""
    for places in length_sorted_batches([len(motion) for motion in motions], batch_size):
        copies = [(str(place), np.array(motions[place])) for place in places]  # mapped: read-only
        yield places, pad_clips(copies).to(device)
