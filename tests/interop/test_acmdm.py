"""ACMDM's checkpoints, loaded, give what its networks compute."""

import importlib.util
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from lead.cli.main import main
from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.diffusion.samplers import integrate_euler
from lead.interop import load_acmdm
from lead.interop.acmdm import AUTOENCODER, FLOW, layer_names
from lead.interop.names import to_published
from lead.models.flow_transformer import FlowTransformer
from lead.models.joint_autoencoder import JointAutoencoder

_spec = importlib.util.spec_from_file_location(
    "published_acmdm", Path(__file__).with_name("published_acmdm.py")
)
published = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(published)

WITHIN = {"atol": 1e-6, "rtol": 1e-5}  # rotary positions are float32 on both sides


@pytest.fixture(scope="module")
def listings(sample_data):
    folder = sample_data.parent / "reference" / "checkpoints"
    if not folder.is_dir():
        pytest.skip(f"no listings of the public checkpoints at {folder}")
    names = {"ae": "acmdm_ae", "flow": "acmdm_flow_s"}
    return {short: published.read_listing(folder, name) for short, name in names.items()}


@pytest.fixture(scope="module", params=[22, 2])
def flow(request, listings, tmp_path_factory):
    """Our flow and theirs with the same random tensors, as trained ones: no gate is zero."""
    tensors = published.random_tensors(published.with_patch(listings["flow"], request.param))
    path = tmp_path_factory.mktemp("flow") / "latest.tar"
    stale = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    schedule = {"milestones": Counter([50_000]), "last_epoch": 3}
    torch.save({"ep": 499, "acmdm": stale, "ema_acmdm": tensors, "scheduler": schedule}, path)
    return load_acmdm(flow=path).flow.double(), published.Flow(tensors)


@pytest.fixture(scope="module")
def autoencoder(listings, tmp_path_factory):
    tensors = published.random_tensors(listings["ae"], seed=1)
    path = tmp_path_factory.mktemp("ae") / "latest.tar"
    torch.save({"ae": tensors, "ep": 49}, path)
    return load_acmdm(autoencoder=path).autoencoder.double(), published.Autoencoder(tensors)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


@torch.no_grad()
def test_the_auto_encoder(autoencoder):
    ours, theirs = autoencoder
    x, mask = draw(2, 12, 3, 3), lengths_to_mask(torch.tensor([12, 8]))
    latents, wanted = ours.encode(x, mask), theirs.encode(x)
    torch.testing.assert_close(latents[0], wanted[0], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(latents[1, :2], wanted[1, :2], atol=1e-9, rtol=1e-9)
    wanted = theirs.decode(wanted)
    torch.testing.assert_close(ours.decode(latents, mask)[0], wanted[0], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(
        ours.decode(latents, mask)[1, :8], wanted[1, :8], atol=1e-9, rtol=1e-9
    )


FRAMES = [7, 5]
TIMES = torch.tensor([0.0, 0.83], dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("with_text", [True, False])
def test_the_velocity(flow, with_text):
    ours, theirs = flow
    z, text = draw(2, 7, 22, 4), draw(2, 1, 512, seed=1) * with_text
    got = ours(z, TIMES, text, lengths_to_mask(torch.tensor(FRAMES)))
    for row, frames in enumerate(FRAMES):
        wanted = theirs.velocity(z[row], float(TIMES[row]), text[row, 0], frames)
        torch.testing.assert_close(got[row, :frames], wanted, **WITHIN)


@torch.no_grad()
def test_ten_steps_at_guidance_3_in_float32(flow):
    ours, theirs = flow
    noise, text = draw(1, 5, 22, 4), draw(1, 1, 512, seed=1)
    z, times = noise[0], [step / 10 for step in range(11)]
    for time, following in pairwise(times):
        without = theirs.velocity(z, time, torch.zeros(512), 5)
        z = z + (following - time) * (
            without + 3 * (theirs.velocity(z, time, text[0, 0], 5) - without)
        )

    def velocity(z, time):
        both = ours(torch.cat([z, z]), torch.cat([time, time]), torch.cat([0 * text, text]).float())
        without, conditional = both.chunk(2)
        return without + 3 * (conditional - without)

    ours.float()
    got = integrate_euler(velocity, noise.float(), times)
    ours.double()
    assert (got[0] - z).norm() < 1e-4 * z.norm()


def test_all_networks_are_in_evaluation_mode(flow, autoencoder):
    for network in (flow[0], autoencoder[0]):
        assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("part", ["autoencoder", "flow"])
@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "other"])
def test_files_that_do_not_fit_are_told_in_one_line(listings, tmp_path, part, change):
    tensors = published.random_tensors(listings["ae" if part == "autoencoder" else "flow"])
    victim = {"autoencoder": "decoder.conv_out1.bias", "flow": "t_embedder.mlp.0.bias"}[part]
    if change == "missing":
        del tensors[victim]
    elif change == "unexpected":
        tensors["another.weight"] = torch.zeros(1)
    elif change == "shape":
        tensors[victim] = torch.zeros(3)
    else:
        tensors = {"vae.some": torch.zeros(2)}
    torch.save(tensors, tmp_path / "plain.pt")
    with pytest.raises(
        RequestError, match={"shape": "expected", "other": "missing"}.get(change, change)
    ) as error:
        load_acmdm(**{part: tmp_path / "plain.pt"})
    assert "\n" not in str(error.value)


def test_tensors_of_the_frozen_text_encoder_are_passed_over(listings, tmp_path):
    tensors = published.random_tensors(listings["flow"])
    tensors["clip_model.positional_embedding"] = torch.zeros(2)
    torch.save(tensors, tmp_path / "plain.pt")
    found = load_acmdm(flow=tmp_path / "plain.pt")
    assert found.autoencoder is None
    assert torch.equal(found.flow.text_layer.weight, tensors["y_embedder.weight"])


def test_no_file_is_a_wrong_request():
    with pytest.raises(RequestError, match="autoencoder=FILE, flow=FILE, or both"):
        load_acmdm()


# lead import source=acmdm

LATENTS = {"Mean": [0.5, -1.0, 2.0, 0.0], "Std": [1.0, 2.0, 0.5, 3.0]}
POSITIONS = {"mean": [0.0, 0.4, 0.3], "std": [0.5, 0.6, 0.9]}


@pytest.fixture
def files(tmp_path):
    """Small networks under the published names, in the published folders."""
    torch.manual_seed(0)
    inner = to_published(JointAutoencoder(width=8, depth=3), AUTOENCODER)
    inner = {name: tensor for name, tensor in inner.items() if not name.startswith("latent_")}
    flow = to_published(FlowTransformer(width=64, heads=1, layers=2), FLOW | layer_names(2))
    below = tmp_path / "AE_2D_Causal"
    (below / "model").mkdir(parents=True)
    for key, values in LATENTS.items():
        np.save(below / f"AE_2D_Causal_Post_{key}.npy", np.float32(values))
    for key, values in POSITIONS.items():
        np.save(tmp_path / f"{key}.npy", np.float32(values))
    torch.save({"ae": inner}, below / "model" / "latest.tar")
    torch.save({"ema_acmdm": flow}, tmp_path / "flow.tar")
    return tmp_path


def imported(files, *words):
    return main(
        [
            *("import", "source=acmdm", f"checkpoint={files / 'flow.tar'}"),
            f"autoencoder={files / 'AE_2D_Causal' / 'model' / 'latest.tar'}",
            *(f"mean={files / 'mean.npy'}", f"std={files / 'std.npy'}"),
            *(f"output={files / 'runs'}", "text_encoder=hash", "text_encoder.dim=512", *words),
        ]
    )


@torch.no_grad()
def test_imported_runs_hold_the_networks_with_their_rescaling(files):
    assert imported(files) == 0
    flow = Run(files / "runs" / "flow")
    below = flow.ancestor("autoencoder")
    loaded = load_acmdm(files / "AE_2D_Causal" / "model" / "latest.tar", files / "flow.tar")
    x, mask = draw(1, 8, 22, 3).float(), lengths_to_mask(torch.tensor([8]))
    latents = below.load_part("autoencoder").eval().encode(x, mask)
    wanted = loaded.autoencoder.encode(x, mask)
    wanted = (wanted - torch.tensor(LATENTS["Mean"])) / torch.tensor(LATENTS["Std"])
    torch.testing.assert_close(latents, wanted, atol=1e-5, rtol=1e-5)
    for name, tensor in loaded.flow.state_dict().items():
        assert torch.equal(flow.load_part("flow").state_dict()[name], tensor)
    assert below.tensors("normalizer")["mean"].tolist() == pytest.approx(POSITIONS["mean"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["autoencoder=null"], "needs autoencoder=FILE"),
        (["std=null"], "mean and std go together"),
        (["mean=null", "std=null"], "22x3_mean.npy is not beside"),
        (["dataset=kit"], "humanml3d alone"),
        (["checkpoint=AE"], "not a tensor"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_imports_that_cannot_be_are_told_and_leave_nothing(files, capfd, words, told):
    path = files / "AE_2D_Causal" / "model" / "latest.tar"
    assert imported(files, *(word.replace("=AE", f"={path}") for word in words)) == 2
    assert told in capfd.readouterr().err
    assert not (files / "runs").exists()
