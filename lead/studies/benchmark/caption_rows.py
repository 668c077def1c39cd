"""Who writes the sentences of a table of captions: a motion model, and controls without any."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lead.core.seeding import derive_seed
from lead.data.caption_kinds import BY_PEOPLE, KIND
from lead.data.packed import PackedDataset, motion_of
from lead.evaluation.caption_judging import Captioner
from lead.evaluation.caption_wording import Written
from lead.evaluation.embeddings import ConstantBones, Embedder, chunks, cut
from lead.evaluation.extractor.tags import tag_words
from lead.evaluation.protocol import Protocol
from lead.evaluation.real_clips import RealClips, real_clips
from lead.evaluation.replication import Request
from lead.generation.motion_model import MotionModel, Sampling
from lead.representation.normalizer import Normalizer

TRAIN = "train"
SENTENCE = 3  # words; lines of fewer, such as "walk", name a take

Look = Callable[[Sequence[Request], np.ndarray], np.ndarray]
"""Requests with the judge's vectors of their motions -> vectors that a neighbour is sought for."""


@dataclass(frozen=True)
class ByModel:
    """What a motion model says of the clips, in batches."""

    model: MotionModel
    real: RealClips
    batch_size: int
    sampling: Sampling
    beams: int = 1

    def __call__(self, requests: Sequence[Request], motion: np.ndarray) -> list[Written]:  # noqa: ARG002
        """A sentence for each request, by its seed."""
        said: list[Written] = []
        for start in range(0, len(requests), self.batch_size):
            part = requests[start : start + self.batch_size]
            clips = [cut(self.real, request.crop) for request in part]
            seeds = [request.seed for request in part]
            made = self.model.caption(clips, seeds, beams=self.beams, sampling=self.sampling)
            said.extend(Written(sentences[0][0]) for sentences in made)
        return said


@dataclass(frozen=True)
class Nearest:
    """One of the captions of the training clip whose vector is nearest to a motion's."""

    vectors: np.ndarray  # (training clips, dim)
    captions: Sequence[Sequence[Written]]
    look: Look

    def __call__(self, requests: Sequence[Request], motion: np.ndarray) -> list[Written]:
        """A sentence for each motion, drawn by the request's seed."""
        sought = torch.from_numpy(self.look(requests, motion))
        places = torch.cdist(sought, torch.from_numpy(self.vectors)).argmin(dim=1).tolist()
        said = []
        for request, place in zip(requests, places, strict=True):
            own = self.captions[place]
            said.append(own[derive_seed(request.seed, "caption") % len(own)])
        return said


def controls(
    protocol: Protocol, judge: Embedder, dataset: PackedDataset, real: RealClips
) -> dict[str, Captioner]:
    """Rows without any model, from the training clips: the nearest one's caption, the commonest.

    The nearest is looked for in the judge's space, which the same judge then rewards, and by plain
    features, which it does not know. Of the commonest captions there are two, since the commonest
    of all may be a line that names a take.
    """
    train, normalizer = real_clips(dataset, TRAIN), dataset.normalizer
    if protocol.constant_bones:
        judge = ConstantBones(judge, train.skeleton)
    by_judge = np.concatenate([judge.embed_motions(part) for part in chunks(train.features)])
    by_features = np.stack([summary(clip, normalizer) for clip in train.features])
    captions = [
        [Written(*pair) for pair in zip(*own, strict=True)]
        for own in zip(train.captions, train.tokens, strict=True)
    ]

    def look(requests: Sequence[Request], motion: np.ndarray) -> np.ndarray:  # noqa: ARG001
        return np.stack([summary(cut(real, request.crop), normalizer) for request in requests])

    rows: dict[str, Captioner] = {
        "nearest training clip, by judge": Nearest(by_judge, captions, lambda _, motion: motion),
        "nearest training clip, by features": Nearest(by_features, captions, look),
        "commonest caption": _always(commonest(train.ids, captions)),
    }
    sentence = commonest(train.ids, captions, SENTENCE)
    if sentence is not None:
        rows["commonest sentence"] = _always(sentence)
    return rows


def summary(clip: np.ndarray, normalizer: Normalizer) -> np.ndarray:
    """Mean and deviation of the normalised features (frames, F) over time, (2 F,)."""
    x = (clip - normalizer.mean.numpy()) / normalizer.std.numpy()
    return np.concatenate([x.mean(axis=0), x.std(axis=0)])


def commonest(
    ids: Sequence[str], captions: Sequence[Sequence[Written]], least: int = 0
) -> Written | None:
    """The caption of ``least`` words whose words most motions have, as it was first written.

    Clips cut from one motion count once: their captions are the motion's. None where none is as
    long.
    """
    first: dict[tuple[str, ...], Written] = {}
    motions: dict[tuple[str, ...], set[str]] = {}
    for clip, own in zip(ids, captions, strict=True):
        for words, written in zip(tag_words([one.text for one in own]), own, strict=True):
            if len(words) >= least:
                first.setdefault(tuple(words), written)
                motions.setdefault(tuple(words), set()).add(motion_of(clip))
    return first[max(motions, key=lambda words: len(motions[words]))] if motions else None


def _always(sentence: Written) -> Captioner:
    return lambda requests, _: [sentence] * len(requests)


def by_people(real: RealClips) -> list[int]:
    """Places of the clips whose captions people wrote."""
    return [place for place, own in enumerate(real.labels) if own.get(KIND) in BY_PEOPLE]
