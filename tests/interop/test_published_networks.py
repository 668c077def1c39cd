"""Loaded checkpoints give what the published networks compute, tensor by tensor accounted for."""

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.core.seeding import make_generator
from lead.interop import load_mld, load_motionlcm

LISTINGS = ("mld_humanml3d", "mld_kit", "motionlcm_humanml3d", "motionlcm_v1")
LENGTHS = [31, 57, 8]
WITHIN = {"atol": 1e-6, "rtol": 1e-6}


@pytest.fixture(scope="module", params=LISTINGS)
def case(request, make_tensors, reference, tmp_path_factory):
    """Our models and theirs, with the same tensors."""
    name = request.param
    tensors = make_tensors(name)
    path = tmp_path_factory.mktemp("checkpoint") / "epoch=1.ckpt"
    torch.save({"state_dict": tensors, "epoch": 1}, path)
    if name.startswith("mld"):
        ours = load_mld(path, "kit" if name == "mld_kit" else "humanml3d")
    else:
        ours = load_motionlcm(path)
    ours.vae.double()  # float32 loses four digits in nine layers, and says less
    ours.denoiser.double()
    return name, ours, reference(tensors, relu_before_text=name != "motionlcm_humanml3d"), tensors


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=make_generator(1, *shape)).double()


@torch.no_grad()
def test_the_encoder(case):
    name, ours, theirs, _ = case
    x = draw(3, 57, 251 if name == "mld_kit" else 263)
    mu, logvar = ours.vae.encode(x, lengths_to_mask(torch.tensor(LENGTHS)))
    tokens, dim = (16, 32) if name == "motionlcm_humanml3d" else (1, 256)
    assert mu.shape == (3, tokens, dim)
    for got, wanted in zip((mu, logvar), theirs.encode(x, LENGTHS), strict=True):
        torch.testing.assert_close(got, wanted.permute(1, 0, 2), **WITHIN)


@torch.no_grad()
def test_the_decoder(case):
    _, ours, theirs, _ = case
    z = draw(3, ours.vae.latent_tokens, ours.vae.latent_dim)
    x = ours.vae.decode(z, lengths_to_mask(torch.tensor(LENGTHS)))
    torch.testing.assert_close(x, theirs.decode(z.permute(1, 0, 2), LENGTHS), **WITHIN)


@torch.no_grad()
@pytest.mark.parametrize("words", [1, 3])
def test_the_denoiser(case, words):
    name, ours, theirs, _ = case
    z, text = draw(3, ours.vae.latent_tokens, ours.vae.latent_dim), 3 * draw(3, words, 768)
    timestep = torch.tensor([0, 499, 999])
    wanted = theirs.denoise(z, timestep, text)
    torch.testing.assert_close(ours.denoiser(z, timestep, text), wanted, **WITHIN)
    assert ours.denoiser.embeds_guidance is name.startswith("motionlcm")


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 7.5, 8.0, 13.5])
def test_the_guidance_embedding(case, scale):
    name, ours, theirs, _ = case
    z, text = draw(2, ours.vae.latent_tokens, ours.vae.latent_dim), draw(2, 1, 768)
    timestep, scales = torch.tensor([799, 299]), torch.full((2,), scale)
    if name.startswith("mld"):
        with pytest.raises(RequestError, match="no guidance embedding"):
            ours.denoiser(z, timestep, text, guidance_scale=scales)
        return
    got = ours.denoiser(z, timestep, text, guidance_scale=scales)
    torch.testing.assert_close(got, theirs.denoise(z, timestep, text, scales), **WITHIN)
    assert (got - ours.denoiser(z, timestep, text)).abs().max() > 1e-2


def test_the_evaluator_comes_along(case):
    name, ours, _, tensors = case
    if name.startswith("motionlcm"):
        assert ours.evaluator is None
        return
    state = ours.evaluator.state_dict()
    for theirs, own in (("textencoder", "text_encoder"), ("motionencoder", "motion_encoder")):
        gru = f"{own}.gru.weight_hh_l0_reverse"
        assert torch.equal(state[gru], tensors[f"t2m_{theirs}.gru.weight_hh_l0_reverse"])


def test_all_networks_are_in_evaluation_mode(case):
    _, ours, *_ = case
    for network in (ours.vae, ours.denoiser, ours.evaluator):
        assert network is None or not any(module.training for module in network.modules())


@torch.no_grad()
def test_in_float32_as_they_come(make_tensors, reference, tmp_path):
    tensors = make_tensors("motionlcm_humanml3d", seed=3)
    torch.save(tensors, tmp_path / "plain.pt")
    ours, theirs = load_motionlcm(tmp_path / "plain.pt"), reference(tensors, False)
    z, text, scale = draw(4, 16, 32), draw(4, 1, 768), torch.full((4,), 7.5)
    got = ours.denoiser(z.float(), torch.full((4,), 799), text.float(), guidance_scale=scale)
    wanted = theirs.denoise(z, torch.full((4,), 799), text, scale)
    assert got.dtype == torch.float32
    assert (got - wanted).norm() < 1e-4 * wanted.norm()
    mask = lengths_to_mask(torch.tensor([40, 64, 196, 17]))
    got, wanted = (
        ours.vae.decode(z.float(), mask),
        theirs.decode(z.permute(1, 0, 2), [40, 64, 196, 17]),
    )
    assert (got - wanted).norm() < 1e-4 * wanted.norm()
