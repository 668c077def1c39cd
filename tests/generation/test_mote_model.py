"""MoTe as a motion model: every task from one run, each row apart from its batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.diffusion.schedules import scaled_linear
from lead.generation import Sampling, load_motion_model
from lead.generation.attention import watch
from lead.generation.joint_sampling import likeliest
from lead.generation.motion_model import padded
from lead.inversion import InversionOptions
from lead.inversion.objectives import Noised
from lead.models.joint_denoiser import CLEAN
from lead.representation import constant_bones, features_to_joints, joints_to_features

FEW = Sampling("ddim", steps=3, guidance_scale=2.0)
TEXTS = ["a person walks", "a person runs in a circle and stops", "someone jumps"]
FRAMES, SEEDS = [31, 10, 60], [1, 2, 3]
KINDS = [("timed_vae", "token"), ("timed_vae", "noise"), ("motion_vae", "token")]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def model(request, tmp_path_factory, mote_runs):
    return load_motion_model(mote_runs(tmp_path_factory.mktemp("mote"), *request.param))


@pytest.fixture(scope="module")
def clips(model):
    return [motion.features for motion in model.generate(TEXTS, FRAMES, SEEDS, FEW)]


@pytest.mark.parametrize("texts", [TEXTS, ["a person walks", "", "someone jumps"]])
def test_a_motion_depends_on_its_own_text_seed_and_length_alone(model, texts):
    together = model.sample(texts, FRAMES, SEEDS, FEW)
    for row, one in enumerate(zip(texts, FRAMES, SEEDS, strict=True)):
        alone = model.sample(*([value] for value in one), FEW)[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=1e-3, atol=1e-3)
        assert not together[row, len(alone) :].any()
    moved = model.sample(["she bows", *texts[1:]], FRAMES, SEEDS, FEW)
    assert not torch.allclose(moved[0], together[0], atol=1e-2)
    torch.testing.assert_close(moved[1:], together[1:], rtol=1e-3, atol=1e-3)


def test_clips_have_the_frames_asked_for(model, clips):
    assert [clip.shape for clip in clips] == [(frames, 263) for frames in FRAMES]
    with pytest.raises(RequestError, match="frames"):
        model.generate(TEXTS[:1], [61], [1], FEW)


def test_guidance_goes_beyond_the_text_and_one_is_the_text_alone(model):
    at = {
        scale: model.sample(TEXTS[:1], [31], [1], Sampling("ddim", 1, float(scale)))
        for scale in (0, 1, 3)
    }
    torch.testing.assert_close(at[3], at[0] + 3 * (at[1] - at[0]), rtol=1e-2, atol=1e-2)
    alone = model.sample([""], [31], [1], Sampling("ddim", 1, 1.0))
    assert alone.shape == at[1].shape and not torch.allclose(alone, at[1], atol=1e-2)


@pytest.mark.parametrize(("beams", "candidates"), [(1, 1), (3, 1), (1, 3)])
def test_sentences_depend_on_the_motion_and_its_seed_alone(model, clips, beams, candidates):
    ways = {"sampling": replace(FEW, candidates=candidates), "beams": beams}
    told = model.caption(clips, SEEDS, count=2, **ways)
    assert told == model.caption(clips, SEEDS, count=2, **ways)
    assert [len(own) for own in told] == [2, 2, 2]
    for clip, seed, own in zip(clips, SEEDS, told, strict=True):
        (alone,) = model.caption([clip], [seed], count=1, **ways)
        assert alone[0].text == own[0].text
        if candidates == 1:  # of many that say the same, rounding may choose another
            assert alone[0].score == pytest.approx(own[0].score, abs=1e-3)
        ((later,),) = model.caption([clip], [seed + 1], **ways)
        assert later.text == own[1].text


def test_of_the_candidates_the_one_is_said_that_tells_the_motion():
    """A network that takes what a sentence says for the clean motion errs by how far it is off."""
    schedule, many = scaled_linear(), 3
    motion = torch.randn(4, 5, 2).repeat_interleave(many, dim=0)
    off = torch.tensor([0.5, 0.1, 0.9, 0.3, 0.4, 0.2, 0.0, 0.7, 0.7, 2.0, 1.0, 3.0])
    mask = torch.ones(len(motion), 5, dtype=torch.bool)
    mask[3:6, 3:] = False
    said = motion + off[:, None, None]
    said[3:6, 3:] = 100 * (3 - torch.arange(3.0))[:, None, None]  # of what is padding nobody asks

    def network(noised, text, words, word_mask):
        assert bool((text.timestep == CLEAN).all())
        signal, noise = schedule.signal_and_noise(noised.timestep, noised.z_t)
        return ((noised.z_t - signal * text.z_t) / noise,)

    words, seen = torch.zeros(len(motion), 1, 3), torch.ones(len(motion), 1, dtype=torch.bool)
    assert likeliest(network, schedule, motion, mask, said, words, seen, many) == [1, 5, 6, 10]


def test_a_caption_is_the_same_wherever_the_motion_is_and_faces(model, clips):
    """Joints turned about the vertical, moved over the floor: the same features, so the same."""
    joints = features_to_joints(clips[2], "humanml3d")
    turn = np.array([[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]], dtype=np.float32)
    moved = joints @ turn.T + np.array([3.0, 0.0, -7.0], dtype=np.float32)
    plain, other = (
        joints_to_features(of, "humanml3d", shortest_turn=True) for of in (joints, moved)
    )
    told = [model.caption([of], [5], count=2, sampling=FEW) for of in (plain, other)]
    assert [c.text for c in told[0][0]] == [c.text for c in told[1][0]]
    np.testing.assert_allclose(
        [c.score for c in told[0][0]], [c.score for c in told[1][0]], atol=1e-2
    )


def test_longer_motions_than_trained_are_told_by_their_first_part(model, clips):
    long = np.concatenate([clips[2], clips[2]])
    assert model.caption([long], [1], sampling=FEW) == model.caption([clips[2]], [1], sampling=FEW)


def test_motion_alone_both_together_and_text_alone(model):
    free = model.make("motion", [31, 60], [1, 2], FEW)
    assert [motion.text for motion in free] == ["", ""]
    assert [motion.joints.shape for motion in free] == [(31, 22, 3), (60, 22, 3)]
    pairs = model.make("joint", [31, 60], [1, 2], FEW)
    assert all(pair.text for pair in pairs)
    for pair, frames, seed in zip(pairs, [31, 60], [1, 2], strict=True):
        (alone,) = model.make("joint", [frames], [seed], FEW)
        assert alone.text == pair.text
        np.testing.assert_allclose(alone.joints, pair.joints, atol=1e-2)
    assert not np.allclose(pairs[0].joints, free[0].joints, atol=1e-2)
    written = model.write([1, 2], sampling=FEW)
    for seed, one in zip((1, 2), written, strict=True):
        (alone,) = model.write([seed], sampling=FEW)
        assert alone.text == one.text and alone.score == pytest.approx(one.score, abs=1e-3)


def test_variations_by_text_are_of_the_caption_and_no_noise_rebuilds(model, clips):
    (told,) = model.caption(clips[:1], [4], sampling=FEW)
    (varied,) = model.vary(clips[0], [4], FEW)
    (made,) = model.generate([told[0].text], [31], [4], FEW)
    np.testing.assert_allclose(varied.joints, made.joints, atol=1e-4)
    (same,) = model.vary(clips[0], [4], FEW, by="noise", strength=0.0)
    (rebuilt,) = model.rebuild(clips[:1])
    joints = constant_bones(features_to_joints(rebuilt, "humanml3d"), "humanml3d")
    np.testing.assert_allclose(same.joints, joints, atol=1e-3)
    apart = [
        np.abs(model.vary(clips[0], [4], FEW, "noise", share)[0].joints - same.joints).mean()
        for share in (0.0, 0.6, 1.0)
    ]
    assert apart[0] == 0 and apart[1] > 0 and apart[2] > 0


def test_a_words_loss_is_that_of_motion_from_text(model):
    torch.manual_seed(0)
    mask = torch.ones(2, 31, dtype=torch.bool)
    shape = model.posterior(torch.zeros(2, 31, 263), mask)[0].shape
    batch = Noised(torch.randn(shape), torch.randn(shape), torch.tensor([10, 700]), mask)
    options = InversionOptions(objective="mld")
    word = torch.randn(12, requires_grad=True)
    losses = model.word_loss(batch, ["a <zombie> walks"] * 2, {"<zombie>": word}, options)
    assert losses.shape == (2,)
    losses.sum().backward()
    assert word.grad.abs().sum() > 0
    with pytest.raises(RequestError, match="objective"):
        model.word_loss(batch, ["a"] * 2, {}, InversionOptions(objective="lead"))


def test_what_it_cannot_is_refused(model, flow_run):
    for sampling in (
        Sampling("lcm", 2),
        Sampling("euler", 4),
        Sampling("ddim", 5000),
        Sampling("ddpm", 5),
    ):
        with pytest.raises(RequestError):
            model.check_sampling(sampling)
    with pytest.raises(RequestError, match="compiled"):
        model.prepared(compiled=True)
    other = load_motion_model(flow_run)
    for ask in (
        lambda: other.caption([np.zeros((20, 263), np.float32)], [1]),
        lambda: other.make("joint", [20], [1], FEW),
        lambda: other.write([1]),
    ):
        with pytest.raises(RequestError):
            ask()


def test_a_sentence_without_noise_is_written_again_and_with_all_of_it_is_a_new_one(model):
    latents = model.sentences.encode(*padded(model.read(TEXTS, {})))
    again = [caption.text for caption in model.sentences.write(latents)]
    same = model.reword(TEXTS, SEEDS, strength=0.0, sampling=FEW)
    assert [caption.text for caption in same] == again
    half = model.reword(TEXTS, SEEDS, strength=0.7, sampling=FEW)
    for text, seed, one in zip(TEXTS, SEEDS, half, strict=True):
        (alone,) = model.reword([text], [seed], strength=0.7, sampling=FEW)
        assert alone.text == one.text
    shuffled = [*TEXTS[1:], TEXTS[0]]  # so much noise that the sentence beneath hardly counts
    new, other = (model.reword(of, SEEDS, strength=1.0, sampling=FEW) for of in (TEXTS, shuffled))
    for one, two in zip(new, other, strict=True):
        assert one.score == pytest.approx(two.score, abs=0.5)


def test_attention_to_words_is_seen_once_a_step(model):
    made = watch(model, TEXTS[:2], FRAMES[:2], SEEDS[:2], FEW)
    for one in made:
        assert len(one.times) == FEW.steps and [*one.times] == sorted(one.times, reverse=True)
        np.testing.assert_allclose(one.weights.sum(-1), 1, atol=1e-4)
