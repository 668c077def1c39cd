"""A whole protocol: every row of the table, from motions to estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from lead.core.errors import RequestError
from lead.core.seeding import make_generator
from lead.evaluation import metrics
from lead.evaluation.embeddings import (
    Embedder,
    Generate,
    Reconstruct,
    Vectors,
    chunks,
    embed_crops,
    embed_generated,
    embed_texts,
)
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.protocol import REAL, TOP_K, Protocol, ProtocolResult
from lead.evaluation.real_clips import RealClips
from lead.evaluation.replication import Replication, Request, draw_replication, draw_same_text
from lead.evaluation.tally import PhysicalTally

Tallies = dict[str, PhysicalTally]
Values = dict[str, dict[str, list[float]]]  # row -> measure -> a value per replication


@dataclass(frozen=True)
class _Asked:
    """Who makes motions for the requests of a protocol, and who judges them."""

    judge: Embedder
    generators: Mapping[str, Generate]
    bar: tqdm

    def vectors(self, requests: Sequence[Request], tallies: Tallies) -> dict[str, np.ndarray]:
        """Vectors (requests, dim) of every row; rows that share latents meet chunk by chunk."""
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self.generators}
        for chunk in chunks(requests):
            for name, generate in self.generators.items():
                made = embed_generated(self.judge, generate, chunk, tallies.get(name))
                parts[name].append(made)
                self.bar.update(len(chunk))
        return {name: np.concatenate(rows) for name, rows in parts.items()}


def run_protocol(
    protocol: Protocol,
    judge: Embedder,
    real: RealClips,
    reconstructions: Mapping[str, Reconstruct],
    generators: Mapping[str, Generate],
    seed: int,
) -> ProtocolResult:
    """Judge real motions, then their reconstructions, then generated motions, by name of the row.

    Every row answers the same captions, lengths and seeds, which depend on ``seed``, the
    replication and the clip alone. Real motions, reconstructions and sentences are embedded once
    for each distinct crop and caption; generated motions are in memory by chunks. The physical
    measures are those of the first replication. Raises RequestError where the clips do not fill a
    pool, or one is shorter than a unit.
    """
    _check(protocol, real)
    drawn = [draw_replication(protocol, real, seed, n) for n in range(protocol.replications)]
    sets = protocol.multimodality_sets if generators else 0
    same_text = [draw_same_text(protocol, real, seed, n) for n in range(sets)]
    names = [REAL, *reconstructions, *generators]
    tallies = {name: PhysicalTally(real.fps, real.skeleton) for name in names}
    fixed = _embed_fixed(judge, real, drawn, reconstructions, tallies)
    work = len(generators) * sum(map(len, [*(one.requests for one in drawn), *same_text]))
    with tqdm(total=work, desc="judge", unit="motion", disable=None if work else True) as bar:
        asked = _Asked(judge, generators, bar)
        values = _judge_replications(protocol, asked, drawn, fixed, tallies)
        repeated = _judge_same_text(protocol, asked, same_text, seed)
    rows = _estimates(protocol, values, repeated)
    return ProtocolResult(
        rows={name: row | tallies[name].estimates() for name, row in rows.items()},
        replications=values,
        multimodality=repeated,
        half_fid=estimate([_half_fid(fixed, one) for one in drawn], protocol.quantile),
        seeds=[one.seed for one in drawn],
        clips=len(real),
        pools=len(real) // protocol.pool_size,
        diversity_pairs=min(protocol.diversity_pairs, len(real)),
        multimodality_texts=min(protocol.multimodality_texts, len(real)),
    )


def _check(protocol: Protocol, real: RealClips) -> None:
    if len(real) < max(protocol.pool_size, 4):
        raise RequestError(
            f"{real.dataset} {real.split}: {len(real)} clips do not fill a pool of "
            f"{protocol.pool_size}: take more clips"
        )
    for name, features in zip(real.ids, real.features, strict=True):
        if len(features) < protocol.unit_length:
            raise RequestError(
                f"{real.dataset} {real.split}: clip {name} has {len(features)} frames, the "
                f"protocol needs {protocol.unit_length}: prepare the data set with longer clips"
            )


def _embed_fixed(
    judge: Embedder,
    real: RealClips,
    drawn: Sequence[Replication],
    reconstructions: Mapping[str, Reconstruct],
    tallies: Tallies,
) -> dict[str, Vectors]:
    """Vectors of what does not change over replications: sentences, real and rebuilt crops."""
    requests = [request for one in drawn for request in one.requests]
    crops = [request.crop for request in requests]
    first = {request.crop for request in drawn[0].requests}
    references = [crop for one in drawn for crop in one.references]
    fixed = {
        "text": embed_texts(judge, requests),
        REAL: embed_crops(judge, real, [*crops, *references], tallies[REAL], first),
    }
    for name, rebuild in reconstructions.items():
        fixed[name] = embed_crops(judge, real, crops, tallies[name], first, rebuild)
    return fixed


def _judge_replications(
    protocol: Protocol,
    asked: _Asked,
    drawn: Sequence[Replication],
    fixed: Mapping[str, Vectors],
    tallies: Tallies,
) -> Values:
    values: Values = {name: {} for name in tallies}
    for index, one in enumerate(drawn):
        crops = [request.crop for request in one.requests]
        text = fixed["text"].of((request.caption, request.tokens) for request in one.requests)
        rows = {name: fixed[name].of(crops) for name in tallies if name in fixed}
        rows |= asked.vectors(one.requests, tallies if index == 0 else {})
        for name, motion in rows.items():
            reference = fixed[REAL].of(one.references)
            for key, value in _measure(protocol, one.seed, text, motion, reference).items():
                values[name].setdefault(key, []).append(value)
    return values


def _measure(
    protocol: Protocol, seed: int, text: np.ndarray, motion: np.ndarray, reference: np.ndarray
) -> dict[str, float]:
    """One replication of one row; the pairs of Diversity are the same for every row."""
    pooled = len(text) // protocol.pool_size * protocol.pool_size
    precision = metrics.r_precision(text, motion, protocol.pool_size, TOP_K)
    pairs = min(protocol.diversity_pairs, len(motion))
    return {
        **{f"r_precision_{k + 1}": float(share) for k, share in enumerate(precision)},
        "fid": metrics.frechet_distance(reference, motion),
        "multimodal_distance": metrics.multimodal_distance(text[:pooled], motion[:pooled]),
        "diversity": metrics.diversity(motion, pairs, make_generator(seed, "diversity")),
    }


def _judge_same_text(
    protocol: Protocol, asked: _Asked, same_text: Sequence[Sequence[Request]], seed: int
) -> dict[str, list[list[float]]]:
    """MultiModality of every sentence: row -> set -> sentence."""
    repeated: dict[str, list[list[float]]] = {name: [] for name in asked.generators}
    for index, requests in enumerate(same_text):
        for name, motion in asked.vectors(requests, {}).items():
            by_text = motion.reshape(-1, protocol.multimodality_repeats, motion.shape[1])
            generator = make_generator(seed, "same text", index)
            spread = metrics.multimodality_of_texts(
                by_text, protocol.multimodality_pairs, generator
            )
            repeated[name].append(spread.tolist())
    return repeated


def _half_fid(fixed: Mapping[str, Vectors], one: Replication) -> float:
    """FID of one half of the real motions, in their shuffled order, against the other half."""
    motion = fixed[REAL].of(one.references)
    half = len(motion) // 2
    return metrics.frechet_distance(motion[:half], motion[half:])


def _estimates(
    protocol: Protocol, values: Values, repeated: Mapping[str, list[list[float]]]
) -> dict[str, dict[str, Estimate]]:
    rows = {
        name: {key: estimate(column, protocol.quantile) for key, column in row.items()}
        for name, row in values.items()
    }
    for name, sets in repeated.items():
        means = sets[0] if len(sets) == 1 else [float(np.mean(spread)) for spread in sets]
        rows[name]["multimodality"] = estimate(means, protocol.quantile)
    return rows
