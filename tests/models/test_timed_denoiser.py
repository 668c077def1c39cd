"""The denoiser and the projector of latents that keep time: padding, rows, words."""

import pytest
import torch
from torch import Tensor, nn

from lead.core.masks import lengths_to_mask
from lead.models.flow_transformer import FlowTransformer
from lead.models.projector import BODIES, Projector
from lead.models.timed_denoiser import TimedDenoiser

DIM, TEXT = 6, 12
SIZES = {"width": 16, "layers": 2, "heads": 2, "text_dim": TEXT, "memory_slots": 2}
SIZES |= {"local_every": 1, "text_scale": 2.0, "word_scale": 3.0}
LENGTHS, WORDS = torch.tensor([7, 4, 2]), torch.tensor([3, 5, 2])
MASK, WORD_MASK = lengths_to_mask(LENGTHS), lengths_to_mask(WORDS)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def randomised(network: nn.Module) -> nn.Module:
    """With weights of which none is zero, as fresh ones are."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


@pytest.fixture
def denoiser() -> TimedDenoiser:
    return randomised(TimedDenoiser(DIM, guidance_dim=8, **SIZES))


@pytest.fixture
def given() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(3, 7, DIM), torch.tensor([3, 500, 999]), torch.randn(3, 5, TEXT)


def test_its_body_is_the_flow_s(denoiser, given):
    """The same weights, where the flow's time is the timestep."""
    z, timestep, text = given
    flow = FlowTransformer(channels=DIM, joints=1, patch=1, **SIZES)
    weights = {name: one for name, one in denoiser.state_dict().items() if "guidance" not in name}
    flow.load_state_dict(weights)
    velocity = flow.eval()(z[:, :, None], timestep.float(), text, MASK, WORD_MASK)[:, :, 0]
    noise = denoiser(z, timestep, text, mask=MASK, word_mask=WORD_MASK)
    torch.testing.assert_close(noise[MASK], velocity[MASK], **CLOSE)
    assert not noise[~MASK].any()


def test_rows_depend_on_neither_padding_nor_company(denoiser, given):
    z, timestep, text = given
    scale = torch.tensor([2.0, 5.0, 8.0])
    made = denoiser(z, timestep, text, scale, mask=MASK, word_mask=WORD_MASK)
    other, words = z.clone(), text.clone()
    other[~MASK], words[~WORD_MASK] = 1e3, -1e3
    again = denoiser(other, timestep, words, scale, mask=MASK, word_mask=WORD_MASK)
    torch.testing.assert_close(again, made, **CLOSE)
    for row, (tokens, count) in enumerate(zip(LENGTHS, WORDS, strict=True)):
        one = (each[row : row + 1] for each in (z[:, :tokens], timestep, text[:, :count], scale))
        torch.testing.assert_close(denoiser(*one)[0], made[row, :tokens], **CLOSE)


def test_gradients_reach_the_pooled_sentence_and_every_real_word(denoiser, given):
    z, timestep, text = given
    text.requires_grad_()
    denoiser(z, timestep, text, mask=MASK, word_mask=WORD_MASK).square().sum().backward()
    assert (text.grad.norm(dim=-1)[WORD_MASK] > 0).all()
    assert not text.grad[~WORD_MASK].any()


def test_the_guidance_scale_is_an_input_that_says_nothing_at_first(given):
    z, timestep, text = given
    fresh = TimedDenoiser(DIM, guidance_dim=8, **SIZES)
    assert fresh.embeds_guidance and not TimedDenoiser(DIM, **SIZES).embeds_guidance
    assert not fresh.guidance_layer.weight.any()
    network, scales = randomised(fresh), (torch.full((3,), 2.0), torch.full((3,), 7.0))
    one, other = (network(z, timestep, text, scale) for scale in scales)
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("kind", BODIES)
def test_a_projector_reads_no_padding(kind):
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 3, "heads": 2, "feed_forward": 24}
    projector = Projector(DIM, TEXT, kind, **sizes).eval()
    z = torch.randn(3, 7, DIM)
    other = torch.where(MASK[..., None], z, 50.0)
    for change in (projector.encode, projector):
        made = change(z, MASK)
        torch.testing.assert_close(change(other, MASK)[MASK], made[MASK], **CLOSE)
        for row, tokens in enumerate(LENGTHS.tolist()):
            alone = change(z[row : row + 1, :tokens])[0]
            torch.testing.assert_close(made[row, :tokens], alone, **CLOSE)
