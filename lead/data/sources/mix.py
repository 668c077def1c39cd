"""Prepared datasets made one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from lead.core.errors import RequestError, did_you_mean
from lead.data.packed import WEIGHT, PackedDataset, PackedSplit, open_dataset
from lead.data.source import Caption, Item, LoadedClip, Rejected, Source

Weight = Annotated[float | int, Field(gt=0, le=1000)]
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
    weights: Mapping[str, Weight] = field(default_factory=dict)
    name: str = "mix"

    long_clips: ClassVar[str] = "drop"
    min_frames: ClassVar[int] = 1
    max_frames: ClassVar[int] = LONGEST

    def __post_init__(self) -> None:
        if not self.parts:
            raise RequestError("a mix needs parts: say parts=[datasets/A,datasets/B]")
        for name in self.weights:
            if name not in self._datasets:
                raise RequestError(
                    f"weights: no part '{name}', {did_you_mean(name, self._datasets)}"
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
        packed, place = self._places[item.split, item.id]
        features = np.array(packed.clip(place))
        return LoadedClip(item.id, item.split, features, item.captions, item.labels)

    @cached_property
    def _places(self) -> dict[tuple[str, str], tuple[PackedSplit, int]]:
        """Where each clip stands, by split and id."""
        return {
            (split, f"{name}/{clip}"): (packed, place)
            for name, dataset in self._datasets.items()
            for split in dataset.manifest.clips
            for packed in [dataset.split(split)]
            for place, clip in enumerate(packed.ids)
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
