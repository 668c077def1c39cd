"""The two stages of flows: their terms written out in NumPy, and what a run of each keeps."""

import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch

from lead.cli.main import main
from lead.cli.train_request import train_request
from lead.core.batches import LatentBatch
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.data.joints import JointDataset, pad_joints
from lead.data.packed import open_dataset
from lead.diffusion.paths import find_path
from lead.generation.flow_sampling import sample_flow
from lead.models.joint_autoencoder import JointAutoencoder, token_mask
from lead.representation import constant_bones, features_to_joints, get_skeleton
from lead.representation.normalizer import Normalizer, load_normalizer
from lead.training.autoencoder_stage import AutoencoderOptions, AutoencoderStage
from lead.training.flow_stage import FlowOptions, FlowStage
from lead.training.latent_inputs import LatentInputs
from lead.training.randomness import StepDraws
from lead.training.stages import train_stage

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
SKELETON = get_skeleton("humanml3d")
UNIT = Normalizer(np.zeros(3), np.ones(3))
OPTIONS = {
    **{"joints_weight": 3.0, "raw_joints_weight": 5.0, "velocities_weight": 7.0},
    **{"accelerations_weight": 0.11, "feet_weight": 13.0, "standing_weight": 17.0},
    **{"latents_weight": 0.19, "threshold": 0.2, "latent_noise": 0.0, "crop": 1000},
}


@pytest.fixture(scope="module")
def chain(train_chain):
    return train_chain("trainer.precision=fp32")


@pytest.fixture(scope="module")
def dataset(micro_dataset):
    return open_dataset(micro_dataset)


def test_joints_of_a_clip_are_those_of_its_features_with_constant_bones(dataset):
    data = JointDataset(dataset, "val")
    for place in range(len(data)):
        features = np.array(data.split.clip(place))
        wanted = constant_bones(features_to_joints(features, "humanml3d"), "humanml3d")
        np.testing.assert_allclose(data[0, place][1], wanted, atol=1e-5)
    flat = np.concatenate([data[0, place][1] for place in range(len(data))]).reshape(-1, 3)
    statistics = data.statistics()
    np.testing.assert_allclose(statistics.mean, flat.mean(0), **CLOSE)
    np.testing.assert_allclose(statistics.std, [flat.std(0).mean()] * 3, **CLOSE)


def test_crops_are_parts_of_the_clip_and_change_with_the_step(dataset):
    whole, cropped = (JointDataset(dataset, "train", crop=crop) for crop in (0, 24))
    starts = set()
    for step in range(6):
        clip, full = cropped[step, 0][1], whole[step, 0][1]
        assert len(clip) == min(24, len(full)) == cropped.longest[0]
        fits = [s for s in range(len(full) - 23) if (full[s : s + 24] == clip).all()]
        assert fits and (cropped[step, 0][1] == clip).all()
        starts.add(fits[0])
    assert len(starts) > 1


def numpy_terms(stage, batch) -> dict[str, float]:
    """The terms over the real frames of each clip, one clip after the other."""
    sums: dict[str, list[np.ndarray]] = {}
    x = stage.normalizer.normalize(batch.x.unflatten(-1, (-1, 3)))
    with torch.no_grad():
        z = stage.autoencoder.encode(x, batch.mask)
        y = stage.autoencoder.decode(z, batch.mask)
    for row, mask in enumerate(batch.mask):
        frames = int(mask.sum())
        real = batch.x[row, :frames].unflatten(-1, (-1, 3)).double().numpy()
        raw = y[row, :frames].double() * stage.normalizer.std + stage.normalizer.mean
        held = constant_bones(raw.numpy(), "humanml3d")
        off = (y - x)[row, :frames].double().abs().numpy()
        speed, real_speed = np.diff(held, axis=0) * 20, np.diff(real, axis=0) * 20
        feet = [7, 8, 10, 11]
        stands = np.linalg.norm(real_speed[:, feet], axis=-1) < 0.1
        found = {
            "positions": np.where(off < 0.2, off**2 / 0.4, off - 0.1),
            "joints": np.linalg.norm(held - real, axis=-1),
            "raw_joints": np.linalg.norm(raw.numpy() - real, axis=-1),
            "velocities": np.linalg.norm(speed - real_speed, axis=-1),
            "accelerations": np.linalg.norm(np.diff(speed - real_speed, axis=0) * 20, axis=-1),
            "feet": np.linalg.norm(speed - real_speed, axis=-1)[:, feet],
            "standing": np.linalg.norm(speed[:, feet], axis=-1) * stands,
            "latents": z[row, : -(-frames // 4)].double().numpy() ** 2,
        }
        for name, values in found.items():
            sums.setdefault(name, []).append(values.ravel())
    return {name: float(np.concatenate(values).mean()) for name, values in sums.items()}


def test_the_auto_encoders_terms_are_means_over_real_frames(dataset):
    torch.manual_seed(3)
    network = JointAutoencoder(width=8, depth=1, dropout=0.0)
    data = JointDataset(dataset, "train")
    stage = AutoencoderStage(network, data.statistics(), SKELETON, AutoencoderOptions(**OPTIONS))
    batch = pad_joints([data[0, place] for place in range(4)])
    assert len(set(batch.mask.sum(1).tolist())) > 1
    terms, _ = stage._terms(batch, StepDraws(make_generator(0)))
    wanted = numpy_terms(stage, batch)
    for name, value in wanted.items():
        np.testing.assert_allclose(terms[name].item(), value, rtol=2e-3, err_msg=name)
    weights = {name: OPTIONS.get(f"{name}_weight", 1.0) for name in wanted}
    total = sum(weights[name] * value for name, value in wanted.items())
    np.testing.assert_allclose(terms["loss"].item(), total, rtol=2e-3)


def test_noise_on_latents_is_a_share_of_each_clips_deviation():
    options = AutoencoderOptions(latent_noise=0.5, crop=160)
    stage = AutoencoderStage(JointAutoencoder(width=8, depth=1), UNIT, SKELETON, options)
    mask = lengths_to_mask(torch.tensor([160, 80]))
    z = torch.randn(2, 40, 22, 4) * torch.tensor([1.0, 5.0])[:, None, None, None] + 3
    z = z.masked_fill(~token_mask(mask)[..., None, None], 0)
    moved = stage._noised(z, mask, StepDraws(make_generator(0))) - z
    for row, (tokens, deviation) in enumerate([(40, 1.0), (20, 5.0)]):
        assert abs(float(moved[row, :tokens].std()) / (0.5 * deviation) - 1) < 0.1
    assert stage._noised(z, mask, None) is z


def test_a_run_keeps_latents_of_unit_variance_and_its_statistics(chain, dataset):
    """Independently: the kept weights over all clips that the rescaling was fitted on."""
    run = Run(chain["autoencoder"])
    network = run.load_part("autoencoder").eval()
    data = JointDataset(dataset, "train", crop=48, seed=1234)
    normalizer = load_normalizer(run, 3)
    assert (normalizer.std == normalizer.std[0]).all()
    values = []
    for place in range(len(data)):
        x = normalizer.normalize(torch.from_numpy(data[0, place][1]))[None]
        with torch.no_grad():
            values.append(network.encode(x, torch.ones(x.shape[:2], dtype=torch.bool)))
    flat = torch.cat([value.reshape(-1, 4) for value in values])
    assert (network.latent_scale != 1).any()
    torch.testing.assert_close(flat.mean(0), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(flat.std(0), torch.ones(4), atol=1e-2, rtol=0)
    log = (run.folder / "metrics.csv").read_text()
    for name in ("root_aligned", "path", "skating", "skating_real", "jitter", "jitter_real"):
        assert f"val/{name}," in log


def test_a_flow_knows_what_it_stands_on(chain):
    run = Run(chain["flow"])
    options = run.options("flow")
    assert (options["channels"], options["joints"], options["text_dim"]) == (4, 22, 12)
    assert run.ancestor("autoencoder").folder.samefile(chain["autoencoder"])
    # Unit vectors of 12 numbers have entries of mean square 1/12; the hash's words have it, too.
    assert options["text_scale"] == pytest.approx(12**0.5, rel=1e-3)
    assert options["word_scale"] == pytest.approx(12**0.5, rel=1e-3)
    flow = run.load_part("flow").eval()
    noise = torch.randn(2, 5, 22, 4)
    made = sample_flow(flow, noise, torch.randn(2, 3, 12), steps=2)
    assert made.shape == noise.shape and made.isfinite().all()


@pytest.fixture(scope="module")
def inputs(chain, dataset, make_values):
    words = [f"autoencoder={chain['autoencoder']}", "trainer.precision=fp32"]
    request = train_request(make_values("flow", chain["flow"], *words))
    return LatentInputs(request, dataset, Run(chain["autoencoder"]))


def test_a_flows_batches_are_the_latents_and_words_of_its_clips(inputs, chain, dataset):
    """Against the networks one clip and one sentence at a time, whatever they were padded to."""
    data = inputs.data().train
    batch = data.__getitems__([(2, place) for place in range(6)])
    assert len(set(batch.mask.sum(1).tolist())) > 1
    joints, run = JointDataset(dataset, "train"), Run(chain["autoencoder"])
    network, normalizer = run.load_part("autoencoder").eval(), load_normalizer(run, 3)
    for row in range(6):
        x = normalizer.normalize(torch.from_numpy(joints[0, row][1]))[None]
        with torch.no_grad():
            z = network.encode(x, torch.ones(x.shape[:2], dtype=torch.bool))[0]
        torch.testing.assert_close(batch.mu[row, batch.mask[row]], z, **CLOSE)
        assert not batch.mu[row, ~batch.mask[row]].any()
        found = []
        for text in joints.split.captions[row]:
            made = inputs.encoder.encode([text])
            whole = torch.cat([made.pooled, made.tokens[0]])
            words = batch.text[row, batch.word_mask[row]]
            found.append(words.shape == whole.shape and torch.allclose(words, whole, atol=1e-3))
        assert any(found)
        assert not batch.text[row, ~batch.word_mask[row]].any()


def test_encodings_are_kept_and_keyed_by_what_they_depend_on(inputs, monkeypatch):
    def refuse(*_):
        raise AssertionError("encoded anew")

    monkeypatch.setattr(type(inputs.encoder), "encode", refuse)
    monkeypatch.setattr(LatentInputs, "_frozen", refuse)
    again = LatentInputs(inputs.request, inputs.dataset, inputs.run)
    assert again.scales == inputs.scales
    again.data()
    other = replace(inputs.request, text_encoder={**inputs.request.text_encoder, "seed": 7})
    with pytest.raises(AssertionError, match="encoded anew"):
        _ = LatentInputs(other, inputs.dataset, inputs.run).scales


class Guess(torch.nn.Module):
    """Keeps what it is given and answers with a known velocity."""

    def forward(self, z_t, time, text, mask, word_mask, conditional):
        self.given = (z_t, time, conditional)
        return 0.5 * z_t + 1


@pytest.mark.parametrize("path", ["linear", "trigonometric"])
def test_the_flows_loss_is_the_error_of_the_velocity_on_real_latents(path):
    stage = FlowStage(Guess(), find_path(path), FlowOptions(path=path))
    mask = lengths_to_mask(torch.tensor([5, 3]))
    z = torch.randn(2, 5, 22, 4)
    z[1, 3:] = torch.nan  # nothing behind the end counts
    text, words = torch.zeros(2, 1, 3), torch.ones(2, 1, dtype=torch.bool)
    own = (z, z, text, text[:1], ["a", "b"])
    batch = LatentBatch(*own, mask, words, words[:1], longest=9)
    loss = stage._loss(batch, None, StepDraws(make_generator(1)))
    draws = StepDraws(make_generator(1))
    time = draws.times(2, 1.0).double().numpy()[:, None, None, None]
    noise = draws.normal((2, 9, 22, 4))[:, :5].double().numpy()
    data, turn = z.double().numpy(), np.pi / 2
    curves = {
        "linear": (time, 1 - time, 1.0, -1.0),
        "trigonometric": (
            *(np.sin(turn * time), np.cos(turn * time)),
            *(turn * np.cos(turn * time), -turn * np.sin(turn * time)),
        ),
    }
    a, s, a_rate, s_rate = curves[path]
    error = (0.5 * (a * data + s * noise) + 1 - (a_rate * data + s_rate * noise)) ** 2
    wanted = np.concatenate([error[0, :5].ravel(), error[1, :3].ravel()]).mean()
    np.testing.assert_allclose(loss.item(), wanted, rtol=1e-5)


def test_two_processes_draw_the_times_of_one():
    whole = StepDraws(make_generator(4)).times(6, 1.0)
    parts = [StepDraws(make_generator(4), rank, 2).times(3, 1.0) for rank in range(2)]
    assert torch.equal(torch.cat(parts), whole)
    assert ((whole > 0) & (whole < 1)).all()


def test_the_command_goes_from_one_stage_to_the_next(micro_words, tmp_path, capsys):
    """Each says what comes next, with all that was chosen, and that works when it is done."""
    first, second = tmp_path / "the first", tmp_path / "second"
    assert main(["train", *micro_words("autoencoder", first)]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    words = shlex.split(said.removeprefix("next: lead "))
    assert words[:2] == ["train", "stage=flow"] and words[-1] == f"autoencoder={first}"
    own = [f"run={second}", "trainer.max_steps=1"]
    assert main([*words, *own]) == 0
    output = capsys.readouterr()
    assert f"next: lead generate run={second}" in output.out and "note" not in output.err
    assert Run(second).record.text_encoder["dim"] == 12
    Run(first).update(values={**Run(first).record.values, "size_name": "small"})
    assert main([*words, *own, "overwrite=true"]) == 0
    assert capsys.readouterr().err.startswith(
        f"lead: note: {first} is of size=small, this flow of size=tiny: if that is not meant, say"
    )
    Run(first).update(values={**Run(first).record.values, "size_name": "of_an_earlier_lead"})
    assert main([*words, *own, "overwrite=true"]) == 0
    assert "note" not in capsys.readouterr().err  # of no size that could be said


def test_a_flow_without_an_auto_encoder_is_refused(make_values, chain, tmp_path):
    for words, message in (
        ((), "name its run, autoencoder=RUN"),
        ((f"autoencoder={chain['vae']}",), "is a vae run, but autoencoder= needs a autoencoder"),
    ):
        with pytest.raises(Exception, match=message):
            train_stage(train_request(make_values("flow", tmp_path / "run", *words)))
        assert not (tmp_path / "run").exists()
