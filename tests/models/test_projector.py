"""The projector: its kinds, its size in the paper, and what a single token means."""

import pytest
import torch

from lead.core.building import build
from lead.core.errors import RequestError
from lead.models.projector import BODIES, Projector

LATENT, TEXT = 6, 10


def make_projector(kind: str, **options) -> Projector:
    torch.manual_seed(7)
    values = {"width": 8, "layers": 3, "heads": 2, "feed_forward": 16}
    return Projector(LATENT, TEXT, kind, **{**values, **options})


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_kinds_are_the_papers_and_a_control():
    assert set(BODIES) == {"transformer", "skip", "mlp", "linear"}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("tokens", [1, 4])
def test_latents_go_to_the_texts_space_and_back(kind, tokens):
    projector = make_projector(kind).eval()
    z = torch.randn(3, tokens, LATENT)
    projected = projector.encode(z)
    assert projected.shape == (3, tokens, TEXT)
    torch.testing.assert_close(projector(z), projector.decode(projected), atol=0, rtol=0)
    assert projector(z).shape == z.shape


@pytest.mark.parametrize("kind", BODIES)
def test_rows_are_independent(kind):
    projector = make_projector(kind).eval()
    z = torch.randn(3, 2, LATENT, requires_grad=True)
    projector(z)[1].square().sum().backward()
    assert (z.grad[[0, 2]] == 0).all() and (z.grad[1] != 0).any()


@torch.no_grad()
@pytest.mark.parametrize("kind", BODIES)
def test_only_the_linear_kind_obeys_superposition(kind):
    projector = make_projector(kind).eval()
    a, b = torch.randn(2, 5, 1, LATENT)
    bent = projector(0.3 * a + 0.7 * b) - (0.3 * projector(a) + 0.7 * projector(b))
    assert (bent.abs().max().item() < 1e-5) is (kind == "linear")


@pytest.mark.parametrize("kind", BODIES)
def test_dropout_acts_in_training_only(kind):
    projector = make_projector(kind, dropout=0.3)
    z = torch.randn(4, 1, LATENT)
    projector.train()
    assert torch.equal(projector(z), projector(z)) is (kind == "linear")
    projector.eval()
    assert torch.equal(projector(z), projector(z))


def test_the_papers_projector_has_nine_layers_on_either_side():
    width, wide, latent, text = 256, 1024, 256, 768
    layer = 4 * width * width + 4 * width  # attention: query, key, value, output
    layer += 2 * width * wide + wide + width  # feed-forward
    layer += 4 * width  # two LayerNorms
    stack = 9 * layer + 2 * width  # and a last LayerNorm
    encoder = (latent * width + width) + stack + (width * text + text)
    decoder = (text * width + width) + stack + (width * latent + latent)
    assert count(Projector()) == encoder + decoder


@torch.no_grad()
@pytest.mark.parametrize("kind", BODIES)
def test_an_untrained_projector_of_the_papers_depth_still_tells_latents_apart(kind):
    torch.manual_seed(0)
    spread = Projector(kind=kind).eval()(torch.randn(16, 1, 256)).std(dim=0).mean()
    assert 0.05 < spread < 2  # of inputs with unit deviation


def test_the_linear_kind_is_one_matrix_each_way():
    assert count(make_projector("linear")) == (LATENT * TEXT + TEXT) + (TEXT * LATENT + LATENT)


@torch.no_grad()
def test_order_of_several_tokens_is_told_by_positions():
    projector = make_projector("transformer").eval()
    z = torch.randn(1, 3, LATENT)
    assert (projector(z.flip(1)).flip(1) - projector(z)).abs().max() > 1e-4
    tokenwise = make_projector("mlp").eval()
    torch.testing.assert_close(tokenwise(z.flip(1)).flip(1), tokenwise(z))


def test_what_cannot_be_built_is_one_line():
    with pytest.raises(RequestError, match="'kind': unknown 'transfomer', did you mean 'transf"):
        build("projector", {"_target_": "projector", "kind": "transfomer"})
    with pytest.raises(RequestError, match="odd number of layers, not 4"):
        make_projector("skip", layers=4)
    with pytest.raises(RequestError, match="cannot be shared by 3 heads"):
        make_projector("transformer", heads=3)
    assert make_projector("transformer", layers=4) is not None  # only long skips need a middle
