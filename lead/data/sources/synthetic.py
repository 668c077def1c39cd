"""Motions composed by our own code: no download, no licence to ask for, always the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from lead.core.errors import RequestError
from lead.data.source import Caption, Item, LoadedClip, Rejected
from lead.data.splits import check_fractions
from lead.data.synthetic import clip_ids, compose, plan, write_captions
from lead.data.synthetic.composer import MAX_FRAMES, MIN_FRAMES
from lead.data.synthetic.script import generator
from lead.data.synthetic.timing import FPS
from lead.representation import joints_to_features_batch

CHUNK = 64  # clips turned into features at once


@dataclass(frozen=True)
class SyntheticSource:
    """Procedural motions of a stick figure with captions, on HumanML3D's skeleton.

    A clip depends on its id and ``seed`` alone, so that any subset and any worker makes the same.
    ``splits`` are shares of the clips, met to within one clip; none with a share stays empty.
    """

    clips: int | None = 1000
    seed: int = 0
    splits: Mapping[str, float] = field(
        default_factory=lambda: {"train": 0.8, "val": 0.05, "test": 0.15}
    )

    name: ClassVar[str] = "synthetic"
    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = FPS
    licence: ClassVar[str] = "CC0-1.0 (generated)"
    min_frames: ClassVar[int] = MIN_FRAMES - 1  # of features, one fewer than of joints
    max_frames: ClassVar[int] = MAX_FRAMES - 1
    long_clips: ClassVar[str] = "drop"

    def __post_init__(self) -> None:
        check_fractions(self.splits)
        filled = sum(share > 0 for share in self.splits.values())
        if (self.clips or 0) < filled:
            raise RequestError(f"clips={self.clips} cannot fill {filled} splits: ask for more")

    def list_items(self) -> list[Item]:
        """All clips by name; nothing is composed yet."""
        names = clip_ids(self.clips, self.seed)
        return [
            Item(
                id=name,
                path=Path(self.name) / name,
                split=split,
                captions=tuple(Caption(text) for text in write_captions(name, self.seed)),
                labels=plan(name, self.seed).labels(),
            )
            for name, split in zip(names, self._split_of_each(), strict=True)
        ]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """Compose the clips named by ``items`` and turn them into features."""
        loaded: list[LoadedClip | Rejected] = []
        for start in range(0, len(items), CHUNK):
            loaded += self._load_chunk(items[start : start + CHUNK])
        return loaded

    def statistics(self) -> tuple[np.ndarray, np.ndarray] | None:
        """None: they are computed from the train split."""
        return None

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """Units, axes, and how many clips, captions and actions there are."""
        captions = [caption.text for item in items for caption in item.captions]
        return {
            "made by": "lead.data.synthetic",
            "seed": self.seed,
            "unit": "metres",
            "up_axis": "y",
            "fps": self.fps,
            "skeleton": self.skeleton,
            "splits": dict(Counter(item.split for item in items)),
            "actions": dict(sorted(Counter(item.labels["action"] for item in items).items())),
            "captions": len(captions),
            "different captions": len(set(captions)),
            "licence": self.licence,
        }

    def _load_chunk(self, items: Sequence[Item]) -> list[LoadedClip]:
        motions = [compose(item.id, self.seed)[0] for item in items]
        lengths = torch.tensor([len(joints) for joints in motions])
        padded = np.zeros((len(items), int(lengths.max()), *motions[0].shape[1:]), np.float32)
        for row, joints in zip(padded, motions, strict=True):
            row[: len(joints)] = joints
        batch = joints_to_features_batch(
            torch.from_numpy(padded), lengths, self.skeleton, shortest_turn=True
        ).numpy()
        return [
            LoadedClip(
                id=item.id,
                split=item.split,
                features=features[: len(joints) - 1].copy(),
                captions=item.captions,
                labels=item.labels,
            )
            for item, joints, features in zip(items, motions, batch, strict=True)
        ]

    def _split_of_each(self) -> list[str]:
        counts = {
            name: max(1, round(self.clips * share)) for name, share in self.splits.items() if share
        }
        largest = max(counts, key=lambda name: counts[name])
        counts[largest] += self.clips - sum(counts.values())
        names = [name for name, count in counts.items() for _ in range(count)]
        order = generator(self.seed, "splits", self.clips).permutation(self.clips)
        return [names[place] for place in order]
