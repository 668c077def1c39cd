"""Stage 1 with latents that keep time: its terms, a run from the command line, its resumption."""

import json

import numpy as np
import pytest
import torch

from lead.cli.config import compose
from lead.cli.main import main
from lead.cli.train_request import train_request
from lead.core.batches import MotionBatch
from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.data.cache import cached_posteriors
from lead.data.packed import open_dataset
from lead.models.timed_vae import TimedVae
from lead.representation import constant_bones, features_to_joints, get_skeleton
from lead.representation.normalizer import Normalizer
from lead.training.losses import gaussian_kl, held_joints_terms
from lead.training.stages import train_stage
from lead.training.vae_stage import VaeOptions, VaeStage

LENGTHS, FEET = (9, 5), [7, 8, 10, 11]
TERMS = ("held", "path", "bones", "held_velocities", "feet_velocities", "standing")
RECIPE = tuple(f"stage.module.{name}_weight=1" for name in TERMS)
TIMED = ("model/vae=timed", "stage.crop_most=10", *RECIPE)


@pytest.fixture(scope="module")
def clips():
    """Joints that a network might say, the real ones, some of whose feet stand, and the mask."""
    torch.manual_seed(0)
    real = torch.randn(2, 9, 22, 3).double()
    real[:, 3:6] = real[:, 3:4] + 0.005 * torch.randn(2, 3, 1, 3).double()
    return real + 0.1 * torch.randn_like(real), real, lengths_to_mask(torch.tensor(LENGTHS))


def by_hand(guess, real) -> dict[str, list]:
    """Everything that is averaged, of one clip without padding; NumPy."""
    skeleton = get_skeleton("humanml3d")
    held = constant_bones(guess)
    errors = {name: [] for name in TERMS}
    for frame in range(len(real)):
        gaps = (held[frame] - held[frame, 0]) - (real[frame] - real[frame, 0])
        errors["held"] += [np.linalg.norm(gap) for gap in gaps]
        errors["path"].append(np.linalg.norm(held[frame, 0] - real[frame, 0]))
        wrong = [
            np.linalg.norm(guess[frame, joint] - guess[frame, parent]) - length
            for joint, (parent, length) in enumerate(
                zip(skeleton.parents, skeleton.bone_lengths, strict=True)
            )
            if joint
        ]
        errors["bones"].append(np.sqrt(np.sum(np.square(wrong))))
    for before in range(len(real) - 1):
        moved, was = (20 * (each[before + 1] - each[before]) for each in (held, real))
        wrong = [np.linalg.norm(gap) for gap in moved - was]
        errors["held_velocities"] += wrong
        errors["feet_velocities"] += [wrong[foot] for foot in FEET]
        errors["standing"] += [
            np.linalg.norm(moved[foot]) * (np.linalg.norm(was[foot]) < 0.35) for foot in FEET
        ]
    return errors


def test_terms_of_held_joints_are_means_over_real_frames(clips):
    guess, real, mask = clips
    rows = [
        by_hand(guess[row, :length].numpy(), real[row, :length].numpy())
        for row, length in enumerate(LENGTHS)
    ]
    terms = held_joints_terms(guess, real, mask, get_skeleton("humanml3d"))
    assert set(terms) == set(TERMS)
    for name, value in terms.items():
        expected = np.mean(rows[0][name] + rows[1][name])
        assert value.item() == pytest.approx(expected, rel=1e-6) and expected > 0, name


def test_terms_of_held_joints_vanish_for_the_real_motion_and_ignore_padding(clips):
    guess, real, mask = clips
    skeleton = get_skeleton("humanml3d")
    right = constant_bones(real).requires_grad_()
    terms = held_joints_terms(right, right.detach(), mask, skeleton)
    assert all(terms[name].item() == pytest.approx(0, abs=1e-6) for name in TERMS[:-1])
    assert 0 < terms["standing"] < 0.35
    guess = guess.clone().requires_grad_()
    sum(held_joints_terms(guess, real, mask, skeleton).values()).backward()
    assert torch.equal(guess.grad.flatten(2).any(-1), mask)
    sum(terms.values()).backward()
    assert torch.isfinite(right.grad).all(), "where there is no error there is a gradient still"


def test_kl_counts_real_tokens_alone():
    mu, logvar = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    tokens = torch.tensor([[True, True, True], [True, False, False]])
    expected = gaussian_kl(mu[tokens][:, None], logvar[tokens][:, None])
    mu[1, 1:], logvar[1, 1:] = 1e3, 50
    torch.testing.assert_close(gaussian_kl(mu, logvar, tokens), expected)


def test_the_stage_weighs_these_terms_and_compares_written_columns_only():
    torch.manual_seed(1)
    vae = TimedVae(latent_dim=4, width=8, layers=1, heads=2, feed_forward=8)
    weights = {f"{name}_weight": place + 1.0 for place, name in enumerate(TERMS)}
    options = VaeOptions(joints_weight=0, kl_weight=0.5, threshold=0.1, **weights)
    normalizer = Normalizer(np.zeros(263), np.full(263, 0.2))
    stage = VaeStage(vae, normalizer, "humanml3d", options).train()
    mask = lengths_to_mask(torch.tensor(LENGTHS))
    x = torch.randn(2, 9, 263)
    terms = stage._terms(MotionBatch(x, mask, ["a", "b"]), None)
    mu, logvar = vae.encode(x, mask)
    rebuilt = vae.decode(mu, mask)
    gap = (rebuilt - x)[mask][:, : 4 + 3 * 21].abs()
    huber = torch.where(gap < 0.1, gap**2 / 0.2, gap - 0.05).mean()
    guess, real = (features_to_joints(0.2 * each, "humanml3d") for each in (rebuilt, x))
    held = held_joints_terms(guess, real, mask, get_skeleton("humanml3d"))
    kl = gaussian_kl(mu, logvar, vae.token_mask(mask))
    whole = huber + 0.5 * kl
    whole += sum((place + 1) * held[name] for place, name in enumerate(TERMS))
    assert terms["loss"].item() == pytest.approx(whole.item(), rel=1e-5)
    padded = torch.where(mask[..., None], x, 1e3)
    again = stage._terms(MotionBatch(padded, mask, ["a", "b"]), None)
    assert again["loss"].item() == pytest.approx(whole.item(), rel=1e-5)


def test_a_run_from_the_command_line_is_measured_by_evaluate(
    micro_words, micro_dataset, tmp_path, capsys
):
    run, output = tmp_path / "run", tmp_path / "metrics.json"
    assert main(["train", *micro_words("vae", run, *TIMED)]) == 0
    words = [f"run={run}", f"dataset={micro_dataset}", f"output={output}", "device=cpu"]
    assert main(["evaluate", *words]) == 0
    assert set(json.loads(output.read_text())["rows"]) == {"real", "VAE reconstruction"}
    assert "largest bone change" in capsys.readouterr().out
    assert main(["train", *micro_words("diffusion", tmp_path / "next", f"vae={run}")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "has latents that keep time" in line
        and len(line) <= 300
        and not (tmp_path / "next").exists()
    )


@torch.no_grad()
def test_latents_as_long_as_the_motion_are_not_cached_for_later_stages(micro_dataset):
    vae = TimedVae(latent_dim=4, width=8, layers=1, heads=2, feed_forward=8).eval()
    dataset = open_dataset(micro_dataset)
    before = sorted(micro_dataset.rglob("*"))
    with pytest.raises(RequestError, match="latents are as long as the motion"):
        cached_posteriors(dataset, "train", "x", lambda b: vae.encode(b.x, b.mask), batch_size=4)
    assert sorted(micro_dataset.rglob("*")) == before


def test_resuming_ends_in_the_same_bits(
    make_values, at_step, assert_same_run, monkeypatch, tmp_path, micro_dataset
):
    class CrashError(Exception):
        pass

    def crash():
        raise CrashError

    train_stage(train_request(make_values("vae", tmp_path / "whole", *TIMED)))
    stopped = make_values("vae", tmp_path / "stopped", *TIMED)
    at_step(3, crash)
    with pytest.raises(CrashError):
        train_stage(train_request(stopped))
    monkeypatch.undo()
    train_stage(train_request({**stopped, "resume": True}))
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    kept, normalizer = (
        Run(tmp_path / "whole").tensors("vae"),
        open_dataset(micro_dataset).normalizer,
    )
    assert torch.equal(kept["mean"], normalizer.mean) and torch.equal(kept["std"], normalizer.std)


def test_the_size_holds_what_was_tried():
    values = compose("train", ["size=small", "stage=vae"])
    vae = build("vae", values["model"]["vae"], features=263)
    assert (vae.patch, vae.overlap, vae.reach, vae.latent_dim, vae.written) == (4, 2, 4, 32, 67)
    given = {key: value for key, value in values.items() if key != "data"}
    options = train_request({**given, "dataset": "d", "run": "r"}).options
    assert (options.batch_size, options.crop_most, options.max_steps) == (48, 64, 4000)
    assert options.kl_weight == pytest.approx(1e-4 * vae.latent_dim)
    assert options.joints_weight == 0
