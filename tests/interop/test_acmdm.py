"""ACMDM's checkpoints, loaded, give what its networks compute."""

import importlib.util
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.diffusion.samplers import integrate_euler
from lead.interop import load_acmdm

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
