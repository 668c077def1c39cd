"""From runs on disk to motions: independence of the batch, frozen parts, runs that fit together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lead.core.building import build
from lead.core.errors import RequestError, WorkError
from lead.core.run_record import SCHEMA_VERSION
from lead.core.runs import Run
from lead.generation import Sampling, load_motion_model
from lead.generation.lead_model import LeadModel
from lead.representation import features_to_joints
from lead.representation.features import with_constant_bones
from lead.representation.normalizer import Normalizer
from lead.representation.planting import plant_feet

FEATURES, DIM, TEXT = 263, 8, 12
SIZES = {"latent_dim": DIM, "width": 16, "layers": 3, "heads": 2, "feed_forward": 24}
VAE = {"_target_": "motion_vae", "features": FEATURES, "latent_tokens": 2, **SIZES}
DENOISER = {"_target_": "mld_denoiser", "text_dim": TEXT, **SIZES}
PROJECTOR = {"_target_": "projector", "text_dim": TEXT, **SIZES}
SCHEDULE = {"_target_": "noise_schedule", "name": "scaled_linear"}
ENCODER = {"_target_": "hash", "dim": TEXT}
FEW = Sampling(steps=5)
TEXTS = ["a person walks", "a person runs in a circle", "someone jumps"]


def make_run(folder: Path, stage: str, parts: dict, parents: dict, seed: int) -> Run:
    """A run directory of the documented layout with untrained weights."""
    run = Run(folder)
    part = next(iter(parts))
    torch.manual_seed(seed)
    run.save_part(part, build(part, parts[part]).state_dict())
    run.update(
        schema=SCHEMA_VERSION,
        stage=stage,
        status="finished",
        parts=parts,
        parents={name: parent.as_parent(folder) for name, parent in parents.items()},
        text_encoder=ENCODER,
        text_fingerprint=build("text_encoder", ENCODER).fingerprint,
        dataset={"name": "made", "skeleton": "humanml3d", "fps": 20.0, "frames": [10, 60]},
    )
    return run


def make_vae_run(folder: Path, seed: int = 0) -> Run:
    run = make_run(folder, "vae", {"vae": VAE}, {}, seed)
    rng = np.random.default_rng(seed)
    normalizer = Normalizer(rng.normal(size=FEATURES), 0.01 + 0.1 * rng.random(FEATURES))
    run.save_part("normalizer", normalizer.state_dict())
    return run


def make_chain(folder: Path, seed: int = 0) -> dict[str, Run]:
    vae = make_vae_run(folder / "vae", seed)
    diffusion = make_run(
        *(folder / "diffusion", "diffusion", {"denoiser": DENOISER, "schedule": SCHEDULE}),
        *({"vae": vae}, seed + 1),
    )
    projector = make_run(
        *(folder / "projector", "projector", {"projector": PROJECTOR}),
        *({"diffusion": diffusion}, seed + 2),
    )
    alone = make_run(
        folder / "alone", "projector", {"projector": PROJECTOR}, {"vae": vae}, seed + 3
    )
    return {"vae": vae, "diffusion": diffusion, "projector": projector, "alone": alone}


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> dict[str, Run]:
    return make_chain(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def pipeline(chain) -> LeadModel:
    return load_motion_model(chain["projector"])


@pytest.mark.parametrize("sampling", [FEW, Sampling("ddpm", steps=5), Sampling(steps=5, eta=1.0)])
def test_a_motion_does_not_depend_on_its_batch(pipeline, sampling):
    frames, seeds = [31, 10, 60], [1, 2, 3]
    together = pipeline.generate(TEXTS, frames, seeds, sampling)
    turned = pipeline.generate(TEXTS[::-1], frames[::-1], seeds[::-1], sampling)[::-1]
    for row, (text, length, seed) in enumerate(zip(TEXTS, frames, seeds, strict=True)):
        alone = pipeline.generate([text], [length], [seed], sampling)[0]
        for other in (together[row], turned[row]):
            assert (other.text, other.seed) == (text, seed)
            assert alone.joints.shape == other.joints.shape == (length, 22, 3)
            np.testing.assert_allclose(other.joints, alone.joints, atol=1e-4)
            np.testing.assert_allclose(other.features, alone.features, atol=1e-4)


def test_text_and_seed_decide(pipeline):
    def make(text: str, seed: int) -> np.ndarray:
        return pipeline.generate([text], [20], [seed], FEW)[0].features

    first = make(TEXTS[0], 1)
    assert np.array_equal(make(TEXTS[0], 1), first)
    assert np.abs(make(TEXTS[0], 2) - first).max() > 1e-3
    assert np.abs(make(TEXTS[1], 1) - first).max() > 1e-3


def test_a_longer_motion_is_of_the_same_latent(pipeline):
    latents = pipeline.sample(TEXTS, [20] * 3, [1, 2, 3], FEW, project=True)
    assert latents.shape == (3, 2, DIM)
    features = pipeline.decode(latents, [60, 20, 40])
    assert features.shape == (3, 60, FEATURES)
    assert (features[1, 20:] == 0).all() and (features[1, :20] != 0).any(-1).all()
    motions = pipeline.generate(TEXTS, [60, 20, 40], [1, 2, 3], FEW)
    held = with_constant_bones(features[1, :20])
    torch.testing.assert_close(torch.from_numpy(motions[1].features), held)


def test_planted_feet_are_those_of_the_decoded_motion(pipeline):
    frames, seeds, planting = [25, 60, 40], [1, 2, 3], replace(FEW, plant_feet=True)
    decoded = pipeline.decode(pipeline.sample(TEXTS, frames, seeds, FEW, project=True), frames)
    plain = pipeline.generate(TEXTS, frames, seeds, FEW)
    for row, motion in enumerate(pipeline.generate(TEXTS, frames, seeds, planting)):
        planted = plant_feet(decoded[row, : frames[row]].numpy())
        np.testing.assert_allclose(motion.features, with_constant_bones(planted), atol=1e-5)
        assert np.abs(motion.joints - plain[row].joints).max() > 0.01


def test_bones_are_those_of_the_skeleton(pipeline):
    """In what the untrained decoder puts out they change by centimetres."""
    motion = pipeline.generate(TEXTS[:1], [25], [4], FEW)[0]
    parents = list(pipeline.skeleton.parents[1:])
    lengths = np.linalg.norm(motion.joints[:, 1:] - motion.joints[:, parents], axis=-1)
    np.testing.assert_allclose(lengths, [pipeline.skeleton.bone_lengths[1:]] * 25, atol=1e-5)


def test_joints_are_those_of_the_features_in_metres(pipeline):
    motion = pipeline.generate(TEXTS[:1], [25], [4], FEW)[0]
    expected = features_to_joints(torch.from_numpy(motion.features), "humanml3d")
    np.testing.assert_allclose(motion.joints, expected.numpy(), rtol=1e-5, atol=1e-5)


def test_projecting_is_passing_the_projector(pipeline):
    plain = pipeline.sample(TEXTS, [20] * 3, [1, 2, 3], FEW, project=False)
    projected = pipeline.sample(TEXTS, [20] * 3, [1, 2, 3], FEW, project=True)
    assert (plain - projected).abs().max() > 1e-3
    with torch.no_grad():
        torch.testing.assert_close(pipeline.projector(plain), projected)


def test_features_are_brought_back_to_the_datasets_scale(pipeline, chain):
    latents = pipeline.sample(TEXTS[:1], [20], [1], FEW, project=False)
    mask = torch.ones(1, 15, dtype=torch.bool)
    with torch.no_grad():
        x = pipeline.vae.decode(latents, mask)
    expected = x * pipeline.normalizer.std + pipeline.normalizer.mean
    torch.testing.assert_close(pipeline.decode(latents, [15]), expected)


@pytest.mark.parametrize("frames", [9, 61, 0])
def test_lengths_outside_what_was_trained_are_one_line(pipeline, frames):
    with pytest.raises(RequestError) as error:
        pipeline.generate(TEXTS[:2], [20, frames], [1, 2], FEW)
    message = str(error.value)
    assert message.startswith(f"{frames} frames ({frames / 20:.2f} s) is outside what was trained")
    assert "10..60 frames (0.50 to 3.00 s)" in message and "\n" not in message


def test_an_empty_sentence_is_one_line(pipeline):
    with pytest.raises(RequestError, match="an empty text says nothing"):
        pipeline.generate(["  "], [20], [1], FEW)


@pytest.mark.parametrize(
    ("texts", "frames", "seeds"),
    [
        (TEXTS[:1], [20, 20], [1]),
        (TEXTS[:1], [20], [1, 2]),
        (TEXTS[:2], [20, 20], [1]),
        ("a", [20], [1]),
    ],
)
def test_more_of_one_thing_than_of_another_is_one_line(pipeline, texts, frames, seeds):
    with pytest.raises(RequestError, match="^give lists of one length"):
        pipeline.generate(texts, frames, seeds, FEW)


# Loading


def test_loaded_parts_are_frozen_for_good(pipeline):
    for part in (pipeline.vae, pipeline.denoiser, pipeline.projector, pipeline.text_encoder):
        assert not any(parameter.requires_grad for parameter in part.parameters())
        part.train()
        assert not any(module.training for module in part.modules())
    assert not pipeline.sample(TEXTS, [20] * 3, [1, 2, 3], FEW, project=True).requires_grad


def test_the_weights_are_those_of_the_runs(pipeline, chain):
    for name, part in (("vae", pipeline.vae), ("projector", pipeline.projector)):
        torch.manual_seed({"vae": 0, "projector": 2}[name])
        expected = build(name, {"vae": VAE, "projector": PROJECTOR}[name]).state_dict()
        assert all(torch.equal(part.state_dict()[key], expected[key]) for key in expected)
    assert pipeline.schedule.num_train_timesteps == 1000
    assert pipeline.fps == 20 and pipeline.frame_limits == (10, 60)


def test_a_diffusion_run_has_no_projector(chain):
    plain = load_motion_model(chain["diffusion"])
    assert plain.projector is None
    plain.generate(TEXTS[:1], [20], [1], FEW, project=False)
    with pytest.raises(RequestError, match="project=true needs a projector"):
        plain.generate(TEXTS[:1], [20], [1], FEW, project=True)


def test_a_projector_and_a_denoiser_can_be_named_apart(chain, pipeline):
    added = load_motion_model(chain["diffusion"], projector_run=chain["projector"])
    apart = load_motion_model(chain["alone"], diffusion_run=chain["diffusion"])
    with pytest.raises(RequestError, match="without a diffusion: name one with diffusion=RUN"):
        load_motion_model(chain["alone"])
    asked = (TEXTS, [20] * 3, [1, 2, 3], FEW)
    latents = [model.sample(*asked, project=True) for model in (pipeline, added, apart)]
    assert torch.equal(latents[0], latents[1])
    assert not torch.equal(latents[0], latents[2])  # another projector


def test_runs_of_another_stage_are_refused(chain):
    with pytest.raises(RequestError, match="is a vae run, which knows no text"):
        load_motion_model(chain["vae"])
    with pytest.raises(RequestError, match="is a diffusion run, no projector"):
        load_motion_model(chain["diffusion"], projector_run=chain["diffusion"])


def test_a_projector_of_another_vae_is_refused(chain, tmp_path):
    other = make_chain(tmp_path, seed=50)
    with pytest.raises(RequestError, match="stand on different VAEs"):
        load_motion_model(chain["diffusion"], projector_run=other["projector"])


def test_another_text_encoder_than_trained_with_is_refused(tmp_path):
    runs = make_chain(tmp_path)
    runs["diffusion"].update(text_encoder={**ENCODER, "seed": 9})
    with pytest.raises(RequestError, match="was trained with another 'hash' text encoder"):
        load_motion_model(runs["diffusion"])


def test_a_vae_that_changed_below_is_noticed(tmp_path):
    runs = make_chain(tmp_path)
    make_vae_run(tmp_path / "vae", seed=77)
    with pytest.raises(WorkError, match="has changed since"):
        load_motion_model(runs["projector"])


def test_a_missing_normalizer_is_named(tmp_path):
    runs = make_chain(tmp_path)
    runs["vae"].weights_path("normalizer").unlink()
    with pytest.raises(RequestError, match="holds no weights of its normalizer yet"):
        load_motion_model(runs["diffusion"])


def test_runs_can_move_together(tmp_path):
    make_chain(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert load_motion_model(Run(tmp_path / "there" / "projector")).projector is not None
