"""The MLP denoiser: rows do not mix, conditions arrive, wrong shapes are one line."""

import pytest
import torch

from lead.core.errors import RequestError
from lead.models.mlp_denoiser import MlpDenoiser

TOKENS, DIM, TEXT = 2, 3, 8


def make_denoiser(**options) -> MlpDenoiser:
    torch.manual_seed(0)
    sizes = {"latent_tokens": TOKENS, "width": 16, "layers": 2, "condition_dim": 8}
    denoiser = MlpDenoiser(DIM, TEXT, **{**sizes, "timesteps": 50, **options}).eval()
    torch.nn.init.normal_(denoiser.output_layer.weight)  # zero at first: nothing would show
    for block in denoiser.blocks:
        torch.nn.init.normal_(block.condition.weight)
    denoiser.preconditioning.alphas_cumprod.copy_(torch.linspace(0.99, 0.01, 50))
    return denoiser


@pytest.fixture
def inputs() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    return torch.randn(4, TOKENS, DIM), torch.tensor([0, 10, 30, 49]), torch.randn(4, 1, TEXT)


@torch.no_grad()
def test_every_row_is_its_own(inputs):
    denoiser = make_denoiser()
    together = denoiser(*inputs)
    assert together.shape == (4, TOKENS, DIM)
    for row in range(4):
        alone = denoiser(*(tensor[row : row + 1] for tensor in inputs))
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_latent_time_and_text_all_count(inputs):
    denoiser = make_denoiser()
    z, time, text = inputs
    before = denoiser(z, time, text)
    moved = z.clone()
    moved[:, 1] += 0.5
    for other in ((moved, time, text), (z, time.flip(0), text), (z, time, text + 0.5)):
        assert ((denoiser(*other) - before).abs().amax((1, 2)) > 1e-4).all()


@torch.no_grad()
def test_words_are_averaged_and_scaled(inputs):
    z, time, _ = inputs
    words = torch.randn(4, 3, TEXT)
    scaled, plain = make_denoiser(text_scale=5.0), make_denoiser()
    torch.testing.assert_close(scaled(z, time, words), plain(z, time, 5 * words.mean(1)[:, None]))


@torch.no_grad()
def test_embedded_guidance_is_neutral_at_first_and_then_counts(inputs):
    plain, guided = make_denoiser(), make_denoiser(guidance_dim=6)
    assert guided.embeds_guidance and not plain.embeds_guidance
    guided.load_state_dict(plain.state_dict(), strict=False)
    scale = torch.tensor([5.0, 7.5, 10.0, 15.0])
    assert torch.equal(guided(*inputs, scale), plain(*inputs))
    torch.nn.init.normal_(guided.guidance_layer.weight)
    assert ((guided(*inputs, scale) - plain(*inputs)).abs().amax((1, 2)) > 1e-5).all()
    assert torch.equal(guided(*inputs), plain(*inputs))


def test_wrong_inputs_are_one_line(inputs):
    z, time, text = inputs
    denoiser = make_denoiser()
    with pytest.raises(RequestError, match=r"^text embeddings are 8 wide[^\n]* trained with 9"):
        make_denoiser_of_text(9)(z, time, text)
    with pytest.raises(RequestError, match=r"^latents are \(1, 3\)[^\n]*latent_tokens$"):
        denoiser(z[:, :1], time, text)
    with pytest.raises(RequestError, match="no guidance embedding"):
        denoiser(z, time, text, torch.ones(4))


def make_denoiser_of_text(width: int) -> MlpDenoiser:
    return MlpDenoiser(DIM, width, TOKENS, width=4, layers=1, condition_dim=4)
