"""Run directories of small flows, and of LEAD on latents that keep time, with random weights."""

from pathlib import Path

import numpy as np
import torch

from lead.core.building import build
from lead.core.run_record import SCHEMA_VERSION
from lead.core.runs import Run
from lead.representation.normalizer import Normalizer

TEXT = 12
ENCODER = {"_target_": "hash", "dim": TEXT}
AUTOENCODER = {"_target_": "joint_autoencoder", "width": 8, "depth": 1, "dropout": 0.0}
FLOW = {"_target_": "flow_transformer", "width": 16, "layers": 2, "heads": 2, "text_dim": TEXT}
FLOW |= {"memory_slots": 2, "local_every": 1, "text_scale": 4.0}
VAE = {"_target_": "timed_vae", "latent_dim": 6, "width": 16, "layers": 1, "heads": 2}
VAE |= {"feed_forward": 16, "patch": 3, "overlap": 1}
SCHEDULE = {"_target_": "noise_schedule"}
DENOISER = {"_target_": "timed_denoiser", "latent_dim": 6, "width": 16, "layers": 2, "heads": 2}
DENOISER |= {"text_dim": TEXT, "memory_slots": 2, "local_every": 1, "text_scale": 4.0}
PROJECTOR = {"_target_": "projector", "latent_dim": 6, "width": 16, "layers": 1, "heads": 2}
PROJECTOR |= {"text_dim": TEXT, "feed_forward": 16}
TIMED_FLOW = {**FLOW, "channels": 6, "joints": 1, "patch": 1}


def make_runs(folder: Path, frames: tuple[int, int] = (10, 60)) -> Run:
    """The flow's run; below it stands ``folder/autoencoder``."""
    positions = Normalizer([0.0, 0.8, 0.2], [0.5, 0.5, 0.5])
    below = _first(folder, "autoencoder", AUTOENCODER, positions, frames)
    return _second(folder, "flow", {"flow": FLOW}, below)


def make_timed_runs(folder: Path, frames: tuple[int, int] = (10, 60)) -> Run:
    """A flow on latents of a VAE, one of three frames; below it stands ``folder/vae``."""
    draw = np.random.default_rng(0)
    features = Normalizer(0.1 * draw.normal(size=263), draw.uniform(0.1, 0.5, 263))
    below = _first(folder, "vae", VAE, features, frames)
    latents = Normalizer(draw.normal(size=6), draw.uniform(0.5, 2, 6))
    return _second(folder, "flow", {"flow": TIMED_FLOW}, below, latents)


def make_timed_lead(folder: Path, frames: tuple[int, int] = (10, 60)) -> Run:
    """A projector on a diffusion on the same VAE; beside it stand ``diffusion`` and ``vae``."""
    flow = make_timed_runs(folder, frames)
    below, latents = flow.ancestor("vae"), Normalizer(*flow.tensors("normalizer").values())
    parts = {"denoiser": DENOISER, "schedule": SCHEDULE}
    diffusion = _second(folder, "diffusion", parts, below, latents)
    return _second(folder, "projector", {"projector": PROJECTOR}, diffusion, latents)


def _first(folder: Path, stage: str, described: dict, normalizer: Normalizer, frames) -> Run:
    facts = {"name": "made", "skeleton": "humanml3d", "fps": 20.0, "frames": list(frames)}
    below = Run(folder / stage)
    below.save_part(stage, _random(stage, described, 0))
    below.save_part("normalizer", normalizer.state_dict())
    parts = {"stage": stage, "parts": {stage: described}, "parents": {}}
    below.update(schema=SCHEMA_VERSION, status="finished", dataset=facts, **parts)
    return below


def _second(
    folder: Path, stage: str, parts: dict, below: Run, latents: Normalizer | None = None
) -> Run:
    run = Run(folder / stage)
    part = next(iter(parts))
    run.save_part(part, _random(part, parts[part], 1))
    if latents is not None:
        run.save_part("normalizer", latents.state_dict())
    run.update(
        schema=SCHEMA_VERSION,
        status="finished",
        dataset=below.contents["dataset"],
        stage=stage,
        parts=parts,
        parents={below.stage: below.as_parent(run.folder)},
        text_encoder=ENCODER,
        text_fingerprint=build("text_encoder", ENCODER).fingerprint,
        sampling={"flow": "euler16", "diffusion": "ddim50_guidance2"}.get(stage),
    )
    return run


def _random(part: str, description: dict, seed: int) -> dict:
    """Weights of which none is zero, as fresh ones of a flow are."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = build(part, description)
        for parameter in module.parameters():
            if part in ("flow", "denoiser"):
                torch.nn.init.normal_(parameter, std=0.1)
        return module.state_dict()
