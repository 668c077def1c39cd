"""What flows work on: one latent frame for a few frames of motion, of its joints or of a VAE."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.generation import lead_model
from lead.generation.lead_model import VaeCoder
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
    """One latent of a flow: the frames that it stands for, its joints, and channels of each.

    ``whole`` counts the latents of a clip where they stand for all of it, however long it is.
    """

    frames: int
    joints: int
    channels: int
    whole: int = 0

    def count(self, frames: Any) -> Any:
        """Latents of so many frames: of a number, or of each entry of an array or a tensor."""
        return 0 * frames + self.whole if self.whole else -(-frames // self.frames)


@dataclass(frozen=True, kw_only=True)
class FlowCoder(MotionCoder):
    """Motions <-> latents (batch, tokens, joints, channels) of unit variance, as noise has.

    Each motion has one value of them: log-variances are minus infinity.
    """

    latent_frame: LatentFrame

    def token_count(self, frames: int | Tensor) -> int | Tensor:
        """Latents of so many frames."""
        return self.latent_frame.count(frames)


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
    """Posterior means of a VAE, standardised, as those of one joint; they keep time in a flow.

    The means alone are what a flow learns. Their noise is another for each latent: a flow that
    learned it, too, would make it anew beside each other, and motions would tremble.
    """

    latents: Normalizer  # of the means of the training clips

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The means, zero past a motion's own, and minus infinity."""
        mean, _ = super().posterior(x, mask)
        real = lengths_to_mask(self.token_count(mask.sum(1)), mean.shape[1])
        z = self.latents.normalize(mean) * real[..., None]
        return z[:, :, None], torch.full_like(z[:, :, None], -torch.inf)

    def decode_batch(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Features as the VAE decodes them."""
        return super().decode_batch(self.latents.denormalize(latents[:, :, 0]), mask)


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


def latent_frame(run: Run, whole: bool = False) -> LatentFrame:
    """What a latent of a stage-1 run holds.

    RequestError for a VAE that has some of whole clips, where they are not asked for.
    """
    options = run.options(run.stage)
    if run.stage == "autoencoder":
        joints = get_skeleton(run.record.dataset.skeleton).joints
        return LatentFrame(FRAMES_PER_TOKEN, joints, options["channels"])
    timed = run.description("vae")["_target_"] == "timed_vae"
    if not timed and whole:
        return LatentFrame(0, 1, options["latent_dim"], options["latent_tokens"])
    if not timed:
        raise RequestError(
            f"{run.folder} is a VAE of whole clips, but a flow needs latents that keep time: name "
            "a run with model/vae=timed, or an auto-encoder's"
        )
    return LatentFrame(options["patch"], 1, options["latent_dim"])


def load_flow_coder(run: Run) -> FlowCoder:
    """What a flow's run stands on, with the statistics of latents that the run itself keeps."""
    if "vae" not in run.record.parents:
        return load_coder(run.ancestor("autoencoder"))
    return load_timed_coder(run, latent_frame(run.ancestor("vae")))


def load_timed_coder(run: Run, frame: LatentFrame) -> TimedCoder:
    """The VAE below a run, with the statistics of its latents that the run keeps."""
    inner = lead_model.load_coder(run.ancestor("vae"))
    latents = load_normalizer(run, frame.channels)
    return TimedCoder(**vars(inner), latents=latents, latent_frame=frame)


def load_coder(run: Run) -> JointCoder:
    """The auto-encoder of a stage-1 run of a flow with its normalizer, frozen."""
    return JointCoder(
        autoencoder=freeze(run.load_part("autoencoder", coordinates=3)),
        normalizer=load_normalizer(run, 3),
        skeleton=get_skeleton(run.record.dataset.skeleton),
        latent_frame=latent_frame(run),
    )
