"""A second motion model for tests, without weights: sticks that slide at the pace of their seed.

Its module is what a system has to be: ``load`` makes the model of a run. Latents have a token a
frame, so that whoever batches them meets lengths.
"""

import threading
from dataclasses import dataclass, field

import numpy as np
import torch

from lead.core.run_record import SCHEMA_VERSION
from lead.core.runs import Run
from lead.generation import MotionModel
from lead.models.text_encoders import HashTextEncoder
from lead.representation import get_skeleton, joints_to_features

SKELETON = get_skeleton("humanml3d")
STAGE = "stick"


def stick_features(frames: int, pace: float) -> np.ndarray:
    """Features (frames, F) of a figure that slides forward by so many metres a frame."""
    pose = np.zeros((SKELETON.joints, 3), np.float32)
    for joint, parent in enumerate(SKELETON.parents):
        if parent >= 0:
            step = np.array(SKELETON.directions[joint]) * SKELETON.bone_lengths[joint]
            pose[joint] = pose[parent] + step
    pose[:, 1] -= pose[:, 1].min()
    ways = np.arange(frames + 1)[:, None, None] * [0, 0, pace]
    return joints_to_features(np.float32(pose + ways), "humanml3d")


def pace_of(seed: int) -> float:
    """Metres a frame: faster for a higher seed."""
    return 0.01 + 0.01 * (seed % 5)


class Strings:
    """What a test pulls: steps wait while ``gate`` is shut, and raise what ``fails`` holds."""

    def __init__(self):
        self.gate, self.fails, self.steps = threading.Event(), None, 0


@dataclass(frozen=True, kw_only=True)
class WalkingSticks(MotionModel):
    """What everybody may ask of a motion model."""

    title = "stick"
    leg: torch.nn.Module = field(default_factory=torch.nn.Identity)
    strings: Strings = field(default_factory=Strings)
    able: frozenset[str] = frozenset()

    @property
    def networks(self):
        return (self.leg,)

    @property
    def abilities(self):
        return self.able

    def project(self, latents):
        return latents

    def sample(self, texts, frames, seeds, sampling, *, project=False, condition=None):
        for _ in range(sampling.steps):
            assert self.strings.gate.wait(60)
            if self.strings.fails is not None:
                raise self.strings.fails
            self.leg(torch.zeros(1))
            self.strings.steps += 1
        latents = torch.zeros(len(texts), max(frames), 1)
        for row, (length, seed) in enumerate(zip(frames, seeds, strict=True)):
            latents[row, :length] = pace_of(seed)
        return latents

    def decode_batch(self, latents, mask):
        frames = mask.shape[1]
        assert latents.shape[1] >= frames
        assert all((row[real] > 0).all() for row, real in zip(latents, mask, strict=False))
        assert not latents[:, frames:].any(), "zero past the motion's own tokens"
        made = [stick_features(frames, float(row[0])) for row in latents]
        return torch.from_numpy(np.stack(made))


def make_sticks(**changes) -> WalkingSticks:
    given = {"text_encoder": HashTextEncoder(dim=4), "skeleton": SKELETON, "fps": 20.0}
    return WalkingSticks(**{**given, "frame_limits": (12, 196), **changes})


def load(run, *, projector_run=None, diffusion_run=None) -> WalkingSticks:
    """The model of a run of stage STAGE; its gate is open."""
    assert projector_run is None and diffusion_run is None
    model = make_sticks(fps=run.record.dataset.fps, frame_limits=run.record.dataset.frames)
    model.strings.gate.set()
    return model


def make_run(folder, monkeypatch) -> Run:
    """A run directory of the second system, which is told to lead in its two tables."""
    from lead.core.building import HOLDS
    from lead.generation.loading import SYSTEMS

    monkeypatch.setitem(HOLDS, STAGE, ("schedule",))
    monkeypatch.setitem(SYSTEMS, STAGE, __name__)
    run = Run(folder)
    facts = {"name": "made", "skeleton": "humanml3d", "fps": 20.0, "frames": [12, 100]}
    parts = {"schedule": {"_target_": "noise_schedule", "name": "scaled_linear"}}
    run.update(schema=SCHEMA_VERSION, stage=STAGE, parts=parts, dataset=facts)
    run.save_part("schedule", {"paces": torch.tensor([pace_of(seed) for seed in range(5)])})
    return run
