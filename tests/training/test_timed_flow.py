"""A flow on a VAE whose latents keep time: what it is trained on, keeps, makes and refuses."""

import re
import shlex
import shutil

import numpy as np
import pytest
import torch

from lead.cli.main import main
from lead.cli.train_request import train_request
from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.data.clips import ClipDataset
from lead.data.packed import open_dataset
from lead.generation import Sampling, load_motion_model
from lead.representation.normalizer import load_normalizer
from lead.training import latent_inputs
from lead.training.latent_inputs import LatentInputs
from lead.training.stages import train_stage

TIMED = ("model/vae=timed", "model.vae.patch=3", "model.vae.overlap=1")


@pytest.fixture(scope="module")
def runs(make_values, tmp_path_factory):
    """The VAE's run and the flow's, which names the first alone."""
    folder = tmp_path_factory.mktemp("timed")
    train_stage(train_request(make_values("vae", folder / "vae", *TIMED)))
    values = make_values("flow", folder / "flow", f"vae={folder / 'vae'}")
    return Run(folder / "vae"), train_stage(train_request(values))


@pytest.fixture(scope="module")
def inputs(runs, micro_dataset, make_values):
    request = train_request(make_values("flow", runs[1].folder, f"vae={runs[0].folder}"))
    return LatentInputs(request, open_dataset(micro_dataset), runs[0])


@torch.no_grad()
def means(run: Run, dataset, split: str) -> list[torch.Tensor]:
    """Posterior means of each clip alone, (tokens, 8)."""
    vae, clips = run.load_part("vae").eval(), ClipDataset(dataset, split)
    inside = [torch.from_numpy(clips[0, place][1])[None] for place in range(len(clips))]
    return [vae.encode(x, torch.ones(x.shape[:2], dtype=torch.bool))[0][0] for x in inside]


def test_a_flow_keeps_how_its_latents_are_standardised(runs, inputs):
    below, flow = runs
    assert flow.record.parents.keys() == {"vae"}
    assert flow.ancestor("vae").folder.samefile(below.folder)
    options = flow.options("flow")
    assert [options[name] for name in ("channels", "joints", "patch")] == [8, 1, 1]
    flat = torch.cat(means(below, inputs.dataset, "train")).double()
    kept = load_normalizer(flow, 8)
    torch.testing.assert_close(kept.mean.double(), flat.mean(0), rtol=1e-3, atol=1e-5)
    deviation = flat.std(0, correction=0)
    torch.testing.assert_close(kept.std.double(), deviation, rtol=1e-3, atol=1e-6)


def test_its_batches_are_standardised_posterior_means(runs, inputs):
    """Against the VAE one clip at a time, whatever they were padded to."""
    below, flow = runs
    kept, data = load_normalizer(flow, 8), inputs.data()
    for split, own in (("train", data.train), ("val", data.validation)):
        wanted = means(below, inputs.dataset, split)
        places = range(min(len(wanted), 6))
        batch = own.__getitems__([(2, place) for place in places])
        assert batch.mu.shape[2:] == (8,)
        for place in places:
            frames = inputs.dataset.split(split).frames[place]
            assert len(wanted[place]) == batch.mask[place].sum() == -(-frames // 3)
            z = batch.mu[place, batch.mask[place]]
            exact = (wanted[place] - kept.mean) / kept.std
            torch.testing.assert_close(z, exact, rtol=1e-3, atol=1e-3)
            assert not batch.mu[place, ~batch.mask[place]].any()


def test_latents_are_kept_by_the_vae_s_weights(runs, inputs, monkeypatch, tmp_path):
    def refuse(*_):
        raise AssertionError("encoded anew")

    inputs.data()
    monkeypatch.setattr(latent_inputs, "load_vae", refuse)
    LatentInputs(inputs.request, inputs.dataset, runs[0]).data()
    other = Run(shutil.copytree(runs[0].folder, tmp_path / "other"))
    other.save_part("vae", {name: 2 * value for name, value in other.tensors("vae").items()})
    with pytest.raises(AssertionError, match="encoded anew"):
        LatentInputs(inputs.request, inputs.dataset, other).data()


def test_what_was_trained_makes_motion(runs):
    model = load_motion_model(runs[1])
    few = Sampling("euler", steps=2, guidance_scale=2.0)
    (motion,) = model.generate(["a person walks"], [40], [1], few)
    assert motion.joints.shape == (40, 22, 3) and np.isfinite(motion.joints).all()
    parents = list(model.skeleton.parents[1:])
    bones = np.linalg.norm(motion.joints[:, 1:] - motion.joints[:, parents], axis=-1)
    np.testing.assert_allclose(bones, [model.skeleton.bone_lengths[1:]] * 40, atol=1e-5)


def test_the_command_says_that_a_flow_comes_next(micro_words, tmp_path, capsys):
    run = tmp_path / "vae"
    assert main(["train", *micro_words("vae", run, *TIMED)]) == 0
    (said,) = re.findall("next: lead train stage=flow (.*)", capsys.readouterr().out)
    assert shlex.split(said, comments=True)[-1] == f"vae={run}"
    assert said.endswith("# or stage=diffusion, for LEAD")


def test_what_a_flow_cannot_stand_on_is_one_line(runs, make_values, tmp_path):
    below = runs[0].folder
    whole = Run(shutil.copytree(below, tmp_path / "whole"))
    whole.update(parts={"vae": {"_target_": "motion_vae"}})
    flow = Run(shutil.copytree(runs[1].folder, tmp_path / "flow"))
    flow.update(parents={"vae": whole.as_parent(flow.folder)})
    of_whole_clips = r"whole is a VAE of whole clips, .* model/vae=timed"
    refused = [
        ((f"vae={below}", f"autoencoder={below}"), "autoencoder= or vae=, not both"),
        ((f"vae={whole.folder}",), of_whole_clips),
        ((f"autoencoder={below}",), "is a vae run, but autoencoder= needs"),
        ((f"vae={runs[1].folder}",), "is a flow run, but vae= needs"),
        ((), "name its run, autoencoder=RUN or vae=RUN"),
    ]
    for words, line in refused:
        with pytest.raises(RequestError, match=line) as error:
            train_stage(train_request(make_values("flow", tmp_path / "new", *words)))
        assert "\n" not in str(error.value) and len(str(error.value)) <= 300
        assert not (tmp_path / "new").exists()
    with pytest.raises(RequestError, match="latents that keep time, .* model/denoiser=timed"):
        train_stage(train_request(make_values("diffusion", tmp_path / "new", f"vae={below}")))
    with pytest.raises(RequestError, match=of_whole_clips):
        load_motion_model(flow)
