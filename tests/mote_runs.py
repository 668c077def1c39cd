"""Run directories of a small MoTe with random weights, and of what it stands on."""

from pathlib import Path

import numpy as np
import torch

from lead.core.building import build
from lead.core.run_record import SCHEMA_VERSION
from lead.core.runs import Run
from lead.models.sentence_pieces import SentencePieces
from lead.representation.normalizer import Normalizer

TEXT = 12
ENCODER = {"_target_": "hash", "dim": TEXT}
VAES = {
    "timed_vae": {
        **{"_target_": "timed_vae", "latent_dim": 6, "width": 16, "layers": 1, "heads": 2},
        **{"feed_forward": 16, "patch": 3, "overlap": 1},
    },
    "motion_vae": {
        **{"_target_": "motion_vae", "latent_dim": 6, "latent_tokens": 4, "width": 16},
        **{"layers": 1, "heads": 2, "feed_forward": 16},
    },
}
TED = {"_target_": "text_autoencoder", "text_dim": TEXT, "latent_tokens": 3, "latent_dim": 4}
TED |= {"width": 16, "layers": 1, "heads": 2, "longest": 16, "language_width": 16}
TED |= {"language_layers": 1, "language_heads": 2}
JOINT = {"_target_": "joint_denoiser", "channels": 6, "sentence_tokens": 3, "sentence_dim": 4}
JOINT |= {"width": 16, "layers": 2, "heads": 2, "text_dim": TEXT, "text_scale": 3.0}
SCHEDULE = {"_target_": "noise_schedule"}
SENTENCES = ("a person walks forward", "someone jumps twice", "he waves with both hands")


def make_runs(folder: Path, vae: str = "timed_vae", empty: str = "token") -> Run:
    """The run of both directions; below it stand ``folder/vae`` and ``folder/ted``."""
    draw = np.random.default_rng(0)
    facts = {"name": "made", "skeleton": "humanml3d", "fps": 20.0, "frames": [10, 60]}
    whole = {"schema": SCHEMA_VERSION, "status": "finished", "dataset": facts}
    encoder = build("text_encoder", ENCODER).fingerprint
    read = {"text_encoder": ENCODER, "text_fingerprint": encoder}

    motions = Run(folder / "vae")
    described = VAES[vae] | ({} if vae == "timed_vae" else {"features": 263})
    features = Normalizer(0.1 * draw.normal(size=263), draw.uniform(0.1, 0.5, 263))
    motions.save_part("vae", _random("vae", described, 0, std=0.0))
    motions.save_part("normalizer", features.state_dict())
    motions.update(**whole, stage="vae", parts={"vae": described}, parents={})

    pieces = SentencePieces.learned(SENTENCES * 3, 300)
    ted = TED | {"vocabulary": len(pieces), "end": pieces.end}
    sentences = Run(folder / "ted")
    sentences.save_part("text_autoencoder", _random("text_autoencoder", ted, 1, std=0.3))
    pieces.keep(sentences.folder)
    parts = {"parts": {"text_autoencoder": ted}, "parents": {}}
    sentences.update(**whole, **read, stage="text_autoencoder", **parts)

    run = Run(folder / "mote")
    joint = JOINT | {"empty": empty}
    run.save_part("joint_denoiser", _random("joint_denoiser", joint, 2, std=0.2))
    latents = Normalizer(draw.normal(size=6), draw.uniform(0.5, 2, 6))
    run.save_part("normalizer", latents.state_dict())
    told = Normalizer(0.1 * draw.normal(size=12), draw.uniform(0.5, 2, 12))
    run.save_part("sentences", told.state_dict())
    parents = {below.stage: below.as_parent(run.folder) for below in (motions, sentences)}
    parts = {"parts": {"joint_denoiser": joint, "schedule": SCHEDULE}, "parents": parents}
    run.update(**whole, **read, stage="joint_diffusion", **parts, sampling="ddim50_guidance2")
    return run


def _random(part: str, description: dict, seed: int, std: float) -> dict:
    """Weights of which none is zero, as fresh ones of gates are."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = build(part, description)
        for parameter in module.parameters():
            if std:
                torch.nn.init.normal_(parameter, std=std)
        return module.state_dict()
