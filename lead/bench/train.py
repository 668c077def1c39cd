"""One step of each stage at paper size, beside plain steps with the encoders in the loop."""

from collections.abc import Callable
from functools import partial
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from lead.bench import counts
from lead.bench.machine import Machine
from lead.bench.models import TEXT_DIM, paper_models
from lead.bench.our_training import (
    OPTIMIZER,
    RandomClips,
    cached_latents,
    clip_data,
    seconds_per_step,
)
from lead.bench.plain_models import PlainDenoiser, PlainProjector
from lead.bench.plain_training import (
    clip_text_model,
    embed_sentences,
    plain_diffusion_step,
    plain_projector_step,
    plain_vae_step,
)
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import in_turns, median
from lead.core.batches import MotionBatch
from lead.core.seeding import derive_seed
from lead.data.clips import pad_clips
from lead.diffusion.schedules import scaled_linear
from lead.models.denoiser import MldDenoiser
from lead.models.projector import Projector
from lead.models.vae import MotionVAE
from lead.training.datamodule import latent_data
from lead.training.diffusion_stage import DiffusionOptions, DiffusionStage
from lead.training.projector_stage import ProjectorOptions, ProjectorStage
from lead.training.vae_stage import VaeOptions, VaeStage

CLIPS = 23384  # HumanML3D's training split
ENCODED = 8  # sentences and motions that the encoders are timed on; a batch costs in proportion
STEPS, FIRST = 10, 4  # of stages 2 and 3 per timing, and before it: memory has to be found first
BATCH = {"vae": 64, "diffusion": 64, "projector": 1024}


def lengths(seed: int, count: int = CLIPS) -> np.ndarray:
    """As in HumanML3D: 40 frames up, a third cut to 196, 140 on average."""
    rng = np.random.default_rng(derive_seed(seed, "lengths"))
    return np.minimum(rng.integers(40, 261, count), 196)


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:
    """The rows of `lead bench train`."""
    batches = {name: options.batch or size for name, size in BATCH.items()}
    torch.manual_seed(setting.seed)
    clips = RandomClips(lengths(setting.seed), setting.seed)
    # Stage 1 comes last: what its plain step leaves of the heap makes later small steps slower, and
    # no training of stage 2 or 3 comes after one of stage 1 in its process.
    latent_rows = _latent_rows(setting, machine, clips, batches)
    return [_vae_row(setting, machine, clips, batches["vae"]), *latent_rows]


def _vae_row(setting: Setting, machine: Machine, clips: RandomClips, batch: int) -> Row:
    """Means, not medians: a bucket of long motions takes longer than one of short ones."""
    plain = paper_models(setting)[1]
    plain.vae.requires_grad_(True)
    for part in plain.vae.modules():
        part.__dict__.pop("train", None)  # thawed
    plain_step = plain_vae_step(plain.vae, plain.normalizer)
    ours = VaeStage(MotionVAE(), plain.normalizer, "humanml3d", VaeOptions(optimizer=OPTIMIZER))
    rng = np.random.default_rng(setting.seed)

    def plain_seconds(_: int) -> float:
        drawn = _batch(clips, rng.choice(len(clips), batch), setting)
        return setting.time(lambda: plain_step(drawn.x, drawn.mask))

    seconds = in_turns(
        lambda turn: seconds_per_step(
            ours, partial(clip_data, clips, batch, seed=turn), setting, steps=1
        ),
        plain_seconds,
        setting,
    )
    frames = float(clips.lengths.mean())
    operations = 3 * batch * (counts.encoder(int(frames)) + counts.decoder(int(frames)))
    return Row(
        f"stage 1, batch {batch}, {setting.precision}",
        *(batch, "motions", *map(fmean, seconds)),
        machine.floor(operations, 0, setting.precision),
        *seconds,
        remark=f"means over batches of {frames:.0f} frames on average, 196 at most",
    )


def _latent_rows(
    setting: Setting, machine: Machine, clips: RandomClips, batches: dict[str, int]
) -> list[Row]:
    data = cached_latents(CLIPS, TEXT_DIM, setting.seed)
    encode = _encoders(setting, clips)
    denoiser, projector = MldDenoiser(text_dim=TEXT_DIM), Projector(text_dim=TEXT_DIM)
    stages = {
        "diffusion": DiffusionStage(
            denoiser, scaled_linear(), DiffusionOptions(optimizer=OPTIMIZER)
        ),
        "projector": ProjectorStage(projector, ProjectorOptions(optimizer=OPTIMIZER)),
    }
    weights = {"diffusion": 3 * counts.STACK, "projector": counts.projector()}
    rows = []
    for number, (name, stage) in enumerate(stages.items(), start=2):
        batch = batches[name]
        ours, plain = _latent_seconds(
            stage, _plain_step(name, setting), data, encode, batch, setting
        )
        rows.append(
            Row(
                f"stage {number}, batch {batch}, {setting.precision}",
                *(batch, "motions", median(ours), median(plain)),
                machine.floor(6 * batch * weights[name], 0, setting.precision),
                *(ours, plain),
                remark=f"plain: encoders timed on {ENCODED} motions and sentences, in proportion",
            )
        )
    return rows


def _latent_seconds(
    stage, plain_step, data, encode, batch: int, setting: Setting
) -> tuple[list[float], list[float]]:
    """Seconds a step of ours, and of the plain step with its encoders, in turns."""
    z = torch.randn(batch, 1, 256, device=setting.device)
    text = torch.randn(batch, 1, TEXT_DIM, device=setting.device)
    plain_step(z, text)
    planned = partial(latent_data, data, data, batch)
    return in_turns(
        lambda turn: seconds_per_step(stage, partial(planned, seed=turn), setting, STEPS, FIRST),
        lambda _: (
            setting.time(encode) * batch / ENCODED + setting.time(lambda: plain_step(z, text))
        ),
        setting,
    )


def _plain_step(name: str, setting: Setting) -> Callable[[Tensor, Tensor], None]:
    if name == "diffusion":
        return plain_diffusion_step(PlainDenoiser(TEXT_DIM).to(setting.device))
    return plain_projector_step(PlainProjector(TEXT_DIM).to(setting.device))


def _encoders(setting: Setting, clips: RandomClips) -> Callable[[], None]:
    """CLIP on ENCODED sentences and the VAE's encoder on as many motions."""
    clip = clip_text_model().to(setting.device)
    vae = paper_models(setting)[1].vae
    rng = np.random.default_rng(setting.seed)

    @torch.no_grad()
    def encode() -> None:
        drawn = _batch(clips, rng.choice(len(clips), ENCODED), setting)
        vae.encode(drawn.x, drawn.mask)
        embed_sentences(clip, ENCODED, setting.device)

    return encode


def _batch(clips: RandomClips, places: np.ndarray, setting: Setting) -> MotionBatch:
    """As a loader without buckets has it: padded to the longest of any clips."""
    return pad_clips([clips[0, place] for place in places.tolist()]).to(setting.device)
