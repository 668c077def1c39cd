"""A whole protocol: every row of the table, from motions to estimates."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from lead.core.errors import RequestError
from lead.core.seeding import make_generator
from lead.evaluation import metrics
from lead.evaluation.embeddings import (
    ConstantBones,
    Embedder,
    Generate,
    Reconstruct,
    Vectors,
    WithScores,
    chunks,
    cut,
)
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.judge import Judge
from lead.evaluation.protocol import REAL, TOP_K, Protocol, ProtocolResult
from lead.evaluation.real_clips import RealClips
from lead.evaluation.replication import Replication, Request, draw_replication, draw_same_text
from lead.evaluation.sharing import Sharing
from lead.evaluation.tally import Clip, PhysicalTally, grouped

LOG_SECONDS = 30  # between two lines of progress, where nobody watches a terminal
Tallies = dict[str, PhysicalTally]
Values = dict[str, dict[str, list[float]]]  # row -> measure -> a value per replication


@dataclass(frozen=True)
class _Asked:
    """Who makes motions for the requests of a protocol, and who judges them.

    ``fixed`` are vectors of what does not change; from ``dim`` on they are those of CLIP-scores.
    """

    protocol: Protocol
    judge: Embedder
    real: RealClips
    generators: Mapping[str, Generate]
    fixed: Mapping[str, Vectors]
    dim: int | None
    bar: tqdm

    def replicate(self, one: Replication, tallies: Tallies) -> dict[str, dict[str, float]]:
        """Measures of every row; the ``tallies`` measure generated motions physically."""
        crops = [request.crop for request in one.requests]
        text = self.fixed["text"].of((request.caption, request.tokens) for request in one.requests)
        rows = {name: found.of(crops) for name, found in self.fixed.items() if name != "text"}
        rows |= self.vectors(one.requests, tallies)
        reference = self.fixed[REAL].of(one.references)
        return {name: self.measure(one.seed, text, of, reference) for name, of in rows.items()}

    def measure(
        self, seed: int, text: np.ndarray, motion: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """One replication of one row; the pairs of Diversity are the same for every row."""
        protocol, dim, scored = self.protocol, self.dim, {}
        pooled = len(text) // protocol.pool_size * protocol.pool_size
        if dim is not None:
            scored["clip_score"] = metrics.clip_score(text[:pooled, dim:], motion[:pooled, dim:])
            text, motion, reference = (rows[:, :dim] for rows in (text, motion, reference))
        precision = metrics.r_precision(text, motion, protocol.pool_size, TOP_K)
        pairs = min(protocol.diversity_pairs, len(motion))
        return {
            **{f"r_precision_{k + 1}": float(share) for k, share in enumerate(precision)},
            "fid": metrics.frechet_distance(reference, motion),
            "multimodal_distance": metrics.multimodal_distance(text[:pooled], motion[:pooled]),
            "diversity": metrics.diversity(motion, pairs, make_generator(seed, "diversity")),
            **scored,
        }

    def half_fid(self, one: Replication) -> float:
        """FID of one half of the real motions, in their shuffled order, against the other half."""
        motion = self.fixed[REAL].of(one.references)[:, : self.dim]
        half = len(motion) // 2
        return metrics.frechet_distance(motion[:half], motion[half:])

    def vectors(self, requests: Sequence[Request], tallies: Tallies) -> dict[str, np.ndarray]:
        """Vectors (requests, dim) of every row; rows that share latents meet chunk by chunk.

        Those in ``tallies`` are measured physically, too.
        """
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self.generators}
        for chunk in chunks(requests):
            for name, generate in self.generators.items():
                motions = generate(
                    [request.caption for request in chunk],
                    [request.crop.frames for request in chunk],
                    [request.seed for request in chunk],
                )
                if name in tallies:
                    tallies[name].add_all(motions, [self.real.groups(r.crop) for r in chunk])
                parts[name].append(self.judge.embed_motions(motions))
                self.bar.update(len(chunk))
        return {name: np.concatenate(rows) for name, rows in parts.items()}


def progress(work: int, sharing: Sharing, name: str, unit: str) -> tqdm:
    """A bar of so many units, by the first process alone; in a log it is a line now and then."""
    hidden = not (work and sharing.is_first)
    pace = {} if sys.stderr.isatty() else {"delay": LOG_SECONDS, "mininterval": LOG_SECONDS}
    return tqdm(total=work, desc=name, unit=unit, disable=hidden, **pace)


def run_protocol(
    protocol: Protocol,
    judge: Embedder,
    real: RealClips,
    reconstructions: Mapping[str, Reconstruct],
    generators: Mapping[str, Generate],
    seed: int,
    sharing: Sharing | None = None,
) -> ProtocolResult:
    """Judge real motions, then their reconstructions, then generated motions, by name of the row.

    Every row answers the same captions, lengths and seeds, which depend on ``seed``, the
    replication and the clip alone. Real motions, reconstructions and sentences are embedded once
    for each distinct crop and caption; generated motions are in memory by chunks. The physical
    measures are those of the first replication. With ``sharing``, processes deal out replications
    and chunks of motions, and each returns the result of all. Raises RequestError where the clips
    do not fill a pool, or one is shorter than a unit.
    """
    sharing = sharing or Sharing()
    _check(protocol, real)
    dim = None  # where vectors of CLIP-scores begin
    if isinstance(judge, Judge) and judge.scorer is not None:
        judge, dim = WithScores(judge), judge.dim
    if protocol.constant_bones:
        judge = ConstantBones(judge, real.skeleton)
    drawn = [draw_replication(protocol, real, seed, n) for n in range(protocol.replications)]
    sets = protocol.multimodality_sets if generators else 0
    same_text = [draw_same_text(protocol, real, seed, n) for n in range(sets)]
    names = [REAL, *reconstructions, *generators]
    tallies = {name: PhysicalTally(real.fps, real.skeleton) for name in names}
    fixed = _embed_fixed(judge, real, drawn, reconstructions, tallies, sharing)
    parts = [part for requests in same_text for part in chunks(requests)]
    costs = [len(one.requests) for one in drawn] + [len(part) for part in parts]
    work = len(generators) * sum(costs[task] for task in sharing.own(costs))
    with progress(work, sharing, "judge", "motion") as bar:
        asked = _Asked(protocol, judge, real, generators, fixed, dim, bar)

        def judged(task: int) -> object:
            if task >= len(drawn):
                return asked.vectors(parts[task - len(drawn)], {})
            first = {name: tallies[name] for name in generators} if task == 0 else {}
            measured = asked.replicate(drawn[task], first)
            return measured, {name: tally.clips for name, tally in first.items()}

        done = sharing.run(costs, judged)
    for name, clips in done[0][1].items():
        tallies[name].clips = clips
    values = _by_measure([measured for measured, _ in done[: len(drawn)]])
    made = [{name: rows[:, :dim] for name, rows in one.items()} for one in done[len(drawn) :]]
    repeated = _judge_same_text(protocol, [*generators], same_text, made, seed)
    rows = _estimates(protocol, values, repeated)
    return ProtocolResult(
        rows={name: row | tallies[name].estimates() for name, row in rows.items()},
        grouped=grouped(tallies),
        replications=values,
        multimodality=repeated,
        half_fid=estimate([asked.half_fid(one) for one in drawn], protocol.quantile),
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
    sharing: Sharing,
) -> dict[str, Vectors]:
    """Vectors of what does not change over replications: sentences, real and rebuilt crops.

    The crops of the first are measured physically, too, rebuilt ones against the real.
    """
    requests = [request for one in drawn for request in one.requests]
    crops = [request.crop for request in requests]
    first = {request.crop for request in drawn[0].requests}
    references = [crop for one in drawn for crop in one.references]
    keys = {name: [*dict.fromkeys(crops)] for name in reconstructions}
    keys = {REAL: [*dict.fromkeys([*crops, *references])], **keys}
    parts = [(name, part) for name, own in keys.items() for part in chunks(own)]

    def embed(task: int) -> tuple[np.ndarray, list[Clip]]:
        name, part = parts[task]
        tally = PhysicalTally(real.fps, real.skeleton)
        originals = [cut(real, crop) for crop in part]
        motions = reconstructions[name](originals) if name in reconstructions else originals
        for crop, motion, original in zip(part, motions, originals, strict=True):
            if crop in first:
                tally.add(motion, None if name == REAL else original, real.groups(crop))
        return judge.embed_motions(motions), tally.clips

    done = sharing.run([len(part) for _, part in parts], embed)
    for (name, _), (_, clips) in zip(parts, done, strict=True):
        tallies[name].clips.extend(clips)
    said = [*dict.fromkeys((request.caption, request.tokens) for request in requests)]
    fixed = {"text": Vectors(said, judge.embed_texts(*zip(*said, strict=True)))}
    for name, own in keys.items():
        rows = [found for (of, _), (found, _) in zip(parts, done, strict=True) if of == name]
        fixed[name] = Vectors(own, np.concatenate(rows))
    return fixed


def _by_measure(replications: Sequence[Mapping[str, Mapping[str, float]]]) -> Values:
    return {
        name: {key: [one[name][key] for one in replications] for key in row}
        for name, row in replications[0].items()
    }


def _judge_same_text(
    protocol: Protocol,
    names: Sequence[str],
    same_text: Sequence[Sequence[Request]],
    vectors: Sequence[Mapping[str, np.ndarray]],
    seed: int,
) -> dict[str, list[list[float]]]:
    """MultiModality of every sentence: row -> set -> sentence. ``vectors`` are those of chunks."""
    repeated: dict[str, list[list[float]]] = {name: [] for name in names}
    rest = iter(vectors)
    for index, requests in enumerate(same_text):
        parts = [next(rest) for _ in chunks(requests)]
        for name in names:
            motion = np.concatenate([part[name] for part in parts])
            by_text = motion.reshape(-1, protocol.multimodality_repeats, motion.shape[1])
            generator = make_generator(seed, "same text", index)
            spread = metrics.multimodality_of_texts(
                by_text, protocol.multimodality_pairs, generator
            )
            repeated[name].append(spread.tolist())
    return repeated


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
