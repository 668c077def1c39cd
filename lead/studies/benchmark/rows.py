"""The rows of an evaluation: callables that rebuild or make motions, from the runs that are named.

Loaded only where a run is measured. Motions are un-normalised features (frames, F) on either side.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lead.core.errors import RequestError, did_you_mean
from lead.core.files import last_name
from lead.core.runs import Run
from lead.core.seeding import derive_seed
from lead.data.cache import NULL_TEXT
from lead.data.clips import length_sorted_batches, padded_batches
from lead.data.packed import PackedDataset
from lead.evaluation.embeddings import Generate, Motions, Reconstruct
from lead.evaluation.estimate import Estimate, estimate
from lead.generation.attention import sink_shares
from lead.generation.loading import CODERS, load_coder, load_for_inference
from lead.generation.motion_coder import LatentMap, joined
from lead.generation.motion_model import MotionModel, Sampling
from lead.models.vae import sample_posterior
from lead.studies.request import EvaluateRequest

FITTED = 1024  # latents of each kind that moment matching is fitted on
WATCHED = 64  # motions drawn at once whose attention is looked at
DECODED = 32  # motions decoded at once: of nearly equal lengths, and in a CPU's caches


@dataclass(frozen=True)
class Rows:
    """The rows below Real, by name and in the order of the table."""

    reconstructions: dict[str, Reconstruct]
    generators: dict[str, Generate]
    drawn: "DrawnLatents | None" = None
    samplings: Mapping[str, Sampling] = field(default_factory=dict)  # of the generators


def load_rows(named: Run, dataset: PackedDataset, request: EvaluateRequest) -> Rows:
    """Reconstruction, what the model draws, realigned where it can, then the controls.

    A run of an auto-encoder has the reconstruction alone. Raises RequestError for options that do
    not fit.
    """
    known = request.control
    for name in request.controls:
        if name not in known:
            raise RequestError(f"unknown control '{name}': {did_you_mean(name, known)}")
    controls = [known[name] for name in request.controls]
    if named.stage in CODERS:
        if controls or request.projectors:
            raise RequestError(
                f"{named.folder} is a {named.stage} run, which generates nothing to compare"
            )
        coder = load_for_inference(request, lambda _: load_coder(named))
        return Rows({f"{coder.code} reconstruction": coder.rebuild}, {})
    model = load_for_inference(request)
    latents = DrawnLatents(model, request.batch_size)
    plain = request.sampling
    model.check_sampling(plain)
    projectors = _projectors(model, request)
    rebuilt: dict[str, Reconstruct] = {}
    if model.can("rebuild"):
        rebuilt = {f"{model.code} reconstruction": model.rebuild} | {
            f"{model.code} + {'projector' if name == 'LEAD' else name} reconstruction": partial(
                model.rebuild, change=realign
            )
            for name, realign in projectors.items()
        }
    made = {f"generated ({model.title})": (plain, None)}
    made |= {f"generated ({name})": (plain, realign) for name, realign in projectors.items()}
    for control in controls:
        sampling = replace(plain, **control.sampling)
        model.check_sampling(sampling)
        matched = _matched(latents, sampling, dataset, request) if control.moments else None
        made[f"generated ({model.title}, {control.title})"] = (sampling, matched)
    return Rows(
        rebuilt,
        {name: latents.generating(sampling, change) for name, (sampling, change) in made.items()},
        latents,
        {name: sampling for name, (sampling, _) in made.items()},
    )


class DrawnLatents:
    """Latents of the plain diffusion, drawn once for all rows that start from the same ones.

    Sentences are embedded once for good; latents are kept until others are asked for.
    """

    def __init__(self, model: MotionModel, batch_size: int):
        self.model, self.batch_size = model, batch_size
        self.conditions: dict[str, Tensor] = {}
        self.asked: tuple = ()
        self.drawn: dict[Sampling, Tensor] = {}

    def generating(self, sampling: Sampling, change: LatentMap | None) -> Generate:
        """Generation from these latents, changed before they are decoded."""

        def generate(texts: Sequence[str], frames: Sequence[int], seeds: Sequence[int]) -> Motions:
            lengths = self.within_limits(frames)
            latents = self.draw(texts, lengths, seeds, sampling)
            latents = latents if change is None else change(latents, lengths)
            return self._decode(latents, lengths, sampling)

        return generate

    def within_limits(self, frames: Sequence[int]) -> list[int]:
        """The nearest lengths that the model can make."""
        low, high = self.model.frame_limits
        return [min(max(length, low), high) for length in frames]

    def sinks(
        self,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Sampling,
    ) -> dict[str, Estimate]:
        """SinkRatio and the share of the start token, with intervals over motions."""
        self._embed(texts)
        asked, shares = (texts, self.within_limits(frames), seeds), defaultdict(list)
        for at in range(0, len(texts), WATCHED):
            part = [of[at : at + WATCHED] for of in asked]
            condition = [self.conditions[text] for text in (*part[0], NULL_TEXT)]
            for key, values in sink_shares(self.model, *part, sampling, condition).items():
                shares[key] += values
        return {key: estimate(values) for key, values in shares.items()}

    def draw(
        self,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Sampling,
    ) -> Tensor:
        """Latents (texts, tokens, ...), before any projector."""
        asked = (tuple(texts), tuple(frames), tuple(seeds))
        if asked != self.asked:
            self.asked, self.drawn = asked, {}
        if sampling not in self.drawn:
            self._embed(texts)
            parts = []
            for at in range(0, len(texts), self.batch_size):
                part = [of[at : at + self.batch_size] for of in (texts, frames, seeds)]
                condition = [self.conditions[text] for text in (*part[0], NULL_TEXT)]
                parts.append(self.model.sample(*part, sampling, condition=condition))
            self.drawn[sampling] = joined(parts)
        return self.drawn[sampling]

    def _embed(self, texts: Sequence[str]) -> None:
        new = [text for text in dict.fromkeys((*texts, NULL_TEXT)) if text not in self.conditions]
        if new:
            self.conditions.update(zip(new, self.model.embed(new), strict=True))

    def _decode(self, latents: Tensor, lengths: Sequence[int], sampling: Sampling) -> Motions:
        motions: list = [None] * len(lengths)
        for rows in length_sorted_batches(lengths, DECODED):
            frames = [lengths[row] for row in rows]
            x = self.model.decode_drawn(latents[rows], frames, sampling).numpy()
            for place, row in enumerate(rows):
                motions[row] = x[place, : lengths[row]].copy()
        return motions


def _projectors(model: MotionModel, request: EvaluateRequest) -> dict[str, LatentMap]:
    """The realigning of latents by each projector: LEAD's first, then those of projectors=."""
    realign = {"LEAD": model.project} if model.can("project") else {}
    for folder in request.projectors:
        run = Run(Path(folder))
        name = last_name(run.folder)
        if name in realign:
            raise RequestError(f"projectors= names two runs called {name}: rename one")
        realign[name] = model.with_projector(run).project
    return realign


def _matched(
    latents: DrawnLatents, sampling: Sampling, dataset: PackedDataset, request: EvaluateRequest
) -> LatentMap:
    """Per-dimension affine map of generated latents to the moments of the posterior's samples.

    Both moments are of training clips, up to FITTED of them with one caption each, so that the
    judged split plays no part in it.
    """
    latents.model.need("match_moments")
    split = dataset.split("train")
    seed = derive_seed(request.seed, "moments")
    rng = np.random.default_rng(seed)
    places = rng.permutation(len(split))[:FITTED].tolist()
    texts = [str(rng.choice(split.captions[place])) for place in places]
    clips = [split.clip(place) for place in places]
    lengths = latents.within_limits([len(clip) for clip in clips])
    made = latents.draw(texts, lengths, [seed + row for row in range(len(texts))], sampling)
    real = _posterior_samples(latents.model, clips, seed)
    scale = real.std(dim=0) / made.std(dim=0).clamp(min=1e-6)
    return lambda z, _: (z - made.mean(dim=0)) * scale + real.mean(dim=0)


@torch.no_grad()
def _posterior_samples(model: MotionModel, motions: Motions, seed: int) -> Tensor:
    """One sample of the posterior of each motion, (motions, tokens, dim)."""
    generator = torch.Generator(model.device).manual_seed(seed)
    samples = []
    for _, batch in padded_batches(motions, DECODED, model.device):
        samples.append(sample_posterior(*model.posterior(batch.x, batch.mask), generator))
    return torch.cat(samples)
