"""Flows of the sizes in configs/size with random weights, and what they train and generate on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lead.bench.plain_flow import PlainFlow
from lead.core.building import build
from lead.core.freezing import freeze
from lead.core.masks import lengths_to_mask
from lead.core.seeding import make_generator
from lead.data.clips import length_sorted_batches
from lead.data.latents import TimedLatents, keep
from lead.data.packed import PackedSplit
from lead.data.words import CaptionWords
from lead.generation import Sampling
from lead.generation.flow_coders import FlowCoder, JointCoder, LatentFrame, TimedCoder
from lead.generation.flow_model import FlowModel
from lead.models.flow_transformer import FlowTransformer
from lead.models.text_encoders.hash import HashTextEncoder
from lead.representation import get_skeleton
from lead.representation.normalizer import Normalizer
from lead.training.datamodule import StepDataModule

TEXT_DIM, WORDS = 512, 20  # of CLIP ViT-B/32; words of a sentence
STEPS, SCALE = 16, 3.0
SAMPLING = Sampling("euler", STEPS, SCALE)  # configs/sampling/euler16.yaml
CLIPS = 512  # of the made data set


@dataclass(frozen=True)
class FlowSize:
    """The parts of one size as configs have them; ``coder`` is the VAE's or auto-encoder's."""

    name: str
    flow: Mapping[str, object]
    coder: Mapping[str, object]
    batch: int  # of training


@dataclass(frozen=True)
class FlowInput:
    """What a velocity is asked of: noise and text with their masks."""

    frames: list[int]
    z: Tensor
    text: Tensor
    mask: Tensor
    word_mask: Tensor

    @property
    def condition(self) -> list[Tensor]:
        """The sentences as ``MotionModel.embed`` gives them, the empty one last."""
        return [*self.text, self.text[0, :3]]


def flow_model(size: FlowSize, seed: int) -> tuple[FlowModel, PlainFlow]:
    """A model whose weights are random, none of them zero, and the plain form of its flow."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        coder = _coder(size.coder)
        flow = make_flow(size, coder)
    model = FlowModel(
        coder=coder,
        skeleton=coder.skeleton,
        flow=freeze(flow),
        text_encoder=HashTextEncoder(dim=TEXT_DIM, buckets=64),  # never asked
        fps=coder.skeleton.fps,
        frame_limits=(4, 400),
    )
    return model, PlainFlow(flow).eval()


def make_flow(size: FlowSize, coder: FlowCoder) -> FlowTransformer:
    """A flow for the latents of a coder, none of whose weights is zero."""
    _, joints, channels = coder.latent_frame
    sizes = {"channels": channels, "joints": joints, "text_dim": TEXT_DIM}
    patch = {"patch": 1} if joints == 1 else {}
    flow = build("flow", {**size.flow, **sizes, **patch}, f"flow of size {size.name}")
    for parameter in flow.parameters():
        if not parameter.any():  # gates and outputs start at zero
            torch.nn.init.normal_(parameter, std=0.02)
    return flow


def _coder(description: Mapping[str, object]) -> FlowCoder:
    skeleton = get_skeleton("humanml3d")
    if description["_target_"] == "timed_vae":
        vae = build("vae", {**description, "features": skeleton.features}, "vae")
        dim = vae.latent_dim
        return TimedCoder(
            vae=freeze(vae),
            normalizer=Normalizer(np.zeros(skeleton.features), np.full(skeleton.features, 0.05)),
            latents=Normalizer(np.zeros(dim), np.ones(dim)),
            skeleton=skeleton,
            latent_frame=LatentFrame(vae.patch, 1, dim),
        )
    autoencoder = build("autoencoder", {**description, "coordinates": 3}, "autoencoder")
    return JointCoder(
        autoencoder=freeze(autoencoder),
        normalizer=Normalizer([0.0, 0.8, 0.2], [0.5, 0.5, 0.5]),
        skeleton=skeleton,
        latent_frame=LatentFrame(4, skeleton.joints, autoencoder.channels),
    )


def flow_input(model: FlowModel, frames: list[int], seed: int) -> FlowInput:
    """Noise for motions of so many frames, and stand-ins for their sentences."""
    generator = make_generator(seed, "flow")
    tokens = torch.tensor([model.coder.token_count(count) for count in frames])
    _, joints, channels = model.coder.latent_frame
    mask = lengths_to_mask(tokens)
    z = torch.randn((*mask.shape, joints, channels), generator=generator)
    text = torch.randn(len(frames), 1 + WORDS, TEXT_DIM, generator=generator)
    words = torch.ones(len(frames), 1 + WORDS, dtype=torch.bool)
    return FlowInput(frames, z * mask[..., None, None], text, mask, words)


def flow_data(model: FlowModel, lengths: np.ndarray, seed: int) -> TimedLatents:
    """Made latents and words of clips of so many frames, three captions each."""
    rng, count = np.random.default_rng(seed), len(lengths)
    tokens = np.array([model.coder.token_count(int(length)) for length in lengths])
    _, joints, channels = model.coder.latent_frame
    latents = rng.standard_normal((int(tokens.sum()), joints, channels), dtype=np.float32)
    names = [f"sentence {number}" for number in range(count)]
    captions = [[names[(clip + which) % count] for which in range(3)] for clip in range(count)]
    split = PackedSplit(
        *("train", np.zeros((1, 1), np.float32), names),
        *(np.zeros(count, int), lengths, captions, [[]] * count, [{}] * count),
    )
    words = rng.standard_normal((WORDS * count, TEXT_DIM), dtype=np.float32).astype(np.float16)
    pooled = torch.from_numpy(words[:count]).clone()
    rows = {name: row for row, name in enumerate(names)}
    counts = np.full(count, WORDS)
    null = torch.zeros(3, TEXT_DIM)  # its pooled vector and two marks
    given = CaptionWords(rows, pooled, words, counts, null)
    return TimedLatents(split, latents, tokens, given, seed)


def flow_batches(data: TimedLatents, batch: int, steps: int, seed: int) -> StepDataModule:
    """The data with a plan of batches; nothing is validated."""
    own = (data, data.lengths)
    return StepDataModule(*own, *own, keep, *(batch, steps, seed))


def middle_batch(data: TimedLatents, batch: int):
    """A batch of clips of neighbouring lengths about the middle, as training has them."""
    batches = length_sorted_batches(data.lengths, batch)
    return data.__getitems__([(0, place) for place in batches[len(batches) // 2]])
