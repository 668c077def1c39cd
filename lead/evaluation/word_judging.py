"""How well learned words do in sentences: style and content by a classifier, the rest by a judge.

A table compares rows of motions that answer the same requests. Measures of single motions (style,
content, sliding) are averaged within each concept first, so that their intervals are over concepts;
measures of sets (R-precision, FID, MM-dist, Diversity) are taken once a seed, and their intervals
are over seeds.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lead.core.errors import RequestError
from lead.core.seeding import derive_seed, make_generator
from lead.evaluation import metrics
from lead.evaluation.classifier.classifier import Classifier
from lead.evaluation.embeddings import Embedder
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.physical import foot_skating_ratio
from lead.evaluation.protocol import TOP_K
from lead.evaluation.table import Column
from lead.representation import Skeleton, features_to_joints

POOL = 32
PAIRS = 300

COLUMNS = (
    Column("style", "style", "%", better="higher", digits=1),
    Column("style_gain", "above plain", "%", better="higher", digits=1),
    Column("content", "content", "%", better="higher", digits=1),
    Column("both", "both", "%", better="higher", digits=1),
    Column("r_precision_3", "R@3", better="higher"),
    Column("fid", "FID", better="lower", digits=2),
    Column("multimodal_distance", "MM-dist", better="lower", digits=2),
    Column("diversity", "Diversity", better="real", digits=2),
    Column("foot_skating_ratio", "skating", better="lower"),
)
"""The measures, in the order of a table."""


@dataclass(frozen=True, eq=False)
class Request:
    """One motion that is asked for, and what it is compared with.

    ``reference`` is a real motion (frames, F) of the wanted style and content, ``caption`` one of
    its captions. ``style`` and ``content`` are empty where the data set has no such labels.
    """

    concept: str
    caption: str
    tokens: str
    reference: np.ndarray
    style: str = ""
    content: str = ""


@dataclass
class Row:
    """All that was measured of one row: of its motions, and of the set of each seed.

    ``scores`` are, by measure, the seed, concept and value of each motion.
    """

    scores: dict[str, list[tuple[int, str, float]]] = field(default_factory=dict)
    sets: dict[str, list[float]] = field(default_factory=dict)

    def concept_means(self, measure: str) -> dict[str, float]:
        """Mean of a measure for each concept, over its motions and seeds."""
        return _means((concept, value) for _, concept, value in self.scores[measure])

    def seed_means(self, measure: str) -> dict[int, float]:
        """Mean of a measure for each seed, over all motions."""
        return _means((seed, value) for seed, _, value in self.scores[measure])

    @property
    def measures(self) -> list[str]:
        """The measures of single motions."""
        return [*self.scores]


def _means(pairs: Iterable[tuple[Hashable, float]]) -> dict:
    values: dict[Hashable, list[float]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {key: float(np.mean(of)) for key, of in values.items()}


class WordJudge:
    """Judges rows of motions against requests; ``judge`` or ``classifier`` may be None."""

    def __init__(
        self,
        judge: Embedder | None,
        classifier: Classifier | None,
        fps: float,
        skeleton: Skeleton,
    ):
        if judge is None and classifier is None:
            raise RequestError("nothing to judge by: give an evaluator or a classifier")
        self.judge, self.classifier = judge, classifier
        self.fps, self.skeleton = fps, skeleton
        self.rows: dict[str, Row] = {}

    def add(
        self, name: str, requests: Sequence[Request], motions: Sequence[np.ndarray], seed: int
    ) -> None:
        """Judge the motions of one row and seed, one for each request."""
        row = self.rows.setdefault(name, Row())
        for measure, values in self._of_motions(requests, motions).items():
            row.scores.setdefault(measure, []).extend(
                (seed, request.concept, float(value))
                for request, value in zip(requests, values, strict=True)
            )
        for measure, value in self._of_set(requests, motions, seed).items():
            row.sets.setdefault(measure, []).append(value)

    def estimates(self, plain: Mapping[str, str]) -> dict[str, dict[str, Estimate]]:
        """Row -> measure -> estimate; ``plain`` names the row that each row's style is set against.

        ``style_gain`` is the mean over concepts of a row's style accuracy minus the other row's.
        """
        return {name: self._estimates(row, plain.get(name)) for name, row in self.rows.items()}

    def _estimates(self, row: Row, plain: str | None) -> dict[str, Estimate]:
        found = {m: estimate([*row.concept_means(m).values()]) for m in row.measures}
        found |= {measure: estimate(values) for measure, values in row.sets.items()}
        if plain is not None and "style" in found:
            before = self.rows[plain].concept_means("style")
            gains = [mean - before[c] for c, mean in row.concept_means("style").items()]
            found["style_gain"] = estimate(gains)
        return found

    def _of_motions(
        self, requests: Sequence[Request], motions: Sequence[np.ndarray]
    ) -> dict[str, Sequence[float]]:
        slides = [
            foot_skating_ratio(
                features_to_joints(motion, self.skeleton.name), self.fps, self.skeleton
            )
            for motion in motions
        ]
        if self.classifier is None:
            return {"foot_skating_ratio": slides}
        predicted = self.classifier.predict(motions)
        right = {
            kind: np.array(of.labels) == np.array([getattr(r, kind) for r in requests])
            for kind, of in predicted.items()
        }
        shares = {kind: (100.0 * values).tolist() for kind, values in right.items()}
        both = (100.0 * np.logical_and.reduce([*right.values()])).tolist()
        return {**shares, "both": both, "foot_skating_ratio": slides}

    def _of_set(
        self, requests: Sequence[Request], motions: Sequence[np.ndarray], seed: int
    ) -> dict[str, float]:
        """What the judge says of a whole row; FID is against the distinct references."""
        if self.judge is None:
            return {}
        order = np.random.default_rng(derive_seed(seed, "pools")).permutation(len(requests))
        captions, tokens = zip(*((r.caption, r.tokens) for r in requests), strict=True)
        text = self.judge.embed_texts(captions, tokens)[order]
        motion = self.judge.embed_motions(motions)[order]
        distinct = {id(r.reference): r.reference for r in requests}
        reference = self.judge.embed_motions([*distinct.values()])
        pool = min(POOL, len(motion))
        precision = metrics.r_precision(text, motion, pool, min(TOP_K, pool))
        pairs = min(PAIRS, len(motion))
        return {
            **{f"r_precision_{k}": float(share) for k, share in enumerate(precision, start=1)},
            "fid": metrics.frechet_distance(reference, motion),
            "multimodal_distance": metrics.multimodal_distance(text, motion),
            "diversity": metrics.diversity(motion, pairs, make_generator(seed, "diversity")),
        }
