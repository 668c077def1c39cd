"""The rows of an evaluation: callables that rebuild or make motions, from the runs that are named.

Loaded only where a run is measured. Motions are un-normalised features (frames, F) on either side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lead.core.devices import choose_device
from lead.core.errors import RequestError, did_you_mean
from lead.core.files import last_name
from lead.core.precision import resolve_precision
from lead.core.runs import Run
from lead.core.seeding import derive_seed
from lead.data.cache import NULL_TEXT
from lead.data.clips import length_sorted_batches, padded_batches
from lead.data.packed import PackedDataset
from lead.generation.loading import load_for_inference, make_sampling
from lead.generation.pipeline import Sampling, TextToMotion, load_projector, load_vae
from lead.models.inference import prepare
from lead.models.vae import MotionVAE, sample_posterior
from lead.representation.normalizer import Normalizer, load_normalizer

FITTED = 1024  # latents of each kind that moment matching is fitted on
DECODED = 32  # motions through the VAE at once: of nearly equal lengths, and in a CPU's caches

Motions = Sequence[np.ndarray]
Rebuild = Callable[[Motions], Motions]
Generate = Callable[[Sequence[str], Sequence[int], Sequence[int]], Motions]
LatentMap = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Rows:
    """The rows below Real, by name and in the order of the table."""

    reconstructions: dict[str, Rebuild]
    generators: dict[str, Generate]


def load_rows(named: Run, dataset: PackedDataset, config: dict) -> Rows:
    """Reconstruction by the VAE, MLD, LEAD where there is a projector, then the controls.

    A vae run has the reconstruction alone. Raises RequestError for options that do not fit.
    """
    controls = [_control(config, name) for name in config["controls"]]
    if named.stage == "vae":
        if controls or config["projectors"]:
            raise RequestError(f"{named.folder} is a vae run, which generates nothing to compare")
        device = choose_device(config["device"])
        config["precision"] = resolve_precision(config["precision"], device)
        vae = prepare(load_vae(named).to(device), config["precision"])
        normalizer = load_normalizer(named, vae.features).to(device)
        return Rows({"VAE reconstruction": rebuilding(vae, normalizer)}, {})
    pipeline = load_for_inference(config)
    latents = DrawnLatents(pipeline, config["batch_size"])
    plain = make_sampling(config, pipeline)
    projectors = _projectors(pipeline, named, config)
    rebuilt = {"VAE reconstruction": None} | {
        f"VAE + {'projector' if name == 'LEAD' else name} reconstruction": realign
        for name, realign in projectors.items()
    }
    made = {"generated (MLD)": (plain, None)}
    made |= {f"generated ({name})": (plain, realign) for name, realign in projectors.items()}
    for control in controls:
        sampling = replace(plain, guidance_scale=control["guidance_scale"])
        matched = _matched(latents, sampling, dataset, config) if control["moments"] else None
        made[f"generated (MLD, {control['title']})"] = (sampling, matched)
    return Rows(
        {
            name: rebuilding(pipeline.vae, pipeline.normalizer, realign)
            for name, realign in rebuilt.items()
        },
        {name: latents.generating(sampling, change) for name, (sampling, change) in made.items()},
    )


class DrawnLatents:
    """Latents of the plain diffusion, drawn once for all rows that start from the same ones.

    Sentences are embedded once for good; latents are kept until others are asked for.
    """

    def __init__(self, pipeline: TextToMotion, batch_size: int):
        self.pipeline, self.batch_size = pipeline, batch_size
        self.conditions: dict[str, Tensor] = {}
        self.asked: tuple = ()
        self.drawn: dict[Sampling, Tensor] = {}

    def generating(self, sampling: Sampling, change: LatentMap | None) -> Generate:
        """Generation from these latents, changed before they are decoded."""
        low, high = self.pipeline.frame_limits

        def generate(texts: Sequence[str], frames: Sequence[int], seeds: Sequence[int]) -> Motions:
            latents = self.draw(texts, seeds, sampling)
            lengths = [min(max(length, low), high) for length in frames]
            return self._decode(latents if change is None else change(latents), lengths)

        return generate

    def draw(self, texts: Sequence[str], seeds: Sequence[int], sampling: Sampling) -> Tensor:
        """Latents (texts, tokens, dim), before any projector."""
        asked = (tuple(texts), tuple(seeds))
        if asked != self.asked:
            self.asked, self.drawn = asked, {}
        if sampling not in self.drawn:
            self._embed(texts)
            places = range(0, len(texts), self.batch_size)
            self.drawn[sampling] = torch.cat(
                [
                    self._sample(texts[at : at + self.batch_size], seeds[at:], sampling)
                    for at in places
                ]
            )
        return self.drawn[sampling]

    def _sample(self, texts: Sequence[str], seeds: Sequence[int], sampling: Sampling) -> Tensor:
        condition = torch.stack([self.conditions[text] for text in (*texts, NULL_TEXT)])
        return self.pipeline.sample(
            texts, seeds[: len(texts)], sampling, project=False, condition=condition
        )

    def _embed(self, texts: Sequence[str]) -> None:
        new = [text for text in dict.fromkeys((*texts, NULL_TEXT)) if text not in self.conditions]
        if new:
            self.conditions.update(zip(new, self.pipeline.embed(new), strict=True))

    def _decode(self, latents: Tensor, lengths: Sequence[int]) -> Motions:
        motions: list = [None] * len(lengths)
        for rows in length_sorted_batches(lengths, DECODED):
            x = self.pipeline.decode(latents[rows], [lengths[row] for row in rows]).numpy()
            for place, row in enumerate(rows):
                motions[row] = x[place, : lengths[row]].copy()
        return motions


def _control(config: dict, name: str) -> dict:
    known = config["control"]
    if name not in known:
        raise RequestError(f"unknown control '{name}': {did_you_mean(name, known)}")
    return known[name]


def _projectors(pipeline: TextToMotion, named: Run, config: dict) -> dict[str, LatentMap]:
    """The realigning of latents by each projector: LEAD's first, then those of projectors=."""
    realign = {} if pipeline.projector is None else {"LEAD": pipeline.projector}
    source = Run(Path(config["diffusion"])) if config["diffusion"] else named
    device = next(pipeline.vae.parameters()).device
    for folder in config["projectors"]:
        run = Run(Path(folder))
        name = last_name(run.folder)
        if name in realign:
            raise RequestError(f"projectors= names two runs called {name}: rename one")
        projector = load_projector(run, source.holding("denoiser", "diffusion")).to(device)
        realign[name] = prepare(projector)
    return realign


def rebuilding(vae: MotionVAE, normalizer: Normalizer, realign: LatentMap | None = None) -> Rebuild:
    """Encoding (posterior mean) and decoding, with the statistics that the run was trained with."""
    device = next(vae.parameters()).device

    @torch.no_grad()
    def rebuild(motions: Motions) -> Motions:
        rebuilt: list = [None] * len(motions)
        for rows, batch in padded_batches(motions, DECODED, device):
            z, _ = vae.encode(normalizer.normalize(batch.x), batch.mask)
            z = z if realign is None else realign(z)
            features = normalizer.denormalize(vae.decode(z, batch.mask).float()).cpu().numpy()
            for place, row in enumerate(rows):
                rebuilt[row] = features[place, : len(motions[row])].copy()
        return rebuilt

    return rebuild


def _matched(
    latents: DrawnLatents, sampling: Sampling, dataset: PackedDataset, config: dict
) -> LatentMap:
    """Per-dimension affine map of generated latents to the moments of the posterior's samples.

    Both moments are of training clips, up to FITTED of them with one caption each, so that the
    judged split plays no part in it.
    """
    split = dataset.split("train")
    seed = derive_seed(config["seed"], "moments")
    rng = np.random.default_rng(seed)
    places = rng.permutation(len(split))[:FITTED].tolist()
    texts = [str(rng.choice(split.captions[place])) for place in places]
    made = latents.draw(texts, [seed + row for row in range(len(texts))], sampling)
    real = _posterior_samples(latents, [split.clip(place) for place in places], seed)
    scale = real.std(dim=0) / made.std(dim=0).clamp(min=1e-6)
    return lambda z: (z - made.mean(dim=0)) * scale + real.mean(dim=0)


@torch.no_grad()
def _posterior_samples(latents: DrawnLatents, motions: Motions, seed: int) -> Tensor:
    """One sample of the posterior of each motion, (motions, tokens, dim)."""
    pipeline = latents.pipeline
    device = next(pipeline.vae.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    samples = []
    for _, batch in padded_batches(motions, DECODED, device):
        x = pipeline.normalizer.normalize(batch.x)
        samples.append(sample_posterior(*pipeline.vae.encode(x, batch.mask), generator))
    return torch.cat(samples)
