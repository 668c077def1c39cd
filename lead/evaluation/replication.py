"""The random draws of a protocol. They depend on the seed, what is drawn and the clips alone."""

from dataclasses import dataclass

import numpy as np

from lead.core.seeding import derive_seed
from lead.evaluation.protocol import Protocol
from lead.evaluation.real_clips import Crop, RealClips


@dataclass(frozen=True)
class Request:
    """One motion to make: for a caption, as long as the crop, from a seed."""

    caption: str
    tokens: str
    crop: Crop
    seed: int


@dataclass(frozen=True)
class Replication:
    """One pass over all clips, shuffled: consecutive requests are a pool."""

    seed: int
    requests: list[Request]
    references: list[Crop]  # the real motions that FID compares with


def draw_replication(protocol: Protocol, real: RealClips, seed: int, index: int) -> Replication:
    """The ``index``-th replication."""
    own = derive_seed(seed, "replication", index)
    rng = np.random.default_rng(own)
    order = rng.permutation(len(real)).tolist()
    requests = [_request(protocol, real, clip, own, rng) for clip in order]
    references = [request.crop for request in requests]
    if protocol.crop == "random":
        references = [_crop(protocol, real, crop.clip, rng) for crop in references]
    return Replication(own, requests, references)


def draw_same_text(protocol: Protocol, real: RealClips, seed: int, index: int) -> list[Request]:
    """The ``index``-th set for MultiModality: sentences of different clips, repeats in a row."""
    own = derive_seed(seed, "same text", index)
    rng = np.random.default_rng(own)
    clips = rng.permutation(len(real))[: protocol.multimodality_texts].tolist()
    texts = [_request(protocol, real, clip, own, rng) for clip in clips]
    return [
        Request(text.caption, text.tokens, text.crop, derive_seed(text.seed, "repeat", repeat))
        for text in texts
        for repeat in range(protocol.multimodality_repeats)
    ]


def _request(
    protocol: Protocol, real: RealClips, clip: int, seed: int, rng: np.random.Generator
) -> Request:
    which = int(rng.integers(len(real.captions[clip])))
    return Request(
        real.captions[clip][which],
        real.tokens[clip][which],
        _crop(protocol, real, clip, rng),
        derive_seed(seed, "motion", real.ids[clip]),
    )


def _crop(protocol: Protocol, real: RealClips, clip: int, rng: np.random.Generator) -> Crop:
    length = len(real.features[clip])
    units = length // protocol.unit_length
    if protocol.crop == "whole":
        return Crop(clip, 0, units * protocol.unit_length)
    if rng.integers(3) == 0 and units > 1:
        units -= 1
    frames = units * protocol.unit_length
    return Crop(clip, int(rng.integers(length - frames + 1)), frames)
