"""Motions beside what they are labelled as: what the classifier trains on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.seeding import derive_seed
from lead.data.clips import pad_clips
from lead.data.packed import PackedDataset, PackedSplit

UNKNOWN = -100
"""The label of a clip whose class is not among those trained; cross-entropy leaves it out."""

Member = tuple[PackedSplit, int]


@dataclass
class LabelledBatch:
    """Padded, normalised motions with the place of their class, by kind of label."""

    x: Float[Tensor, "batch frames features"]
    mask: Bool[Tensor, "batch frames"]
    labels: Mapping[str, Int[Tensor, " batch"]]
    ids: list[str]

    def to(self, device) -> "LabelledBatch":
        """The same batch on another device."""
        x, mask = (part.to(device, non_blocking=True) for part in (self.x, self.mask))
        return LabelledBatch(x, mask, {k: v.to(device) for k, v in self.labels.items()}, self.ids)


def classes_of(members: Sequence[Member], kinds: Sequence[str]) -> dict[str, list[str]]:
    """The classes of each kind of label, sorted; RequestError where a clip lacks the label."""
    for split, place in members:
        for kind in kinds:
            if kind not in split.labels[place]:
                there = ", ".join(split.labels[place]) or "none"
                raise RequestError(
                    f"clip {split.ids[place]} has no label '{kind}' (its labels: {there}): choose "
                    "others with stage.labels="
                )
    return {kind: sorted({split.labels[place][kind] for split, place in members}) for kind in kinds}


def evened(members: Sequence[Member], kinds: Sequence[str]) -> list[Member]:
    """The clips, those of rare classes several times over.

    A clip stands there about sqrt(n_most / n) times, n the clips of its rarest class, so that a
    class of five clips is still learned beside one of four hundred.
    """
    counts = {
        kind: Counter(split.labels[place][kind] for split, place in members) for kind in kinds
    }
    rarity = [
        max(max(of.values()) / of[split.labels[place][kind]] for kind, of in counts.items())
        for split, place in members
    ]
    return [
        member
        for member, ratio in zip(members, rarity, strict=True)
        for _ in range(max(1, round(ratio**0.5)))
    ]


class LabelledClips(torch.utils.data.Dataset):
    """Clips with their labels, indexed by (step, place).

    Each time a random crop of at least the share ``crop_min`` is taken; with 1 clips come whole.
    """

    def __init__(
        self,
        dataset: PackedDataset,
        members: Sequence[Member],
        classes: Mapping[str, Sequence[str]],
        *,
        crop_min: float = 1.0,
        seed: int = 0,
    ):
        self.members, self.classes = members, classes
        self.mean, self.std = dataset.normalizer.mean.numpy(), dataset.normalizer.std.numpy()
        self.crop_min, self.seed = crop_min, seed

    @property
    def frames(self) -> np.ndarray:
        """Length of each clip."""
        return np.array([split.frames[place] for split, place in self.members])

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: tuple[int, int]) -> tuple[str, np.ndarray, dict[str, int]]:
        step, row = index
        split, place = self.members[row]
        rng = np.random.default_rng(derive_seed(self.seed, "labelled", step, row))
        motion = (self._crop(split.clip(place), rng) - self.mean) / self.std
        labels = {kind: split.labels[place].get(kind) for kind in self.classes}
        known = {
            kind: names.index(labels[kind]) if labels[kind] in names else UNKNOWN
            for kind, names in self.classes.items()
        }
        return split.ids[place], motion.astype(np.float32), known

    def _crop(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        frames = len(clip)
        length = int(rng.integers(int(np.ceil(self.crop_min * frames)), frames + 1))
        begin = int(rng.integers(0, frames - length + 1))
        return clip[begin : begin + length]


def collate_labelled(items: Sequence[tuple[str, np.ndarray, dict[str, int]]]) -> LabelledBatch:
    """Collate function."""
    batch = pad_clips([(name, motion) for name, motion, _ in items])
    labels = {kind: torch.tensor([known[kind] for *_, known in items]) for kind in items[0][2]}
    return LabelledBatch(batch.x, batch.mask, labels, batch.ids)
