"""Stage 1 of flows: train the auto-encoder of joint positions (after ACMDM)."""

from copy import deepcopy
from functools import partial
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lead.core.batches import MotionBatch
from lead.core.building import build
from lead.core.masks import masked_mean
from lead.data.joints import JointDataset, pad_joints
from lead.data.packed import PackedDataset
from lead.evaluation.physical import (
    foot_skating_ratio,
    jitter,
    path_error,
    root_aligned_mpjpe,
)
from lead.models.joint_autoencoder import FRAMES_PER_TOKEN, JointAutoencoder, token_mask
from lead.representation import Skeleton, constant_bones
from lead.representation.normalizer import Normalizer
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.losses import check_finite, masked_smooth_l1
from lead.training.optimization import Weight
from lead.training.processes import in_whole_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest, keep_statistics

CLIPS_OF_RESCALING = 256
STANDING = 0.1  # m/s; a foot below it stands


class AutoencoderOptions(StageOptions):
    """Weights of the terms, and the frames that a training clip is cut to."""

    crop: Annotated[int, Field(ge=FRAMES_PER_TOKEN, le=100_000)] = 48
    start_as_copy: bool = True
    latent_noise: Annotated[float, Field(ge=0, le=10)] = 0.02
    threshold: Annotated[float, Field(ge=0, le=1000)] = 0.1
    joints_weight: Weight = 2.0
    raw_joints_weight: Weight = 0.0
    velocities_weight: Weight = 0.25
    accelerations_weight: Weight = 0.0
    feet_weight: Weight = 0.25
    standing_weight: Weight = 0.0
    latents_weight: Weight = 1e-4


class AutoencoderStage(Stage):
    """SmoothL1 on normalised positions (ACMDM), and what is seen of them in metres and seconds.

    With constant bones, as everything that is shown: mean distance of joints, of their velocities
    (m/s) and accelerations (m/s^2), of the velocities of ankles and toes alone, and the speed of
    those that stand in the real clip. ``raw_joints_weight`` asks for right joints before that, so
    that bones are right of themselves. ``latent_noise``, a share of the latents' deviation in each
    clip, makes neighbouring latents mean alike, ``latents_weight`` keeps their squares small.

    Networks of so few channels gain nothing from bfloat16: everything here is float32.
    """

    options_type = AutoencoderOptions
    purpose = "autoencoder"

    def __init__(
        self,
        autoencoder: JointAutoencoder,
        normalizer: Normalizer,
        skeleton: Skeleton,
        options: AutoencoderOptions,
        some_clips: JointDataset | None = None,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        self.autoencoder, self.normalizer, self.skeleton = autoencoder, normalizer, skeleton
        self.some_clips = some_clips
        self.feet = (*skeleton.left_foot, *skeleton.right_foot)

    @classmethod
    def set_up(cls, request: TrainRequest[AutoencoderOptions], dataset: PackedDataset) -> Prepared:
        """An auto-encoder for the joints of a data set, and their statistics."""
        options, description = request.options, dict(request.models["autoencoder"])
        autoencoder = build("autoencoder", description, "model.autoencoder")
        if options.start_as_copy:
            autoencoder.start_as_copy()
        train = JointDataset(dataset, "train", crop=options.crop, seed=request.seed)
        validation = JointDataset(dataset, validation_split(dataset))
        normalizer = train.statistics()
        module = cls(autoencoder, normalizer, dataset.skeleton, options, train, request.seed)
        data = StepDataModule(
            *(train, train.longest, validation, validation.longest, pad_joints),
            *(options.batch_size, request.trainer.max_steps, request.seed, train.split.weights),
        )
        record = {"parts": {"autoencoder": description}, "parents": {}}
        return Prepared(module, data, record, partial(keep_statistics, request.run, normalizer))

    def parts(self) -> dict[str, nn.Module]:
        """The auto-encoder with latents of unit variance; training goes on without."""
        kept = deepcopy(self.autoencoder).eval()
        if self.some_clips is not None:
            kept.fit_rescaling(self._some_batches())
        return {"autoencoder": kept}

    def _some_batches(self):
        """Normalised crops of training clips, evenly spread over the split."""
        clips, step = self.some_clips, self.options.batch_size
        count = min(len(clips), CLIPS_OF_RESCALING)
        places = np.linspace(0, len(clips) - 1, count).astype(int).tolist()
        for start in range(0, count, step):
            batch = pad_joints([clips[0, place] for place in places[start : start + step]])
            batch = batch.to(self.device)
            yield self.normalizer.normalize(_joints(batch)), batch.mask

    def losses(self, batch: MotionBatch, index: int | None) -> dict[str, Tensor | float]:
        """In training with noise on the latents.

        In validation without, and beside it the measures of reconstruction and feet, real ones too.
        """
        if index is None:
            return self._terms(batch, self.draws(None))[0]
        terms, rebuilt = self._terms(batch, None)
        check_finite(terms["loss"], self.global_step, batch.ids)
        return terms | self._measures(batch, rebuilt)

    def _terms(
        self, batch: MotionBatch, draws: StepDraws | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """All terms, and the rebuilt joints with constant bones."""
        options, mask = self.options, batch.mask
        with torch.autocast(self.device.type, enabled=False):
            joints = _joints(batch)
            x = self.normalizer.normalize(joints)
            z = self.autoencoder.encode(x, mask)
            rebuilt = self.autoencoder.decode(self._noised(z, mask, draws), mask)
            raw = self.normalizer.denormalize(rebuilt)
            held = constant_bones(raw, self.skeleton.name)
            real = token_mask(mask)
            terms = {
                "positions": masked_smooth_l1(rebuilt, x, mask, options.threshold),
                "joints": masked_mean((held - joints).norm(dim=-1), mask),
                "raw_joints": masked_mean((raw - joints).norm(dim=-1), mask),
                **self._moving_terms(held, joints, mask),
                "latents": masked_mean(z.square(), real),
            }
        if draws is not None:
            masks = dict.fromkeys(("positions", "joints", "raw_joints"), mask) | {"latents": real}
            masks |= dict.fromkeys(("velocities", "feet", "standing"), mask[:, 1:])
            terms = in_whole_batch(terms, masks | {"accelerations": mask[:, 2:]})
        weights = {name: getattr(options, f"{name}_weight", 1.0) for name in terms}
        loss = sum(weights[name] * term for name, term in terms.items() if weights[name])
        return {"loss": loss, **terms}, held

    def _moving_terms(self, held: Tensor, joints: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Differences of velocities and accelerations, and feet that move instead of standing."""
        fps, moves = self.skeleton.fps, mask[:, 1:]
        guess, real = fps * held.diff(dim=1), fps * joints.diff(dim=1)
        off = guess - real
        feet = [torch.stack([each[:, :, foot] for foot in self.feet], 2) for each in (guess, real)]
        standing = feet[1].norm(dim=-1) < STANDING
        return {
            "velocities": masked_mean(off.norm(dim=-1), moves),
            "accelerations": masked_mean(fps * off.diff(dim=1).norm(dim=-1), moves[:, 1:]),
            "feet": masked_mean((feet[0] - feet[1]).norm(dim=-1), moves),
            "standing": masked_mean(feet[0].norm(dim=-1) * standing, moves),
        }

    def _noised(self, z: Tensor, mask: Tensor, draws: StepDraws | None) -> Tensor:
        if draws is None or not self.options.latent_noise:
            return z
        longest = -(-self.options.crop // FRAMES_PER_TOKEN)  # the same draws for every process
        noise = draws.normal((len(z), longest, *z.shape[2:]))[:, : z.shape[1]]
        count = token_mask(mask).sum(1) * z[0, 0].numel()
        mean, square = (each.detach().sum((1, 2, 3)) / count for each in (z, z.square()))
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        return z + self.options.latent_noise * deviation[:, None, None, None] * noise

    def _measures(self, batch: MotionBatch, rebuilt: Tensor) -> dict[str, float]:
        """In millimetres, shares of frames and m/s^3: means over the clips of a batch."""
        fps, rows = self.skeleton.fps, []
        for real, made, mask in zip(_joints(batch), rebuilt, batch.mask, strict=True):
            real, made = (each[mask].double().cpu().numpy() for each in (real, made))
            rows.append({"root_aligned": root_aligned_mpjpe(real, made)})
            rows[-1]["path"] = path_error(real, made)
            for name, joints in (("", made), ("_real", real)):
                rows[-1][f"skating{name}"] = foot_skating_ratio(joints, fps, self.skeleton)
                rows[-1][f"jitter{name}"] = jitter(joints, fps)
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def _joints(batch: MotionBatch) -> Tensor:
    """Positions (batch, frames, joints, 3) in metres."""
    return batch.x.unflatten(-1, (-1, 3))
