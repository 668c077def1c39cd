"""A flow as a motion model: rows apart from their batch, exact lengths, joints as decoded."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.diffusion.paths.linear import LINEAR
from lead.generation import Sampling, load_motion_model
from lead.generation.flow_coders import features_of
from lead.generation.loading import load_coder
from lead.generation.motion_coder import joined
from lead.inversion import InversionOptions
from lead.inversion.objectives import Noised
from lead.representation import constant_bones, features_to_joints
from lead.representation.normalizer import load_normalizer

TEXTS = ["a person walks", "a person runs in a circle and stops", "someone jumps"]
FRAMES, SEEDS = [31, 10, 60], [1, 2, 3]
SHAPES = {"joints": (4, 22, 4), "vae": (3, 1, 6)}
"""Frames, joints and channels of a latent, of tests/flow_runs.py."""
FEW = Sampling("euler", steps=3, guidance_scale=2.0)


@pytest.fixture(scope="module", params=SHAPES)
def kind(request):
    """What a flow stands on."""
    return request.param


@pytest.fixture(scope="module")
def model(kind, flow_run, timed_flow_run):
    return load_motion_model(flow_run if kind == "joints" else timed_flow_run)


@pytest.fixture(scope="module")
def joint_model(flow_run):
    return load_motion_model(flow_run)


def distances(joints) -> torch.Tensor:
    """Between all joints of all frames: what no placing in space changes."""
    places = torch.as_tensor(joints).reshape(-1, 3).double()
    return torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist")


@pytest.mark.parametrize(
    "sampling",
    [
        FEW,
        Sampling("dopri5", steps=3, guidance_scale=1.0),
        Sampling("heun", steps=2, guidance_scale=2.0, shift=2.0),
        Sampling("midpoint", steps=2, guidance_scale=2.0, guidance_start=0.4),
        Sampling("euler", steps=3, guidance_scale=2.0, sink_base=0.05, sink_alpha=1.0),
    ],
    ids=lambda sampling: sampling.sampler + ("-sink" if sampling.sink_base else ""),
)
def test_a_motion_depends_on_its_own_text_seed_and_length_alone(model, kind, sampling):
    together = model.sample(TEXTS, FRAMES, SEEDS, sampling)
    frames, *rest = SHAPES[kind]
    assert together.shape == (3, 60 // frames, *rest)
    for row, one in enumerate(zip(TEXTS, FRAMES, SEEDS, strict=True)):
        alone = model.sample(*([value] for value in one), sampling)[0]
        assert len(alone) == -(-one[1] // frames)
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=1e-3, atol=1e-3)
        assert not together[row, len(alone) :].any()
    assert (together[0, :2] - together[2, :2]).abs().max() > 0.1


@pytest.mark.parametrize("frames", [10, 11, 12, 13, 60])
def test_clips_have_the_frames_asked_for_and_the_bones_of_the_skeleton(model, frames):
    (motion,) = model.generate(TEXTS[:1], [frames], [4], FEW)
    assert motion.joints.shape == (frames, 22, 3) and motion.features.shape == (frames, 263)
    parents = list(model.skeleton.parents[1:])
    lengths = np.linalg.norm(motion.joints[:, 1:] - motion.joints[:, parents], axis=-1)
    np.testing.assert_allclose(lengths, [model.skeleton.bone_lengths[1:]] * frames, atol=1e-5)
    np.testing.assert_allclose(
        features_to_joints(motion.features, "humanml3d"), motion.joints, atol=1e-4
    )


@torch.no_grad()
def test_joints_are_the_decoded_ones_set_down_elsewhere(joint_model):
    model = joint_model
    latents = model.sample(TEXTS, FRAMES, SEEDS, FEW)
    motions = model.generate(TEXTS, FRAMES, SEEDS, FEW)
    for row, (frames, motion) in enumerate(zip(FRAMES, motions, strict=True)):
        mask = torch.ones(1, frames, dtype=torch.bool)
        x = model.coder.autoencoder.decode(latents[row : row + 1, : -(-frames // 4)], mask)
        decoded = constant_bones(x * model.coder.normalizer.std + model.coder.normalizer.mean)
        torch.testing.assert_close(
            distances(motion.joints), distances(decoded), rtol=1e-3, atol=1e-3
        )
        assert motion.joints[..., 1].min() == pytest.approx(0, abs=1e-4)


def test_what_comes_after_the_last_frame_is_more_of_the_same(sticks):
    """Sticks slide at one pace: their features know the frame after the last."""
    lengths, paces = [20, 9], [0.03, 0.01]
    wanted = [sticks.stick_features(*of) for of in zip(lengths, paces, strict=True)]
    joints = torch.full((2, 20, 22, 3), 7.0)
    for row, features in enumerate(wanted):
        joints[row, : len(features)] = torch.from_numpy(features_to_joints(features))
    found = features_of(joints, lengths_to_mask(torch.tensor(lengths)), "humanml3d")
    for row, features in enumerate(wanted):
        np.testing.assert_allclose(found[row, : len(features)], features, atol=1e-4)
        assert not found[row, len(features) :].any()


@torch.no_grad()
def test_features_are_those_that_the_vae_decodes(timed_flow_run, sticks):
    """Both ways by hand, standardised by the statistics that the flow's own run keeps."""
    model, below = load_motion_model(timed_flow_run), timed_flow_run.ancestor("vae")
    vae, features = below.load_part("vae").eval(), load_normalizer(below, 263)
    mean, std = timed_flow_run.tensors("normalizer").values()
    latents = model.sample(TEXTS, FRAMES, SEEDS, FEW)
    found = model.decode(latents, FRAMES)
    for row, frames in enumerate(FRAMES):
        z = latents[row : row + 1, : -(-frames // 3), 0] * std + mean
        mask = torch.ones(1, frames, dtype=torch.bool)
        wanted = vae.decode(z, mask)[0] * features.std + features.mean
        torch.testing.assert_close(found[row, :frames], wanted, rtol=1e-4, atol=1e-4)
    motions = [sticks.stick_features(frames, 0.02) for frames in (21, 11, 40)]
    x, mask = torch.zeros(3, 40, 263), lengths_to_mask(torch.tensor([21, 11, 40]))
    for row, motion in enumerate(motions):
        x[row, : len(motion)] = torch.from_numpy(motion)
    z, spread = model.posterior(x, mask)
    assert z.shape == (3, 14, 1, 6) and not spread.exp().any()
    alone = load_coder(below).rebuild(motions)
    for row, (motion, rebuilt) in enumerate(zip(motions, model.rebuild(motions), strict=True)):
        own = ((torch.tensor(motion) - features.mean) / features.std)[None]
        mu, _ = vae.encode(own, torch.ones(own.shape[:2], dtype=torch.bool))
        torch.testing.assert_close(
            z[row, : mu.shape[1], 0], (mu[0] - mean) / std, rtol=1e-3, atol=1e-3
        )
        assert not z[row, mu.shape[1] :].any()
        np.testing.assert_allclose(rebuilt, alone[row], rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_rebuilding_is_the_auto_encoder_on_joints(joint_model, flow_run, sticks):
    model = joint_model
    motions = [sticks.stick_features(frames, 0.02) for frames in (21, 12, 40)]
    below = load_coder(flow_run.ancestor("autoencoder"))
    for motion, rebuilt, alone in zip(
        motions, model.rebuild(motions), below.rebuild(motions), strict=True
    ):
        x = (torch.tensor(features_to_joints(motion)) - model.coder.normalizer.mean) / 0.5
        mask = torch.ones(1, len(motion), dtype=torch.bool)
        back = model.coder.autoencoder.decode(model.coder.autoencoder.encode(x[None], mask), mask)
        wanted = distances(constant_bones(back * 0.5 + model.coder.normalizer.mean))
        found = features_to_joints(rebuilt)
        assert rebuilt.shape == motion.shape and np.array_equal(rebuilt, alone)
        torch.testing.assert_close(distances(found), wanted, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_word_s_loss_is_that_of_the_velocity_over_real_latents(model, kind):
    draw, (frames, *rest) = torch.Generator().manual_seed(0), SHAPES[kind]
    lengths = torch.tensor([8 * frames - 2, 3 * frames])
    clean, noise = (torch.randn(2, 8, *rest, generator=draw) for _ in range(2))
    longer = [joined([z, torch.ones(1, 9, *rest)])[:2] for z in (clean, noise)]
    rest = (torch.tensor([100, 700]), lengths_to_mask(lengths))
    batch = Noised(clean, noise, *rest)
    options = InversionOptions(objective="mld")
    losses = model.word_loss(batch, TEXTS[:2], {}, options)
    longer = model.word_loss(Noised(*longer, *rest), TEXTS[:2], {}, options)
    torch.testing.assert_close(longer, losses)
    for row, tokens in enumerate((8, 3)):
        time = 1 - (batch.timestep[row] + 0.5) / 1000
        z, n = clean[row : row + 1, :tokens], noise[row : row + 1, :tokens]
        made = model.text_encoder.encode([TEXTS[row]])
        text = torch.cat([made.pooled[:, None], made.tokens], dim=1)
        guess = model.flow(time * z + (1 - time) * n, time[None], text)
        assert float(losses[row]) == pytest.approx(float(((guess - (z - n)) ** 2).mean()), rel=1e-4)
    weighted = InversionOptions(objective="mld", weighting="alpha_bar")
    signal, other = 0.2995**2, 0.7005**2
    assert float(model.word_loss(batch, TEXTS[:2], {}, weighted)[1]) == pytest.approx(
        float(losses[1]) * signal / (signal + other), rel=1e-4
    )
    assert LINEAR is model.path
    for objective in ("lead", "feat"):
        with pytest.raises(RequestError, match=f"^objective '{objective}' is for diffusion"):
            model.word_loss(batch, TEXTS[:2], {}, InversionOptions(objective=objective))


@torch.no_grad()
@pytest.mark.parametrize("sampler", ["euler", "heun", "dopri5"])
def test_kept_frames_come_out_as_they_are_coded(model, kind, sticks, sampler):
    """All real latents of the others stay free, those of the kept are met to rounding."""
    features = sticks.stick_features(42, 0.03)
    kept = np.arange(42) % 20 < 10  # 0-10, 20-30, 40-42
    frames = SHAPES[kind][0]
    whole = [kept[at : at + frames].all() for at in range(0, 43 - frames, frames)]
    fixed = [token for token, all_of_it in enumerate(whole) if all_of_it]
    assert fixed == {4: [0, 1, 5, 6], 3: [0, 1, 2, 7, 8, 9]}[frames]
    free = [token for token in range(-(-42 // frames)) if token not in fixed]
    few = Sampling(sampler, steps=3, guidance_scale=2.0)
    filling = model.with_kept(features, kept)
    latents = filling.sample(TEXTS[:2], [42, 50], [1, 2], few)
    x = torch.tensor(features)[None]
    z, _ = model.posterior(x, torch.ones(1, 42, dtype=torch.bool))
    for row in latents:
        torch.testing.assert_close(row[fixed], z[0, fixed], rtol=1e-3, atol=1e-3)
        assert (row[free] - z[0, free]).abs().mean() > 0.1
    assert (latents[0, free] - latents[1, free]).abs().mean() > 0.1
    nothing = model.with_kept(features, np.zeros(42, bool))
    plain = model.sample(TEXTS[:2], [42, 50], [1, 2], few)
    assert torch.equal(nothing.sample(TEXTS[:2], [42, 50], [1, 2], few), plain)
    given = latents, [42, 50], few
    planting = latents, [42, 50], replace(few, plant_feet=True)
    assert torch.equal(filling.decode_drawn(*planting), filling.decode_drawn(*given))
    assert not torch.equal(model.decode_drawn(*planting), model.decode_drawn(*given))
    if kind == "vae":
        return  # its decoder also reads what comes after, and may change a frame by that
    starting = model.with_kept(features[:20], np.ones(20, bool)).generate(
        TEXTS[:1], [40], [3], few
    )[0]
    (rebuilt,) = model.rebuild([features[:20]])
    wanted = constant_bones(features_to_joints(rebuilt))
    torch.testing.assert_close(
        distances(starting.joints[:20]), distances(wanted), rtol=1e-3, atol=1e-2
    )


def test_bfloat16_is_nearly_the_same(model):
    wanted = model.sample(TEXTS, FRAMES, SEEDS, FEW)
    fast = model.prepared("bf16").sample(TEXTS, FRAMES, SEEDS, FEW)
    cast = replace(model, precision="bf16")  # which turns weights at every step
    assert torch.equal(cast.sample(TEXTS, FRAMES, SEEDS, FEW), fast)
    assert fast.dtype == torch.float32 and not torch.equal(fast, wanted)
    assert (fast - wanted).abs().mean() < 0.05 * wanted.abs().mean()


@pytest.mark.parametrize(
    ("sampling", "line"),
    [
        (Sampling(), "unknown sampler 'ddim' of a flow"),
        (Sampling("euler", steps=0), "steps is 0"),
        (Sampling("euler", steps=4, shift=0.0), "shift of the times is 0"),
        (Sampling("euler", steps=4, timesteps=(5,)), "timesteps are those of a diffusion"),
        (Sampling("euler", steps=4, sink_base=-1.0), "k_base of sink control is -1"),
    ],
    ids=lambda value: value.sampler if isinstance(value, Sampling) else "",
)
def test_samplings_of_no_flow_are_one_line(model, sampling, line):
    with pytest.raises(RequestError, match=line):
        model.check_sampling(sampling)


def test_runs_that_are_no_flow_are_one_line(flow_run, tmp_path):
    below = flow_run.ancestor("autoencoder")
    with pytest.raises(RequestError, match="is an autoencoder run, which knows no text"):
        load_motion_model(below)
    with pytest.raises(RequestError, match="leave projector and diffusion out"):
        load_motion_model(flow_run, projector_run=flow_run)
    moved = Run(shutil.copytree(flow_run.folder.parent, tmp_path / "runs") / "flow")
    assert load_motion_model(moved).frame_limits == (10, 60)
    moved.update(text_encoder={**moved.record.text_encoder, "seed": 9})
    with pytest.raises(RequestError, match="was trained with another 'hash' text encoder"):
        load_motion_model(moved)


@pytest.mark.parametrize("ability", ["project", "match_moments", "embed_guidance"])
def test_what_a_flow_cannot_do_is_refused_by_name(model, ability):
    assert not model.can(ability) and model.can("learn_words")
    with pytest.raises(RequestError) as refused:
        model.need(ability)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 120
