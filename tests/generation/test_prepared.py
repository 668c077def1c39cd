"""A prepared pipeline makes the same motions, one by one or together, and does no work twice."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.diffusion.schedules import scaled_linear
from lead.generation import Sampling
from lead.generation.lead_model import LeadModel
from lead.generation.motion_coder import DECODED_ON_CPU
from lead.models.denoiser import MldDenoiser
from lead.models.inference.compiled import CPU_OPTIONS
from lead.models.projector import Projector
from lead.models.vae import MotionVAE
from lead.representation import get_skeleton
from lead.representation.normalizer import Normalizer

DIM, TEXT = 16, 12
SIZES = {"width": 16, "layers": 3, "heads": 2, "feed_forward": 24}
TEXTS = ["a person walks", "a person runs in a circle", "someone jumps", "a person walks"]
FRAMES, SEEDS = [31, 12, 60, 20], [1, 2, 3, 4]


@pytest.fixture(scope="module")
def pipeline() -> LeadModel:
    torch.manual_seed(0)
    encoder = {"_target_": "hash", "dim": TEXT}
    normalizer = Normalizer(np.zeros(263), np.full(263, 0.1))
    return LeadModel(
        vae=freeze(MotionVAE(263, 1, DIM, **SIZES)),
        denoiser=freeze(MldDenoiser(DIM, TEXT, **SIZES)),
        projector=freeze(Projector(DIM, TEXT, **SIZES)),
        text_encoder=build("text_encoder", encoder),
        normalizer=normalizer,
        schedule=scaled_linear(),
        skeleton=get_skeleton("humanml3d"),
        fps=20.0,
        frame_limits=(10, 60),
    )


@pytest.mark.parametrize(
    "sampling",
    [Sampling(steps=6), Sampling("ddpm", steps=6), Sampling(steps=6, guidance_scale=1.0)],
)
def test_the_motions_are_those_of_the_trained_parts(pipeline, sampling):
    wanted = pipeline.generate(TEXTS, FRAMES, SEEDS, sampling)
    for got, own in zip(
        pipeline.prepared().generate(TEXTS, FRAMES, SEEDS, sampling), wanted, strict=True
    ):
        assert (got.text, got.seed) == (own.text, own.seed)
        np.testing.assert_allclose(got.features, own.features, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(got.joints, own.joints, rtol=1e-4, atol=1e-4)


def test_a_distilled_denoiser_samples_as_before(pipeline):
    torch.manual_seed(1)
    student = MldDenoiser(DIM, TEXT, guidance_dim=8, **SIZES)
    torch.nn.init.normal_(student.guidance_layer.weight)
    own = replace(pipeline, denoiser=freeze(student))
    sampling = Sampling("lcm", 2)
    wanted = own.sample(TEXTS, FRAMES, SEEDS, sampling, project=True)
    got = own.prepared().sample(TEXTS, FRAMES, SEEDS, sampling, project=True)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-4), ("bf16", 0.05)])
def test_a_motion_does_not_depend_on_its_batch(pipeline, precision, within):
    fast = pipeline.prepared(precision)
    together = fast.generate(TEXTS, FRAMES, SEEDS, Sampling(steps=6))
    for row, one in enumerate(zip(TEXTS, FRAMES, SEEDS, strict=True)):
        text, frames, seed = ([value] for value in one)
        alone = fast.generate(text, frames, seed, Sampling(steps=6))[0]
        np.testing.assert_allclose(alone.joints, together[row].joints, atol=within)


def test_many_lengths_are_decoded_each_as_alone(pipeline):
    lengths = [10 + 7 * number % 51 for number in range(2 * DECODED_ON_CPU + 3)]
    latents = torch.randn(len(lengths), 1, DIM, generator=torch.Generator().manual_seed(0))
    features = pipeline.prepared().decode(latents, lengths)
    assert features.shape == (len(lengths), max(lengths), 263)
    for row, length in enumerate(lengths):
        alone = pipeline.decode(latents[row : row + 1], [length])[0]
        torch.testing.assert_close(features[row, :length], alone, rtol=1e-4, atol=1e-5)
        assert (features[row, length:] == 0).all()


def test_time_and_text_are_computed_once_a_run(pipeline, monkeypatch):
    counted = Counter()
    for name in ("time_condition", "text_tokens"):
        own = getattr(MldDenoiser, name)

        def counting(self, *inputs, name=name, own=own):
            counted[name] += 1
            return own(self, *inputs)

        monkeypatch.setattr(MldDenoiser, name, counting)
    pipeline.prepared().generate(TEXTS, FRAMES, SEEDS, Sampling(steps=6))
    assert counted == {"time_condition": 1, "text_tokens": 1}
    pipeline.generate(TEXTS, FRAMES, SEEDS, Sampling(steps=6))
    assert counted["time_condition"] == 7  # trained parts compute them in every step


def test_equal_sentences_are_read_once(pipeline, monkeypatch):
    read = []
    encoder = type(pipeline.text_encoder)
    own = encoder.tokenize
    monkeypatch.setattr(
        encoder, "tokenize", lambda self, texts: read.extend(texts) or own(self, texts)
    )
    embedded = pipeline.embed([*TEXTS, ""])
    assert read == [*TEXTS[:3], ""]
    assert torch.equal(embedded[0], embedded[3]) and not torch.equal(embedded[0], embedded[1])


def test_the_parts_of_the_work_are_told(pipeline):
    heard = []
    pipeline.generate(TEXTS, FRAMES, SEEDS, Sampling(steps=2), lap=heard.append)
    assert heard == ["embed sentences", "sample latents", "decode latents", "place joints"]


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler on this machine")
@pytest.mark.slow
@pytest.mark.parametrize("tuned", [False, True])
def test_compiled_networks_make_the_same_motions(pipeline, monkeypatch, tuned):
    monkeypatch.setitem(CPU_OPTIONS, "max_autotune", tuned)  # minutes where nothing is cached
    sampling = Sampling(steps=3)
    wanted = pipeline.generate(TEXTS, FRAMES, SEEDS, sampling)
    fast = pipeline.prepared(compiled=True)
    for _ in range(2):  # compiled at the first use, used at the second
        for got, own in zip(fast.generate(TEXTS, FRAMES, SEEDS, sampling), wanted, strict=True):
            np.testing.assert_allclose(got.joints, own.joints, rtol=1e-4, atol=1e-4)


def test_compiling_without_a_compiler_is_one_line(pipeline, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RequestError, match=r"^compiled=true needs a C\+\+ compiler[^\n]*$"):
        pipeline.prepared(compiled=True)


def test_another_precision_is_one_line(pipeline):
    with pytest.raises(RequestError, match=r"^unknown precision 'fp64'[^\n]*$"):
        pipeline.prepared("fp64")
