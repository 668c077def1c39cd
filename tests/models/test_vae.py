"""The motion VAE: shapes, padding that cannot leak, the published parameters."""

from pathlib import Path

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.core.seeding import make_generator
from lead.models.vae import MotionVAE, sample_posterior

FEATURES, TOKENS, DIM = 7, 2, 6
LENGTHS = torch.tensor([9, 4, 1])
PUBLISHED = {
    "global_motion_token": "distribution_tokens",
    "query_pos_encoder": "encoder_positions",
    "query_pos_decoder": "decoder_positions",
    "skel_embedding": "input_layer",
    "final_layer": "output_layer",
}
"""MLD's names of what we call otherwise; the layers inside the stacks have the same names."""


def make_vae(**options) -> MotionVAE:
    torch.manual_seed(3)
    values = {
        "features": FEATURES,
        "latent_tokens": TOKENS,
        "latent_dim": DIM,
        "width": 8,
        "layers": 3,
        "heads": 2,
        "feed_forward": 16,
    }
    return MotionVAE(**{**values, **options})


@pytest.fixture(scope="module")
def vae() -> MotionVAE:
    return make_vae().eval()


@pytest.fixture(scope="module")
def mask() -> torch.Tensor:
    return lengths_to_mask(LENGTHS)


@pytest.fixture
def x(mask) -> torch.Tensor:
    return torch.randn(*mask.shape, FEATURES)


def weighted_sum(values: torch.Tensor) -> torch.Tensor:
    """A scalar that depends on every value in its own way."""
    return (values * torch.linspace(-1, 2, values.numel()).reshape(values.shape)).sum()


@pytest.mark.parametrize("training", [False, True])
def test_gradients_at_padded_frames_are_exactly_zero(vae, mask, x, training):
    vae.train(training)
    x.requires_grad_(True)
    mu, logvar = vae.encode(x, mask)
    rebuilt = vae.decode(mu, mask)
    (weighted_sum(mu) + weighted_sum(logvar) + weighted_sum(rebuilt)).backward()
    vae.eval()
    assert (x.grad[~mask] == 0).all()
    assert (x.grad[mask].abs().sum(-1) > 0).all()


def test_padded_queries_do_not_reach_the_real_frames(vae, mask):
    z = torch.randn(len(mask), TOKENS, DIM)
    vae.zero_grad()
    weighted_sum(vae.decode(z, mask)[1, : LENGTHS[1]]).backward()
    gradient = vae.decoder_positions.pe.grad
    queries = int(LENGTHS[1])
    assert (gradient[queries:] == 0).all()
    assert (gradient[:queries].abs().sum(-1) > 0).all()


@torch.no_grad()
def test_whatever_stands_on_padding_changes_nothing(vae, mask, x):
    mu, logvar = vae.encode(x, mask)
    for rubbish in (1e6, float("nan"), float("inf")):
        other = vae.encode(torch.where(mask[..., None], x, rubbish), mask)
        assert torch.equal(other[0], mu) and torch.equal(other[1], logvar)


@torch.no_grad()
def test_a_padded_batch_equals_its_rows_alone(vae, mask, x):
    mu, logvar = vae.encode(x, mask)
    rebuilt = vae.decode(mu, mask)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = torch.ones(1, length, dtype=torch.bool)
        one_mu, one_logvar = vae.encode(x[row : row + 1, :length], alone)
        one_rebuilt = vae.decode(mu[row : row + 1], alone)
        for batched, single in (
            (mu[row], one_mu[0]),
            (logvar[row], one_logvar[0]),
            (rebuilt[row, :length], one_rebuilt[0]),
        ):
            torch.testing.assert_close(batched, single, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_decode_is_zero_on_padding_only(vae, mask):
    rebuilt = vae.decode(torch.randn(len(mask), TOKENS, DIM), mask)
    assert (rebuilt[~mask] == 0).all()
    assert (rebuilt[mask] != 0).any(-1).all()


@torch.no_grad()
def test_lengths_from_one_frame_to_the_last_learned_position():
    vae = make_vae().eval()
    longest = 500 - 2 * TOKENS  # the distribution tokens take positions, too
    for frames in (1, longest):
        mask = torch.ones(1, frames, dtype=torch.bool)
        mu, _ = vae.encode(torch.randn(1, frames, FEATURES), mask)
        assert mu.shape == (1, TOKENS, DIM)
    for frames in (1, 500):
        mask = torch.ones(1, frames, dtype=torch.bool)
        assert vae.decode(mu, mask).shape == (1, frames, FEATURES)


@pytest.mark.parametrize("padded", [False, True])
def test_more_than_500_frames_is_one_line(padded):
    vae = make_vae().eval()
    mask = torch.ones(2, 501, dtype=torch.bool)
    mask[1, 3:] = not padded
    with pytest.raises(
        RequestError, match=r"^505 tokens, but positions were learned for 500[^\n]*$"
    ):
        vae.encode(torch.zeros(2, 501, FEATURES), mask)
    with pytest.raises(RequestError, match="501 tokens"):
        vae.decode(torch.zeros(2, TOKENS, DIM), mask)


@torch.no_grad()
@pytest.mark.parametrize("tokens", [1, 3])
def test_every_latent_token_has_its_own_posterior_and_reaches_the_motion(tokens):
    vae = make_vae(latent_tokens=tokens).eval()
    mask = torch.ones(2, 5, dtype=torch.bool)
    mu, logvar = vae.encode(torch.randn(2, 5, FEATURES), mask)
    assert mu.shape == logvar.shape == (2, tokens, DIM)
    rows = torch.cat([mu, logvar], dim=1)[0]
    assert torch.cdist(rows, rows).fill_diagonal_(1).min() > 1e-3
    rebuilt = vae.decode(mu, mask)
    for token in range(tokens):
        changed = mu.clone()
        changed[:, token] += 1
        assert (vae.decode(changed, mask) - rebuilt).abs().max() > 1e-4


@torch.no_grad()
def test_a_latent_of_another_width_costs_two_linear_maps():
    def count(vae):
        return sum(p.numel() for p in vae.parameters())

    width, dim = 8, 5
    maps = (width * dim + dim) + (dim * width + width)
    assert count(make_vae(latent_dim=dim)) == count(make_vae(latent_dim=width)) + maps
    vae = make_vae(latent_dim=dim).eval()
    mask = torch.ones(1, 4, dtype=torch.bool)
    mu, logvar = vae.encode(torch.randn(1, 4, FEATURES), mask)
    assert mu.shape == logvar.shape == (1, TOKENS, dim)
    assert vae.decode(mu, mask).shape == (1, 4, FEATURES)


@torch.no_grad()
def test_the_offset_moves_the_log_variance_and_nothing_else(vae, x, mask):
    mu, logvar = vae.encode(x, mask)
    moved_mu, moved = make_vae(logvar_offset=-6.0).eval().encode(x, mask)
    assert torch.equal(moved_mu, mu)
    torch.testing.assert_close(moved, logvar - 6)


def test_dropout_acts_in_training_only(vae, x, mask):
    torch.testing.assert_close(vae.encode(x, mask), vae.encode(x, mask), atol=0, rtol=0)
    training = make_vae().train()
    assert not torch.equal(training.encode(x, mask)[0], training.encode(x, mask)[0])


@pytest.mark.parametrize("options", [{"layers": 4}, {"heads": 3}, {"heads": 0}])
def test_sizes_that_cannot_be_built_are_one_line(options):
    with pytest.raises(RequestError, match="odd number|cannot be shared") as error:
        make_vae(**options)
    assert "\n" not in str(error.value)


def test_posterior_samples_have_its_moments_and_gradients():
    mu = torch.full((20000, 1, 1), 1.5, requires_grad=True)
    logvar = torch.full((20000, 1, 1), -2.0, requires_grad=True)
    z = sample_posterior(mu, logvar, make_generator(0, "posterior test"))
    assert z.mean().item() == pytest.approx(1.5, abs=0.01)
    assert z.std().item() == pytest.approx(torch.exp(torch.tensor(-1.0)).item(), rel=0.02)
    z.sum().backward()
    torch.testing.assert_close(mu.grad, torch.ones_like(mu))
    torch.testing.assert_close(logvar.grad, 0.5 * (z - mu).detach())
    again = sample_posterior(mu, logvar, make_generator(0, "posterior test"))
    assert torch.equal(z, again)


@pytest.mark.parametrize(("listing", "features"), [("mld_humanml3d", 263), ("mld_kit", 251)])
def test_parameters_are_those_of_the_published_model(sample_data, listing, features):
    published = published_shapes(sample_data, listing, "vae.")
    ours = {name: tuple(p.shape) for name, p in MotionVAE(features).named_parameters()}
    renamed = {rename(name): shape for name, shape in published.items()}
    assert renamed == ours


def rename(name: str) -> str:
    first, _, rest = name.partition(".")
    return ".".join(part for part in (PUBLISHED.get(first, first), rest) if part)


def published_shapes(sample_data: Path, listing: str, prefix: str) -> dict[str, tuple[int, ...]]:
    """Tensors of a published checkpoint, without the batch axis that MLD's positions carry."""
    path = sample_data.parent / "reference" / "checkpoints" / f"{listing}.txt"
    if not path.is_file():
        pytest.skip(f"no listing of the published checkpoint at {path}")
    shapes = {}
    for line in path.read_text().splitlines():
        name, shape = line.split()
        if name.startswith(prefix):
            sizes = [int(size) for size in shape.split("x")]
            shapes[name.removeprefix(prefix)] = tuple(
                sizes if not name.endswith(".pe") else [sizes[0], sizes[2]]
            )
    assert shapes
    return shapes
