"""A table of captions: every row's sentences judged with their motions and against others' words.

A row's sentences are ranked with the motions by the judge, either way, and compared with what
people wrote. In each replication one caption of every clip is drawn: it is the Real row, and all
rows are compared with the clip's other captions, so that none has more references than another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from lead.core.errors import RequestError
from lead.evaluation import metrics
from lead.evaluation.caption_wording import (
    AGAINST,
    BERT_SCORE,
    HUNDRED,
    WORDING,
    Wording,
    Written,
    measure_against,
    measure_wording,
)
from lead.evaluation.embeddings import ConstantBones, Embedder, Vectors, chunks, cut
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.judging import progress
from lead.evaluation.protocol import COLUMNS as OF_MOTION
from lead.evaluation.protocol import REAL, TOP_K, Protocol
from lead.evaluation.real_clips import RealClips
from lead.evaluation.replication import Replication, Request, draw_replication
from lead.evaluation.sharing import Sharing
from lead.evaluation.table import Column

WAYS = {"motion_to_text": "motion→text", "text_to_motion": "text→motion"}
"""What looks for the other in a pool: one row of distances is one of these."""

RETRIEVAL = (
    *(
        Column(f"{way}_{k}", f"R@{k} {title}", better="higher")
        for way, title in WAYS.items()
        for k in range(1, TOP_K + 1)
    ),
    next(column for column in OF_MOTION if column.key == "multimodal_distance"),
)

COLUMNS = (*RETRIEVAL[:-1], *(c for own in AGAINST.values() for c in own), BERT_SCORE, *WORDING)
"""What only tables of captions have."""

TOGETHER = 64  # sentences between two moves of the bar

Captioner = Callable[[Sequence[Request], np.ndarray], Sequence[Written]]
"""Requests (which say the clip, its crop and a seed) with the judge's vectors of the motions,
(requests, dim) -> a sentence each."""

BertScores = Callable[[Sequence[str], Sequence[Sequence[str]]], np.ndarray]
"""Sentences and their references -> a score each, (sentences,)."""

Values = dict[str, dict[str, dict[str, float]]]  # group -> row -> measure


@dataclass(frozen=True)
class Group:
    """Some of the clips: how many, what they fill, and how many have another caption."""

    clips: int
    pools: int
    compared: int


@dataclass(frozen=True)
class CaptionResult:
    """Every row of every group, with what it was computed from."""

    rows: dict[str, dict[str, dict[str, Estimate]]]  # group -> row -> measure
    replications: list[Values]
    groups: dict[str, Group]
    sentences: list[dict]  # of the first replication: clip, others' captions, and each row's
    missing: dict[str, str]  # style of words -> why it is not there


@dataclass
class _Told:
    """One row's sentences in one replication, with what they are judged by; rows go together."""

    sentences: list[Written]
    text: np.ndarray
    motion: np.ndarray
    others: list[list[Written]]

    def some(self, places: Sequence[int]) -> "_Told":
        """The rows at these places."""
        chosen = ([rows[place] for place in places] for rows in (self.sentences, self.others))
        sentences, others = chosen
        return _Told(sentences, self.text[[*places]], self.motion[[*places]], others)


@dataclass
class _Table:
    """What all replications share."""

    protocol: Protocol
    judge: Embedder
    real: RealClips
    groups: Mapping[str, set[int]]
    captioners: Mapping[str, Captioner]
    motions: Vectors
    bert: BertScores | None
    wording: Wording = field(default_factory=Wording)
    vectors: dict[Written, np.ndarray] = field(default_factory=dict)

    def replicate(self, one: Replication, bar: tqdm) -> tuple[Values, list[dict]]:
        """Measures of every row of every group, and the sentences."""
        requests = one.requests
        motion = self.motions.of(request.crop for request in requests)
        others = [_others(self.real, request) for request in requests]
        rows = {REAL: [Written(request.caption, request.tokens) for request in requests]}
        for name, caption in self.captioners.items():
            rows[name] = []
            for start in range(0, len(requests), TOGETHER):
                part = requests[start : start + TOGETHER]
                rows[name] += caption(part, motion[start : start + TOGETHER])
                bar.update(len(part))
        values: Values = {group: {} for group in self.groups}
        for name, sentences in rows.items():
            told = _Told(sentences, self.embed(sentences), motion, others)
            for group, clips in self.groups.items():
                places = [n for n, request in enumerate(requests) if request.crop.clip in clips]
                values[group][name] = self.measure(told.some(places))
        return values, self._said(requests, others, rows)

    def embed(self, sentences: Sequence[Written]) -> np.ndarray:
        """The judge's vectors (sentences, dim); each different one is read once."""
        new = [s for s in dict.fromkeys(sentences) if s not in self.vectors]
        if new:
            rows = self.judge.embed_texts([s.text for s in new], [s.tokens for s in new])
            self.vectors.update(zip(new, rows, strict=True))
        return np.stack([self.vectors[sentence] for sentence in sentences])

    def measure(self, told: _Told) -> dict[str, float]:
        """All there is to say of one row of one group."""
        values = _retrieval(self.protocol, told.text, told.motion)
        values |= measure_wording(self.wording.of("raw", told.sentences) or [])
        compared = told.some([place for place, own in enumerate(told.others) if own])
        if not compared.sentences:
            return values
        for style in AGAINST:
            words = self.wording.of(style, compared.sentences)
            references = [self.wording.of(style, own) for own in compared.others]
            if words is not None and None not in references:
                values |= measure_against(style, words, references)
        if self.bert is not None:
            texts = [sentence.text for sentence in compared.sentences]
            others = [[other.text for other in own] for own in compared.others]
            values[BERT_SCORE.key] = HUNDRED * float(self.bert(texts, others).mean())
        return values

    def _said(self, requests, others, rows) -> list[dict]:
        return [
            {
                "clip": self.real.ids[request.crop.clip],
                "others": [other.text for other in others[place]],
                **{name: sentences[place].text for name, sentences in rows.items()},
            }
            for place, request in enumerate(requests)
        ]


def run_captioning(
    protocol: Protocol,
    judge: Embedder,
    real: RealClips,
    groups: Mapping[str, Sequence[int]],
    captioners: Mapping[str, Captioner],
    seed: int,
    sharing: Sharing | None = None,
    bert: BertScores | None = None,
) -> CaptionResult:
    """Judge real captions, then those of ``captioners``, by name of the row.

    ``groups`` are places of clips by name; what a group has too few clips for is left out of its
    rows. Draws of clips, captions, crops and seeds are those of the protocol of motions. With
    ``sharing``, processes deal out the replications. Raises RequestError for a group without clips.
    """
    sharing = sharing or Sharing()
    for name, places in groups.items():
        if not places:
            raise RequestError(f"{real.dataset} {real.split}: group '{name}' has no clips")
    if protocol.constant_bones:
        judge = ConstantBones(judge, real.skeleton)
    drawn = [draw_replication(protocol, real, seed, n) for n in range(protocol.replications)]
    crops = [*dict.fromkeys(request.crop for one in drawn for request in one.requests)]
    parts = [judge.embed_motions([cut(real, crop) for crop in part]) for part in chunks(crops)]
    motions = Vectors(crops, np.concatenate(parts))
    sets = {name: {*places} for name, places in groups.items()}
    table = _Table(protocol, judge, real, sets, captioners, motions, bert)
    costs = [len(one.requests) for one in drawn]
    work = len(captioners) * sum(costs[task] for task in sharing.own(costs))
    with progress(work, sharing, "captions", "clip") as bar:
        done = sharing.run(costs, lambda task: table.replicate(drawn[task], bar))
    values = [measured for measured, _ in done]
    return CaptionResult(
        rows=_estimates(protocol, values),
        replications=values,
        groups={name: _group(protocol, real, places) for name, places in groups.items()},
        sentences=done[0][1],
        missing=table.wording.missing,
    )


def _retrieval(protocol: Protocol, text: np.ndarray, motion: np.ndarray) -> dict[str, float]:
    """R-precision either way and MM-dist, over whole pools; nothing where none is filled."""
    size = protocol.pool_size
    pooled = len(text) // size * size
    if not pooled:
        return {}
    asked = {"motion_to_text": (motion, text), "text_to_motion": (text, motion)}
    values = {
        f"{way}_{k + 1}": float(share)
        for way, (rows, columns) in asked.items()
        for k, share in enumerate(metrics.r_precision(rows, columns, size, TOP_K))
    }
    distance = metrics.multimodal_distance(text[:pooled], motion[:pooled])
    return {**values, "multimodal_distance": distance}


def _others(real: RealClips, request: Request) -> list[Written]:
    """The clip's captions but for the one that was drawn."""
    clip = request.crop.clip
    own = [Written(*pair) for pair in zip(real.captions[clip], real.tokens[clip], strict=True)]
    own.remove(Written(request.caption, request.tokens))
    return own


def _group(protocol: Protocol, real: RealClips, places: Sequence[int]) -> Group:
    compared = sum(len(real.captions[place]) > 1 for place in places)
    return Group(len(places), len(places) // protocol.pool_size, compared)


def _estimates(
    protocol: Protocol, values: Sequence[Values]
) -> dict[str, dict[str, dict[str, Estimate]]]:
    return {
        group: {
            name: {
                key: estimate([one[group][name][key] for one in values], protocol.quantile)
                for key in row
            }
            for name, row in rows.items()
        }
        for group, rows in values[0].items()
    }
