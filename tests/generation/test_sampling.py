import math

import pytest
import torch
from torch import nn

from lead.core.errors import RequestError
from lead.core.seeding import make_generator
from lead.diffusion.schedules import make_schedule, scaled_linear
from lead.generation import sample_latents

WORDS, TEXT_DIM, TOKENS, DIM = 2, 6, 2, 5


class TinyDenoiser(nn.Module):
    """A random network in the shape of the contract; it counts its calls and rows."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.text = nn.Linear(WORDS * TEXT_DIM, TOKENS * DIM)
            self.state = nn.Linear(DIM, DIM)
        self.double()
        self.rows, self.timesteps, self.scales = [], [], []

    def forward(self, z_t, timestep, text_embedding, guidance_scale=None):
        self.rows.append(len(z_t))
        self.timesteps.append(int(timestep[0]))
        self.scales.append(guidance_scale)
        time = torch.cos(timestep[:, None, None] / 100)
        return torch.tanh(
            self.state(z_t) * time + self.text(text_embedding.flatten(1)).view_as(z_t)
        )


def draw(name, *shape):
    return torch.randn(*shape, generator=make_generator(0, name), dtype=torch.float64)


NOISE = draw("noise", 3, TOKENS, DIM)
TEXT = draw("text", 3, WORDS, TEXT_DIM)
NULL = draw("null", 1, WORDS, TEXT_DIM)


def test_default_is_mlds_guided_ddim_written_out():
    denoiser, levels = TinyDenoiser(), scaled_linear().alphas_cumprod
    z = NOISE
    for timestep in range(981, 0, -20):
        rows = torch.full((3,), timestep)
        null = denoiser(z, rows, NULL.expand(3, -1, -1))
        noise = null + 7.5 * (denoiser(z, rows, TEXT) - null)
        level, following = levels[timestep], levels[max(timestep - 20, 0)]
        clean = (z - math.sqrt(1 - level) * noise) / math.sqrt(level)
        z = math.sqrt(following) * clean + math.sqrt(1 - following) * noise
    ours = TinyDenoiser()
    assert torch.allclose(sample_latents(ours, NOISE, TEXT, NULL), z, rtol=1e-8)
    assert ours.rows == [6] * 50 and ours.scales == [None] * 50


def test_one_null_row_serves_all():
    one = sample_latents(TinyDenoiser(), NOISE, TEXT, NULL, steps=5)
    each = sample_latents(TinyDenoiser(), NOISE, TEXT, NULL.expand(3, -1, -1), steps=5)
    assert torch.allclose(one, each, rtol=1e-9)


def test_embedded_guidance_is_handed_over_without_doubling():
    denoiser = TinyDenoiser()
    sample_latents(denoiser, NOISE, TEXT, None, timesteps=[799], guidance_scale=6.0)
    assert denoiser.rows == [3] and denoiser.timesteps == [799]
    assert denoiser.scales[0].tolist() == [6.0] * 3


def test_a_scale_of_one_asks_for_the_conditional_half_only():
    denoiser = TinyDenoiser()
    sample_latents(denoiser, NOISE, TEXT, NULL, steps=4, guidance_scale=1.0)
    assert denoiser.rows == [3] * 4 and denoiser.scales == [None] * 4


def test_timesteps_override_steps():
    denoiser = TinyDenoiser()
    sample_latents(denoiser, NOISE, TEXT, NULL, steps=50, timesteps=[699, 399])
    assert denoiser.timesteps == [699, 399]


@pytest.mark.parametrize(("sampler", "eta"), [("ddim", 0.0), ("ddim", 0.5), ("ddpm", 0.0)])
def test_the_same_prompt_gives_the_same_latent_whatever_else_is_in_the_batch(sampler, eta):
    def sample(rows):
        generators = [make_generator(4, row) for row in rows]
        return sample_latents(
            TinyDenoiser(),
            NOISE[rows],
            TEXT[rows],
            NULL,
            sampler=sampler,
            steps=10,
            eta=eta,
            generator=generators,
        )

    assert torch.allclose(sample([2, 0]), sample([0, 1, 2])[[2, 0]], rtol=1e-9)


def test_the_schedule_counts():
    cosine = make_schedule("cosine", num_train_timesteps=100)
    denoiser = TinyDenoiser()
    z = sample_latents(denoiser, NOISE, TEXT, NULL, steps=10, schedule=cosine)
    assert denoiser.timesteps[0] == 91 and z.isfinite().all()


def test_gradients_reach_the_text():
    text = TEXT.clone().requires_grad_()
    sample_latents(TinyDenoiser(), NOISE, text, NULL, steps=3)[0].sum().backward()
    assert text.grad[0].abs().sum() > 0 and text.grad[1:].abs().sum() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "DDIM"}, "unknown sampler"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1001}, "1..1000"),
        ({"timesteps": []}, "empty"),
        ({"timesteps": [1000]}, "timestep 1000"),
        ({"eta": -0.1}, "eta"),
        ({"sampler": "ddpm", "eta": 0.5}, "ddpm has none"),
        ({"guidance_scale": math.nan}, "guidance_scale"),
        ({"sampler": "ddpm", "generator": [make_generator(0)]}, "1 generators for 3 rows"),
    ],
)
def test_wrong_requests_are_told_in_one_line(options, message):
    with pytest.raises(RequestError, match=message) as caught:
        sample_latents(TinyDenoiser(), NOISE, TEXT, NULL, **options)
    assert "\n" not in str(caught.value)


def test_embeddings_that_do_not_fit_are_refused():
    with pytest.raises(RequestError, match="2 text embeddings for 3 rows"):
        sample_latents(TinyDenoiser(), NOISE, TEXT[:2], NULL)
    with pytest.raises(RequestError, match="null_embedding has shape"):
        sample_latents(TinyDenoiser(), NOISE, TEXT, NULL[..., :3])
