"""What flows work on: one latent frame for a few frames of motion, of its joints or of a VAE."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.runs import Run
from lead.generation import lead_model
from lead.generation.lead_model import VaeCoder, keeps_time
from lead.generation.motion_coder import MotionCoder
from lead.models.joint_autoencoder import FRAMES_PER_TOKEN, JointAutoencoder
from lead.representation import (
    constant_bones,
    features_to_joints,
    get_skeleton,
    joints_to_features_batch,
)
from lead.representation.normalizer import Normalizer, load_normalizer


class LatentFrame(NamedTuple):
    """One latent of a flow: the frames that it stands for, its joints, and channels of each."""

    frames: int
    joints: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class FlowCoder(MotionCoder):
    """Motions <-> latents (batch, tokens, joints, channels) of unit variance, as noise has.

    Each motion has one value of them: log-variances are minus infinity.
    """

    latent_frame: LatentFrame

    def token_count(self, frames: int | Tensor) -> int | Tensor:
        """Latents of so many frames."""
        return -(-frames // self.latent_frame.frames)


@dataclass(frozen=True, kw_only=True)
class JointCoder(FlowCoder):
    """Latents of joint positions, by joints."""

    code: ClassVar[str] = "auto-encoder"
    autoencoder: JointAutoencoder
    normalizer: Normalizer  # of positions: three numbers

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The latents of the joints, and minus infinity: there is but one."""
        joints = features_to_joints(x, self.skeleton.name)
        z = self.autoencoder.encode(self.normalizer.normalize(joints), mask)
        return z, torch.full_like(z, -torch.inf)

    def decode_batch(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Features of the decoded joints with constant bones, from the floor, facing +Z."""
        x = self.autoencoder.decode(latents[:, : self.token_count(mask.shape[1])], mask)
        joints = constant_bones(self.normalizer.denormalize(x.float()), self.skeleton.name)
        return features_of(joints, mask, self.skeleton.name)


@dataclass(frozen=True, kw_only=True)
class TimedCoder(VaeCoder, FlowCoder):
    """A VAE whose latents keep time, as those of one joint."""

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The means, zero past a motion's own, and minus infinity."""
        mean, none = super().posterior(x, mask)
        return mean[:, :, None], none[:, :, None]

    def decode_batch(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Features as the VAE decodes them."""
        return super().decode_batch(latents[:, :, 0], mask)


def features_of(
    joints: Float[Tensor, "batch frames joints 3"],
    mask: Bool[Tensor, "batch frames"],
    skeleton: str,
) -> Float[Tensor, "batch frames features"]:
    """Un-normalised features of joints in metres, as many frames as these; zero on padding.

    What the last frame says of the one after it, velocities and contacts, is as in the one before.
    """
    rows, lengths = torch.arange(len(joints), device=joints.device)[:, None], mask.sum(dim=1)
    last = (lengths - 1)[:, None]
    longer = torch.cat([joints, joints[:, -1:]], dim=1)
    longer[rows, last + 1] = joints[rows, last]
    features = joints_to_features_batch(longer, lengths + 1, skeleton, shortest_turn=True)
    width = features.shape[-1]
    moving = [*range(3), *range(4 + 9 * (joints.shape[2] - 1), width)]
    features[rows, last, moving] = features[rows, (last - 1).clamp(min=0), moving]
    return features


def latent_frame(run: Run) -> LatentFrame:
    """What a latent of a stage-1 run holds; RequestError for a VAE that has some of whole clips."""
    options = run.options(run.stage)
    if run.stage == "autoencoder":
        joints = get_skeleton(run.record.dataset.skeleton).joints
        return LatentFrame(FRAMES_PER_TOKEN, joints, options["channels"])
    if not keeps_time(run):
        raise RequestError(
            f"{run.folder} is a VAE of whole clips, but a flow needs latents that keep time: name "
            "a run with model/vae=timed, or an auto-encoder's"
        )
    return LatentFrame(options["patch"], 1, options["latent_dim"])


def load_flow_coder(run: Run) -> FlowCoder:
    """What a flow's run stands on, with the statistics of latents that the run itself keeps."""
    if "vae" not in run.record.parents:
        return load_coder(run.ancestor("autoencoder"))
    below = run.ancestor("vae")
    frame, inner = latent_frame(below), lead_model.load_coder(below)
    latents = load_normalizer(run, frame.channels)
    return TimedCoder(**{**vars(inner), "latents": latents}, latent_frame=frame)


def load_coder(run: Run) -> JointCoder:
    """The auto-encoder of a stage-1 run of a flow with its normalizer, frozen."""
    return JointCoder(
        autoencoder=freeze(run.load_part("autoencoder", coordinates=3)),
        normalizer=load_normalizer(run, 3),
        skeleton=get_skeleton(run.record.dataset.skeleton),
        latent_frame=latent_frame(run),
    )
