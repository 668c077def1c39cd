"""Prepared datasets made one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from lead.core.errors import RequestError, did_you_mean
from lead.data.packed import WEIGHT, PackedDataset, open_dataset
from lead.data.source import Caption, Item, LoadedClip, Rejected, Source

MOST_WEIGHT = 1000
LONGEST = 1 << 30  # frames: parts have their own limits, and were prepared with them


@dataclass
class MixSource(Source):
    """Packed datasets of one skeleton and frame rate as one dataset.

    ``parts`` are their folders; a clip is called NAME/ID, and its labels say which ``part`` it is
    of, under which ``licence``. Splits stay those of the parts, held-out clips too; mean and
    deviation are those of all training clips. ``weights`` says how often the clips of a part,
    by its name, come in an epoch of training: once where it is not given.
    """

    parts: Sequence[Path | str]
    weights: Mapping[str, float | int] = field(default_factory=dict)
    name: str = "mix"

    long_clips: ClassVar[str] = "drop"
    min_frames: ClassVar[int] = 1
    max_frames: ClassVar[int] = LONGEST

    def __post_init__(self) -> None:
        if not self.parts:
            raise RequestError("a mix needs parts: say parts=[datasets/A,datasets/B]")
        for name, weight in self.weights.items():
            if name not in self._datasets:
                raise RequestError(
                    f"weights: no part '{name}', {did_you_mean(name, self._datasets)}"
                )
            if not isinstance(weight, (int, float)) or not 0 < weight <= MOST_WEIGHT:
                raise RequestError(
                    f"weights: {name} has {weight!r:.40}, a number above 0 is due, "
                    f"up to {MOST_WEIGHT}"
                )
        first, *others = self._datasets.values()
        for other in others:
            if (other.skeleton.name, other.fps) != (first.skeleton.name, first.fps):
                raise RequestError(
                    f"{other.folder} has skeleton {other.skeleton.name} at {other.fps:g} fps, "
                    f"{first.folder} {first.skeleton.name} at {first.fps:g}: mix what is alike"
                )

    def __reduce__(self) -> tuple:
        """By its options: a worker opens the parts itself, their arrays are not sent."""
        return MixSource, (self.parts, self.weights, self.name)

    @cached_property
    def _datasets(self) -> dict[str, PackedDataset]:
        """The parts by their names; RequestError where two are called the same."""
        opened = [open_dataset(folder) for folder in self.parts]
        names = [dataset.manifest.name for dataset in opened]
        for name, count in Counter(names).items():
            if count > 1:
                raise RequestError(f"{count} parts are called '{name}': give each part once")
        return dict(zip(names, opened, strict=True))

    @property
    def skeleton(self) -> str:
        """The skeleton that all parts have."""
        return next(iter(self._datasets.values())).skeleton.name

    @property
    def fps(self) -> float:
        """The frame rate that all parts have."""
        return next(iter(self._datasets.values())).fps

    @property
    def licence(self) -> str:
        """The licences of the parts, each with its part."""
        found = (f"{name}: {part.manifest.licence}" for name, part in self._datasets.items())
        return "; ".join(found)

    def list_items(self) -> list[Item]:
        """Every clip of every part."""
        return [
            item
            for name, dataset in self._datasets.items()
            for split in dataset.manifest.clips
            for item in self._items(name, dataset, split)
        ]

    def _items(self, name: str, dataset: PackedDataset, split: str) -> list[Item]:
        packed, weight = dataset.split(split), self.weights.get(name, 1)
        own = {"part": name, "licence": str(dataset.manifest.licence)}
        own |= {} if weight == 1 else {WEIGHT: f"{weight:g}"}
        return [
            Item(
                id=f"{name}/{packed.ids[place]}",
                path=dataset.folder / f"{split}.npy",
                split=split,
                captions=tuple(
                    Caption(text, tokens)
                    for text, tokens in zip(
                        packed.captions[place], packed.tokens[place], strict=True
                    )
                ),
                labels={**packed.labels[place], **own},
            )
            for place in range(len(packed))
        ]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """The features of some clips, as their parts have them."""
        return [self._load(item) for item in items]

    def _load(self, item: Item) -> LoadedClip:
        name = item.labels["part"]
        packed = self._split(name, item.split)
        features = np.array(packed.clip(self._places[name, item.split][item.id]))
        return LoadedClip(item.id, item.split, features, item.captions, item.labels)

    def _split(self, name: str, split: str):
        return self._opened.setdefault((name, split), self._datasets[name].split(split))

    @cached_property
    def _opened(self) -> dict:
        return {}

    @cached_property
    def _places(self) -> dict[tuple[str, str], dict[str, int]]:
        """Where each clip stands in its split, by part and split."""
        return {
            (name, split): {
                f"{name}/{clip}": place for place, clip in enumerate(self._split(name, split).ids)
            }
            for name, dataset in self._datasets.items()
            for split in dataset.manifest.clips
        }

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """Clips and captions of each part, and its licence."""
        return {
            "skeleton": self.skeleton,
            "fps": self.fps,
            "clips": dict(Counter(item.labels["part"] for item in items)),
            "splits": dict(Counter(item.split for item in items)),
            "captions": sum(len(item.captions) for item in items),
            "licence": self.licence,
        }
