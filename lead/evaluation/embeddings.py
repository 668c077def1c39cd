"""Motions and sentences as vectors of a judge, each distinct one once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface
from typing import TypeVar, runtime_checkable

import numpy as np

from lead.evaluation.judge import Judge
from lead.evaluation.real_clips import RealClips
from lead.evaluation.replication import Crop, Request
from lead.evaluation.tally import PhysicalTally
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


def embed_texts(judge: Embedder, requests: Iterable[Request]) -> Vectors:
    """Vectors of every distinct sentence, by (caption, tokens)."""
    keys = list(dict.fromkeys((request.caption, request.tokens) for request in requests))
    captions, tokens = zip(*keys, strict=True)
    return Vectors(keys, judge.embed_texts(captions, tokens))


def embed_crops(
    judge: Embedder,
    real: RealClips,
    crops: Sequence[Crop],
    tally: PhysicalTally,
    tallied: set[Crop],
    rebuild: Reconstruct | None = None,
) -> np.ndarray:
    """Vectors (crops, dim) of one chunk of crops, or of their reconstructions.

    The crops in ``tallied`` are measured physically too, reconstructions against the crop.
    """
    originals = [cut(real, crop) for crop in crops]
    motions = originals if rebuild is None else rebuild(originals)
    for crop, motion, original in zip(crops, motions, originals, strict=True):
        if crop in tallied:
            tally.add(
                motion, None if rebuild is None else original, real.groups(crop.clip, crop.frames)
            )
    return judge.embed_motions(motions)


def embed_generated(
    judge: Embedder,
    real: RealClips,
    generate: Generate,
    requests: Sequence[Request],
    tally: PhysicalTally | None,
) -> np.ndarray:
    """Vectors (requests, dim) of motions made for one chunk; a ``tally`` measures them too."""
    motions = generate(
        [request.caption for request in requests],
        [request.crop.frames for request in requests],
        [request.seed for request in requests],
    )
    if tally is not None:
        crops = [request.crop for request in requests]
        tally.add_all(motions, [real.groups(crop.clip, crop.frames) for crop in crops])
    return judge.embed_motions(motions)


def cut(real: RealClips, crop: Crop) -> np.ndarray:
    """The features of a crop."""
    return real.features[crop.clip][crop.start : crop.start + crop.frames]


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """``items`` in parts of CHUNK."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
