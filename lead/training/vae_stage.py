"""Stage 1: train the motion VAE (LEAD 4.1.2, after MLD)."""

from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from lead.core.batches import MotionBatch
from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.schema import Count
from lead.data.clips import ClipDataset, pad_clips
from lead.data.packed import PackedDataset
from lead.models.timed_vae import TimedVae
from lead.models.vae import MotionVAE, reparameterise
from lead.representation import features_to_joints, get_skeleton
from lead.representation.normalizer import Normalizer
from lead.training.clip_captions import ClipCaptions, clip_captions
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.losses import (
    alignment_loss,
    gaussian_kl,
    held_joints_terms,
    masked_smooth_l1,
)
from lead.training.optimization import Weight
from lead.training.processes import in_whole_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest, keep_statistics


class VaeOptions(StageOptions):
    """Weights of the terms, and how clips are cropped (see ClipDataset)."""

    joints_weight: Weight = 1.0
    kl_weight: Weight = 1e-4
    threshold: Annotated[float, Field(ge=0, le=1000)] = 1.0
    align_weight: Weight = 0.0
    held_weight: Weight = 0.0
    path_weight: Weight = 0.0
    bones_weight: Weight = 0.0
    held_velocities_weight: Weight = 0.0
    feet_velocities_weight: Weight = 0.0
    standing_weight: Weight = 0.0
    crop_unit: Annotated[int, Field(ge=1, le=100_000)] = 1
    crop_min: Count = 0
    crop_most: Count = 0

    @property
    def held_weights(self) -> dict[str, float]:
        """Weights of the terms on joints with constant bones, by term; none where all are 0."""
        names = ("held", "path", "bones", "held_velocities", "feet_velocities", "standing")
        weights = {name: getattr(self, f"{name}_weight") for name in names}
        return weights if any(weights.values()) else {}


class VaeStage(Stage):
    """SmoothL1 on features + SmoothL1 on joints (metres) + KL, real frames only.

    The paper writes MSE; these terms and weights are those of MLD's released VAE, which it retains.
    Beside them: ``threshold``, below which SmoothL1 is quadratic; ``align_weight``, which aligns
    latents with ``captions`` while they are learned (MoLingo's cosine term, LEAD eq. 4 without a
    projector), through a linear map that no later stage needs.
    The six weights from ``held_weight`` on are for what people see, joints with constant bones
    (``held_joints_terms``). Where the VAE's latents keep time, padding among them does not count,
    and with ``crop_most`` a clip is drawn as often as it is long: every frame once an epoch.
    """

    options_type = VaeOptions
    purpose = "posterior"

    def __init__(
        self,
        vae: MotionVAE | TimedVae,
        normalizer: Normalizer,
        skeleton: str,
        options: VaeOptions,
        captions: ClipCaptions | None = None,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        self.vae, self.normalizer, self.skeleton = vae, normalizer, skeleton
        self.captions, self.text_layer = captions, None
        if weight := options.align_weight:
            if captions is None:
                raise RequestError(f"align_weight is {weight}, but there are no captions")
            self.text_layer = nn.Linear(vae.latent_dim, captions.dim)
        self.known = get_skeleton(skeleton)

    @classmethod
    def set_up(cls, request: TrainRequest[VaeOptions], dataset: PackedDataset) -> Prepared:
        """A VAE for the data set's features."""
        options = request.options
        description = {**request.models["vae"], "features": dataset.skeleton.features}
        vae = build("vae", description, "model.vae")
        if isinstance(vae, TimedVae):
            vae.fit_statistics(dataset.normalizer.mean, dataset.normalizer.std)
        captions, record = (
            _captions_to_align(request, dataset) if options.align_weight else (None, {})
        )
        normalizer, skeleton = dataset.normalizer, dataset.skeleton.name
        module = cls(vae, normalizer, skeleton, options, captions, request.seed)
        crop = {"crop_unit": options.crop_unit, "crop_min": options.crop_min, "seed": request.seed}
        train = ClipDataset(dataset, "train", crop_most=options.crop_most, **crop)
        weights = train.split.weights
        if options.crop_most:
            weights = weights * train.split.frames / options.crop_most
        validation = ClipDataset(dataset, validation_split(dataset))
        data = StepDataModule(
            *(train, train.longest, validation, validation.split.frames, pad_clips),
            *(options.batch_size, request.trainer.max_steps, request.seed, weights),
        )
        record = {"parts": {"vae": description}, "parents": {}, **record}
        keep = partial(keep_statistics, request.run, dataset.normalizer)
        return Prepared(module, data, record, keep)

    def losses(self, batch: MotionBatch, index: int | None) -> dict[str, Tensor]:
        """In training of a sample of the posterior, in validation of its mean."""
        return self._terms(batch, self.draws(None) if index is None else None)

    def _terms(self, batch: MotionBatch, draws: StepDraws | None) -> dict[str, Tensor]:
        options = self.options
        mu, logvar = self.vae.encode(batch.x, batch.mask)
        mu, logvar = mu.float(), logvar.float()
        z = mu if draws is None else reparameterise(mu, logvar, draws.normal(mu.shape))
        rebuilt = self.vae.decode(z, batch.mask).float()
        timed = isinstance(self.vae, TimedVae)
        tokens = self.vae.token_mask(batch.mask) if timed else None
        written = self.vae.written if timed else None
        with torch.autocast(self.device.type, enabled=False):
            joints = features_to_joints(self.normalizer.denormalize(batch.x), self.skeleton)
            guess = features_to_joints(self.normalizer.denormalize(rebuilt), self.skeleton)
            terms = {
                "features": masked_smooth_l1(
                    *(rebuilt[..., :written], batch.x[..., :written], batch.mask),
                    options.threshold,
                ),
                "joints": masked_smooth_l1(guess, joints, batch.mask, options.threshold),
                "kl": gaussian_kl(mu, logvar, tokens),
            }
            if options.held_weights:
                terms |= held_joints_terms(guess, joints, batch.mask, self.known)
            if self.text_layer is not None:
                step = 0 if draws is None else self.global_step
                text = self.captions.draw(batch.ids, step).to(z.device)
                terms["align"] = alignment_loss(self.text_layer(z), text)
        if draws is not None:
            frames, moves = batch.mask, batch.mask[:, 1:]
            masks = dict.fromkeys(("features", "joints", "held", "path", "bones"), frames)
            masks |= dict.fromkeys(("held_velocities", "feet_velocities", "standing"), moves)
            terms = in_whole_batch(terms, {name: masks[name] for name in terms if name in masks})
        weights = {
            "features": 1.0,
            "joints": options.joints_weight,
            "kl": options.kl_weight,
            "align": options.align_weight,
            **options.held_weights,
        }
        return {"loss": sum(weights[name] * term for name, term in terms.items()), **terms}


def _captions_to_align(
    request: TrainRequest[VaeOptions], dataset: PackedDataset
) -> tuple[ClipCaptions | None, dict]:
    """Embedded captions where stage 1 is aligned with them, and what a run records of it."""
    if not request.options.align_weight:
        return None, {}
    splits = ("train", validation_split(dataset))
    with torch.random.fork_rng():  # filling a cache draws random numbers
        encoder = build("text_encoder", request.text_encoder, "text_encoder")
        captions = clip_captions(dataset, splits, encoder, request.seed)
    record = {
        "text_encoder": {**request.text_encoder},
        "text_fingerprint": encoder.fingerprint,
    }
    return captions, record
