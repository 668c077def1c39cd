"""Stage 1: train the motion VAE (LEAD 4.1.2, after MLD)."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
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
    check_finite,
    foot_sliding,
    gaussian_kl,
    held_joints_terms,
    masked_smooth_l1,
    toe_speed,
)
from lead.training.optimization import Weight
from lead.training.processes import share_of_batch
from lead.training.randomness import StepDraws, step_draws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest, keep_normalizer

SLIDING_MARGIN = 0.1  # m/s; a rebuilt toe may be faster than the real one by this much
SLIDING_LIMIT = 0.3  # m/s; for clips without a real one
PATH = 3  # features: yaw and planar velocity of the root
CLIPS_OF_PRINCIPAL_MOTIONS = 4000
HANDS = ("left_elbow", "right_elbow", "left_wrist", "right_wrist")


class VaeOptions(StageOptions):
    """Weights of the terms, and how clips are cropped (see ClipDataset)."""

    joints_weight: Weight = 1.0
    kl_weight: Weight = 1e-4
    velocities_weight: Weight = 0.0
    threshold: Annotated[float, Field(ge=0, le=1000)] = 1.0
    sliding_weight: Weight = 0.0
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
    Beside them: ``velocities_weight`` for SmoothL1 on the joints' velocities (m/s); ``threshold``,
    below which SmoothL1 is quadratic; ``sliding_weight`` for toes that slide on the floor, in
    rebuilt clips and in clips decoded between two latents, as the diffusion's latents often are.
    ``align_weight`` aligns the latents with ``captions`` while they are learned (MoLingo's cosine
    term, LEAD eq. 4 without a projector), through a linear map that no later stage needs.
    The six weights from ``held_weight`` on are for what people see, joints with constant bones
    (``held_joints_terms``). Where the VAE's latents keep time, padding among them does not count,
    and with ``crop_most`` a clip is drawn as often as it is long: every frame once an epoch.
    """

    options_type = VaeOptions

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
        self.known = known = get_skeleton(skeleton)
        self.fps, self.toes = known.fps, (known.left_foot[1], known.right_foot[1])

    @classmethod
    def set_up(cls, request: TrainRequest[VaeOptions], dataset: PackedDataset) -> Prepared:
        """A VAE for the data set's features, its principal motions fitted."""
        options = request.options
        description = {**request.models["vae"], "features": dataset.skeleton.features}
        vae = build("vae", description, "model.vae")
        if isinstance(vae, TimedVae):
            vae.fit_statistics(dataset.normalizer.mean, dataset.normalizer.std)
        elif vae.principal is not None:
            weights = torch.ones(dataset.skeleton.features)
            weights[dataset.skeleton.feature_columns(*HANDS)] = vae.hands_weight
            vae.principal.fit(_some_clips(dataset), weights)
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
        return Prepared(module, data, record, keep_normalizer(request, dataset))

    def training_step(self, batch: MotionBatch, _index: int) -> Tensor:
        """One optimisation step; the posterior is sampled."""
        terms = self._terms(batch, step_draws(self, "posterior"))
        logged = {f"train/{name}": value for name, value in terms.items()}
        self.log_dict(logged, batch_size=len(batch.ids), sync_dist=True)
        self.log("loss", terms["loss"], prog_bar=True, logger=False, batch_size=len(batch.ids))
        return terms["loss"]

    def validation_step(self, batch: MotionBatch, _index: int) -> None:
        """Losses with the posterior's mean."""
        terms = self._terms(batch, None)
        check_finite(terms["loss"], self.global_step, batch.ids)
        self.log_dict(
            {f"val/{name}": value for name, value in terms.items()},
            batch_size=len(batch.ids),
            prog_bar=False,
        )

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
            if options.velocities_weight:
                moved, real = (self.fps * each.diff(dim=1) for each in (guess, joints))
                terms["velocities"] = masked_smooth_l1(
                    moved, real, batch.mask[:, 1:], options.threshold
                )
            if options.sliding_weight:
                allowed = toe_speed(joints, self.toes, self.fps) + SLIDING_MARGIN
                terms["sliding"] = self._sliding(rebuilt, batch.mask, allowed)
            if self.text_layer is not None:
                step = 0 if draws is None else self.global_step
                text = self.captions.draw(batch.ids, step).to(z.device)
                terms["align"] = alignment_loss(self.text_layer(z), text)
        if options.sliding_weight and draws is not None and len(z) > 1:
            terms["sliding_between"] = self._sliding_between(z, batch.mask, draws)
        if draws is not None:
            terms = _in_whole_batch(terms, batch.mask)
        weights = {
            "features": 1.0,
            "joints": options.joints_weight,
            "kl": options.kl_weight,
            "velocities": options.velocities_weight,
            "sliding": options.sliding_weight,
            "align": options.align_weight,
            "sliding_between": 2 * options.sliding_weight,
            **options.held_weights,
        }
        return {"loss": sum(weights[name] * term for name, term in terms.items()), **terms}

    def _sliding_between(self, z: Tensor, mask: Tensor, draws: StepDraws) -> Tensor:
        """Sliding of clips decoded from points between neighbouring rows' latents."""
        first, second = z[: len(z) // 2 * 2 : 2], z[1::2]
        share = draws.uniform((len(first), 1, 1))
        mask = mask[: len(z) // 2 * 2 : 2]
        x = self.vae.decode(first.lerp(second, share), mask).float()
        with torch.autocast(self.device.type, enabled=False):
            return self._sliding(x, mask, SLIDING_LIMIT)

    def _sliding(self, x: Tensor, mask: Tensor, allowed: Tensor | float) -> Tensor:
        """Sliding feet of decoded features.

        Their path passes no gradient: to stand still would be the cheapest way out.
        """
        x = torch.cat([x[..., :PATH].detach(), x[..., PATH:]], dim=-1)
        joints = features_to_joints(self.normalizer.denormalize(x), self.skeleton)
        return foot_sliding(joints, mask, allowed, self.toes, self.fps)


def _in_whole_batch(terms: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
    """Each term such that its mean over processes is its mean over the frames of all of them."""
    paired = mask[: len(mask) // 2 * 2 : 2]
    counts = torch.stack([mask.sum(), mask[:, 1:].sum(), paired[:, 1:].sum()])
    frames, moves, between = share_of_batch(counts)
    shares = {
        **{"features": frames, "joints": frames, "velocities": moves, "sliding": moves},
        **{"held": frames, "path": frames, "bones": frames},
        **{"held_velocities": moves, "feet_velocities": moves, "standing": moves},
        "sliding_between": between,
    }
    return {name: term * shares[name] if name in shares else term for name, term in terms.items()}


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


def _some_clips(dataset: PackedDataset) -> Iterator[Tensor]:
    """Normalised training clips, evenly spread over the split, as many as fit into memory."""
    split = dataset.split("train")
    count = min(len(split), CLIPS_OF_PRINCIPAL_MOTIONS)
    for place in np.linspace(0, len(split) - 1, count).astype(int).tolist():
        yield dataset.normalizer.normalize(torch.tensor(split.clip(place)))
