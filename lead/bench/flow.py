"""Flows: the guided velocity, whole motions at batch 1 and 32, and a training step, by size."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lead.bench.counts import NUMBER
from lead.bench.flow_models import (
    CLIPS,
    SAMPLING,
    SCALE,
    STEPS,
    FlowInput,
    FlowSize,
    flow_batches,
    flow_data,
    flow_input,
    flow_model,
    make_flow,
    middle_batch,
)
from lead.bench.machine import Machine
from lead.bench.our_training import OPTIMIZER, seconds_per_step
from lead.bench.plain_flow import PlainFlow, plain_flow_step
from lead.bench.plain_training import clip_text_model, embed_sentences
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import alternate, in_turns, median
from lead.bench.train import lengths
from lead.core.batches import LatentBatch
from lead.core.masks import lengths_to_mask
from lead.diffusion.paths.linear import LINEAR
from lead.generation.flow_model import FlowModel
from lead.generation.flow_sampling import FlowGuidance, guided_velocity
from lead.representation import features_to_joints
from lead.training.flow_stage import FlowOptions, FlowStage

BATCHES = (1, 32)
ENCODED = 2  # sentences and motions that the encoders are timed on; a batch costs in proportion
TRAINED, FIRST = 3, 2  # steps of a timing, and before it
SAME_DECODER = "plain has the same decoder, of all motions at once"


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:
    """The rows of `lead bench flow`, size by size."""
    rows = []
    for size in options.flows:
        model, plain = flow_model(size, setting.seed)
        numbers = sum(weight.numel() for weight in model.flow.parameters())
        name = f"{size.name} ({numbers / 1e6:.1f} M)"
        for batch in BATCHES:
            given = flow_input(model, [options.frames] * batch, setting.seed)
            rows += _rows(name, setting, machine, model, plain, given)
        rows.append(_training_row(name, setting, machine, model, size, options.batch))
    return rows


def velocity(model: FlowModel, given: FlowInput, precision: str = "fp32") -> Tensor:
    """One guided velocity in the middle of the way, as sampling asks for it."""
    guidance = FlowGuidance(SCALE)
    ask = guided_velocity(model.flow, given.text, given.mask, given.word_mask, guidance)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        return ask(given.z, torch.full((len(given.z),), 0.5)).float()


@torch.no_grad()
def plain_velocity(plain: PlainFlow, given: FlowInput) -> Tensor:
    """The same by plain code."""
    time = torch.full((len(given.z),), 0.5)
    return plain.guided(given.z, time, given.text, given.mask, given.word_mask, SCALE)


def joints_of(model: FlowModel, given: FlowInput) -> Tensor:
    """What `lead generate` does between the text encoder and the files."""
    texts = [f"sentence {row}" for row in range(len(given.frames))]
    seeds = list(range(len(texts)))
    sampled = model.sample(texts, given.frames, seeds, SAMPLING, condition=given.condition)
    return features_to_joints(model.decode(sampled, given.frames))


@torch.no_grad()
def plain_joints(model: FlowModel, plain: PlainFlow, given: FlowInput, z: Tensor) -> Tensor:
    """The same by Euler's loop from noise ``z`` and the coder's decoder, all motions at once."""
    z = plain.sample(z, given.text, given.mask, given.word_mask, SCALE, STEPS)
    return features_to_joints(model.decode_batch(z, lengths_to_mask(torch.tensor(given.frames))))


def operations(work: Callable[[], object]) -> int:
    """Of all products of matrices, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def _rows(
    name: str,
    setting: Setting,
    machine: Machine,
    model: FlowModel,
    plain: PlainFlow,
    given: FlowInput,
) -> Iterator[Row]:
    """A velocity, then whole motions: each in the machine's precisions."""
    models = {own: model.prepared(own) for own in machine.flops}
    batch, one = len(given.frames), flow_input(model, given.frames[:1], 0)
    weights = sum(weight.numel() for weight in plain.parameters())
    step = operations(lambda: plain_velocity(plain, one))
    decoded = operations(lambda: model.decode(one.z, one.frames))
    asked = plain_velocity(plain, given)

    def apart(own: str) -> str:
        got = velocity(models[own], given, own)
        return f"{float((got - asked).abs().max() / asked.abs().max()):.1e}"

    velocities = {"plain": lambda: plain_velocity(plain, given)}
    velocities |= {own: lambda own=own: velocity(models[own], given, own) for own in models}
    motions = {"plain": lambda: plain_joints(model, plain, given, given.z)}
    motions |= {own: lambda own=own: joints_of(models[own], given) for own in models}
    for unit, works, steps, done in (
        ("velocities", velocities, 1, step),
        ("motions", motions, STEPS, STEPS * step + decoded),
    ):
        of_motions = unit == "motions"
        seconds = alternate(works, setting, warm_up=not of_motions)
        what = f"motion, {STEPS} steps" if of_motions else "velocity"
        for own in models:
            yield Row(
                f"{name}, {what}, batch {batch}, {own}",
                *(batch, unit, median(seconds[own]), median(seconds["plain"])),
                machine.floor(float(batch * done), float(steps * NUMBER[own] * weights), own),
                *(seconds[own], seconds["plain"]),
                difference="" if of_motions else apart(own),
                remark=f"{given.frames[0]} frames; {SAME_DECODER}" * of_motions,
            )


def _training_row(
    name: str, setting: Setting, machine: Machine, model: FlowModel, size: FlowSize, asked: int
) -> Row:
    """A step of our stage on cached latents, beside a plain one with the encoders in the loop."""
    batch = asked or size.batch
    frames = lengths(setting.seed, CLIPS)
    data = flow_data(model, frames, setting.seed)
    flow = make_flow(size, model.coder)
    ours_stage = FlowStage(flow, LINEAR, FlowOptions(optimizer=OPTIMIZER))
    drawn: LatentBatch = middle_batch(data, batch)
    plain = PlainFlow(flow)
    plain_step, encode = plain_flow_step(plain), _encoders(model, frames)

    def step() -> None:
        plain_step(drawn.mu, drawn.text, drawn.mask, drawn.word_mask)

    done = operations(step)
    ours, theirs = in_turns(
        lambda turn: seconds_per_step(
            ours_stage, partial(flow_batches, data, batch, seed=turn), setting, TRAINED, FIRST
        ),
        lambda _: setting.time(encode) * batch / ENCODED + setting.time(step),
        setting,
    )
    return Row(
        f"{name}, training step, batch {batch}, {setting.precision}",
        *(batch, "motions", median(ours), median(theirs)),
        machine.floor(float(done), 0.0, setting.precision),
        *(ours, theirs),
        remark=f"plain: encoders timed on {ENCODED} motions and sentences, in proportion; the step "
        f"alone takes {setting.time(step):.3g} s",
    )


def _encoders(model: FlowModel, frames: np.ndarray) -> Callable[[], None]:
    """A CLIP of ViT-B/32's size on ENCODED sentences, the coder's encoder on as many motions."""
    clip = clip_text_model(width=512)
    x = torch.zeros(ENCODED, int(np.median(frames)), model.skeleton.features)
    x[..., 3] = 0.9  # a root above the floor
    mask = torch.ones(x.shape[:2], dtype=torch.bool)

    @torch.no_grad()
    def encode() -> None:
        model.posterior(x, mask)
        embed_sentences(clip, ENCODED, x.device)

    return encode
