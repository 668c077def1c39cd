"""Motions and sentences as vectors of a judge, each distinct one once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface
from typing import TypeVar, runtime_checkable

import numpy as np

from lead.evaluation.judge import Judge
from lead.evaluation.real_clips import RealClips
from lead.evaluation.replication import Crop
from lead.representation import Skeleton
from lead.representation.features import with_constant_bones

Motions = Sequence[np.ndarray]
Reconstruct = Callable[[Motions], Motions]
"""Motions -> their reconstructions, both un-normalised features (frames, F)."""

Generate = Callable[[Sequence[str], Sequence[int], Sequence[int]], Motions]
"""Captions, frames and seeds -> motions as un-normalised features (frames, F), in that order."""

CHUNK = 1024  # motions in memory at once

Item = TypeVar("Item")


@runtime_checkable
class Embedder(Interface):
    """What a protocol asks of a judge; rows come back in the order given."""

    def embed_motions(self, features: Motions) -> np.ndarray:
        """Vectors (n, dim) of un-normalised features, each (frames, F)."""

    def embed_texts(self, captions: Sequence[str], tokens: Sequence[str] | None) -> np.ndarray:
        """Vectors (n, dim) of sentences with their ``word/TAG`` where the data set has them."""


@dataclass(frozen=True)
class ConstantBones:
    """A judge that sees motions as people do: with the bones of the skeleton."""

    judge: Embedder
    skeleton: Skeleton

    def embed_motions(self, features: Motions) -> np.ndarray:
        """Vectors (n, dim) of un-normalised features, each (frames, F), with constant bones."""
        return self.judge.embed_motions(
            [with_constant_bones(motion, self.skeleton.name) for motion in features]
        )

    def embed_texts(self, captions: Sequence[str], tokens: Sequence[str] | None) -> np.ndarray:
        """Vectors (n, dim) of sentences."""
        return self.judge.embed_texts(captions, tokens)


@dataclass(frozen=True)
class WithScores:
    """A judge whose vectors are followed by the unit vectors of its CLIP-score."""

    judge: Judge

    def embed_motions(self, features: Motions) -> np.ndarray:
        """Vectors (n, dim + dim of the score)."""
        return np.hstack([self.judge.embed_motions(features), self.judge.compare_motions(features)])

    def embed_texts(self, captions: Sequence[str], tokens: Sequence[str] | None) -> np.ndarray:
        """Vectors (n, dim + dim of the score)."""
        own = self.judge.embed_texts(captions, tokens)
        return np.hstack([own, self.judge.compare_texts(captions)])


class Vectors:
    """Vectors by what they are of."""

    def __init__(self, keys: Sequence, rows: np.ndarray):
        self.places = {key: place for place, key in enumerate(keys)}
        self.rows = rows

    def of(self, keys: Iterable) -> np.ndarray:
        """(keys, dim), in their order."""
        return self.rows[[self.places[key] for key in keys]]


def cut(real: RealClips, crop: Crop) -> np.ndarray:
    """The features of a crop."""
    return real.features[crop.clip][crop.start : crop.start + crop.frames]


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """``items`` in parts of CHUNK."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
