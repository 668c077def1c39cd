"""Run directories of a small flow with random weights, and of the auto-encoder it stands on."""

from pathlib import Path

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


def make_runs(folder: Path, frames: tuple[int, int] = (10, 60)) -> Run:
    """The flow's run; below it stands ``folder/autoencoder``."""
    facts = {"name": "made", "skeleton": "humanml3d", "fps": 20.0, "frames": list(frames)}
    common = {"schema": SCHEMA_VERSION, "status": "finished", "dataset": facts}
    below, flow = Run(folder / "autoencoder"), Run(folder / "flow")
    below.save_part("autoencoder", _random("autoencoder", AUTOENCODER, 0))
    below.save_part("normalizer", Normalizer([0.0, 0.8, 0.2], [0.5, 0.5, 0.5]).state_dict())
    below.update(**common, stage="autoencoder", parts={"autoencoder": AUTOENCODER}, parents={})
    flow.save_part("flow", _random("flow", FLOW, 1))
    flow.update(
        **common,
        stage="flow",
        parts={"flow": FLOW},
        parents={"autoencoder": below.as_parent(flow.folder)},
        text_encoder=ENCODER,
        text_fingerprint=build("text_encoder", ENCODER).fingerprint,
        sampling="euler16",
    )
    return flow


def _random(part: str, description: dict, seed: int) -> dict:
    """Weights of which none is zero, as fresh ones of a flow are."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = build(part, description)
        for parameter in module.parameters():
            if part == "flow":
                torch.nn.init.normal_(parameter, std=0.1)
        return module.state_dict()
