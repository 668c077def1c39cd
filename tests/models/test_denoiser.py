"""MLD's denoiser: what its output depends on, and the published parameters."""

import math

import pytest
import torch

from lead.core.building import build
from lead.core.errors import RequestError
from lead.models.denoiser import MldDenoiser, guidance_waves

BATCH, TOKENS, DIM, WORDS, TEXT = 3, 2, 6, 2, 10
PUBLISHED = {
    "time_embedding.linear_1": "time_embedding.0",
    "time_embedding.linear_2": "time_embedding.2",
    "emb_proj.1": "text_layer",
    "query_pos": "positions",
}
"""MLD's names of what we call otherwise; the stack's layers have the same names."""
UNUSED = {"mem_pos.pe"}
"""In the published file, but only MLD's other architecture (a decoder) reads it."""


def make_denoiser(**options) -> MldDenoiser:
    torch.manual_seed(5)
    values = {
        "latent_dim": DIM,
        "text_dim": TEXT,
        "width": 8,
        "layers": 3,
        "heads": 2,
        "feed_forward": 16,
    }
    return MldDenoiser(**{**values, **options})


@pytest.fixture(scope="module")
def denoiser() -> MldDenoiser:
    return make_denoiser().eval()


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return (
        torch.randn(BATCH, TOKENS, DIM),
        torch.tensor([0, 500, 999]),
        torch.randn(BATCH, WORDS, TEXT),
    )


def test_output_has_the_shape_of_the_latent(denoiser, inputs):
    assert denoiser(*inputs).shape == (BATCH, TOKENS, DIM)
    wide = make_denoiser(latent_dim=8)
    assert wide(torch.randn(1, 4, 8), torch.tensor([1]), torch.randn(1, 1, TEXT)).shape == (1, 4, 8)


def test_rows_do_not_see_each_other_and_see_all_their_own_inputs(denoiser, inputs):
    z_t, timestep, text = inputs
    z_t.requires_grad_(True)
    text.requires_grad_(True)
    denoiser(z_t, timestep, text)[1, 0].square().sum().backward()
    for gradient in (z_t.grad, text.grad):
        assert (gradient[[0, 2]] == 0).all()
        assert (gradient[1].abs().sum(-1) > 0).all()  # every latent token and every word


@torch.no_grad()
def test_time_matters(denoiser, inputs):
    z_t, _, text = inputs
    outputs = torch.stack([denoiser(z_t, torch.full((BATCH,), t), text) for t in (0, 1, 999)])
    assert torch.cdist(outputs.flatten(1), outputs.flatten(1)).fill_diagonal_(1).min() > 1e-4


@torch.no_grad()
def test_order_is_told_by_positions_alone(denoiser, inputs):
    z_t, timestep, text = inputs
    out = denoiser(z_t, timestep, text)
    assert (denoiser(z_t.flip(1), timestep, text).flip(1) - out).abs().max() > 1e-4
    unordered = make_denoiser().eval()
    unordered.positions.pe.zero_()
    out = unordered(z_t, timestep, text)
    torch.testing.assert_close(unordered(z_t.flip(1), timestep, text), out.flip(1))
    torch.testing.assert_close(unordered(z_t, timestep, text.flip(1)), out)


@torch.no_grad()
@pytest.mark.parametrize("relu", [True, False])
def test_mlds_relu_drops_what_is_negative_in_the_text(inputs, relu):
    z_t, timestep, text = inputs
    denoiser = make_denoiser(relu_before_text=relu).eval()
    same = torch.equal(denoiser(z_t, timestep, text), denoiser(z_t, timestep, text.clamp(min=0)))
    assert same is relu


@torch.no_grad()
def test_the_text_scale_multiplies_the_text(denoiser, inputs):
    z_t, timestep, text = inputs
    scaled = make_denoiser(text_scale=20.0).eval()
    torch.testing.assert_close(scaled(z_t, timestep, text), denoiser(z_t, timestep, 20 * text))


def test_dropout_acts_in_training_only(denoiser, inputs):
    assert torch.equal(denoiser(*inputs), denoiser(*inputs))
    training = make_denoiser().train()
    assert not torch.equal(training(*inputs), training(*inputs))


def test_text_of_another_width_is_one_line(denoiser, inputs):
    z_t, timestep, text = inputs
    with pytest.raises(RequestError, match=r"^text embeddings are 9 wide[^\n]*with 10[^\n]*$"):
        denoiser(z_t, timestep, text[..., :9])


def test_a_guidance_scale_is_refused(denoiser, inputs):
    with pytest.raises(RequestError, match="no guidance embedding"):
        denoiser(*inputs, guidance_scale=torch.full((BATCH,), 7.5))


@pytest.mark.parametrize("options", [{"layers": 2}, {"heads": 3}])
def test_sizes_that_cannot_be_built_are_one_line(options):
    with pytest.raises(RequestError, match="odd number|cannot be shared"):
        make_denoiser(**options)


def test_a_text_encoder_of_odd_width_works(inputs):
    z_t, timestep, text = inputs
    out = make_denoiser(text_dim=TEXT - 1)(z_t, timestep, text[..., 1:])
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("listing", ["mld_humanml3d", "mld_kit"])
def test_parameters_are_those_of_the_published_model(sample_data, listing):
    path = sample_data.parent / "reference" / "checkpoints" / f"{listing}.txt"
    if not path.is_file():
        pytest.skip(f"no listing of the published checkpoint at {path}")
    published = {}
    for line in path.read_text().splitlines():
        name, shape = line.split()
        room, _, name = name.partition(".")
        if room == "denoiser" and name not in UNUSED:
            for theirs, ours in PUBLISHED.items():
                name = name.replace(theirs, ours)
            published[name] = tuple(int(size) for size in shape.replace("x1x", "x").split("x"))
    ours = {name: tuple(p.shape) for name, p in MldDenoiser().named_parameters()}
    assert published == ours


@torch.no_grad()
def test_a_new_guidance_embedding_changes_nothing_until_it_is_trained(denoiser, inputs):
    distilled = make_denoiser(guidance_dim=16).eval()
    distilled.load_state_dict(denoiser.state_dict(), strict=False)
    scale = torch.tensor([1.0, 7.5, 15.0])
    assert torch.equal(distilled(*inputs, guidance_scale=scale), denoiser(*inputs))
    torch.nn.init.normal_(distilled.guidance_layer.weight)
    outputs = [distilled(*inputs, guidance_scale=torch.full((BATCH,), s)) for s in (5.0, 5.5, 9.0)]
    far = torch.cdist(*[torch.stack(outputs).flatten(1)] * 2).fill_diagonal_(1)
    assert far.min() > 1e-3
    torch.testing.assert_close(
        distilled(*inputs, guidance_scale=torch.tensor([5.0, 5.5, 9.0]))[1], outputs[1][1]
    )
    assert torch.equal(distilled(*inputs), denoiser(*inputs))


@pytest.mark.parametrize("width", [8, 9])
def test_guidance_waves_in_closed_form(width):
    waves = guidance_waves(torch.tensor([1.0, 1.25]), width)
    assert waves.shape == (2, width)
    frequency = [10000 ** (-place / 3) for place in range(4)]
    wanted = [math.sin(250 * f) for f in frequency] + [math.cos(250 * f) for f in frequency]
    torch.testing.assert_close(waves[1, :8], torch.tensor(wanted), atol=1e-4, rtol=0)
    assert waves[0].tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * (width - 8)


@pytest.mark.parametrize("dim", [-4, 1, 2, 3, 10**6])
@pytest.mark.parametrize("name", ["mld_denoiser", "timed_denoiser"])
def test_a_guidance_embedding_of_no_width_is_one_line(name, dim):
    sizes = {"latent_dim": 8, "text_dim": 8}
    with pytest.raises(RequestError, match="'guidance_dim'"):
        build("denoiser", {"_target_": name, **sizes, "guidance_dim": dim})
