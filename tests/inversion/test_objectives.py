"""The three objectives against closed forms; the words of the paper's equations 9 and 10."""

import pytest
import torch
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.diffusion.schedules import scaled_linear
from lead.inversion.objectives import OBJECTIVES, FrozenParts, Noised, word_loss
from lead.models.projector import Projector
from lead.models.vae import MotionVAE

SCHEDULE = scaled_linear()
DIM, FRAMES = 4, 5


class RepeatingVae(MotionVAE):
    """Every real frame of a decoded motion is the latent, once per feature."""

    def decode(self, z: Tensor, mask: Tensor) -> Tensor:
        return z.expand(-1, mask.shape[1], -1) * mask[..., None]


def parts(error: Tensor | float, noise: Tensor) -> FrozenParts:
    """A denoiser that is off by ``error``, and a projector that only turns the space."""
    projector = Projector(latent_dim=DIM, text_dim=DIM, kind="linear")
    nn.init.orthogonal_(projector.encoder.weight)
    nn.init.constant_(projector.encoder.bias, 0.7)
    vae = RepeatingVae(DIM, 1, DIM, width=4, layers=1, heads=1, feed_forward=4)
    return FrozenParts(vae.decode, lambda z_t, timestep, text: noise + error, projector, SCHEDULE)


@pytest.fixture
def batch() -> Noised:
    torch.manual_seed(0)
    lengths = torch.tensor([5, 3, 1])
    return Noised(
        clean=torch.randn(3, 1, DIM, dtype=torch.float64).float(),
        noise=torch.randn(3, 1, DIM),
        timestep=torch.tensor([10, 300, 700]),
        mask=torch.arange(FRAMES)[None] < lengths[:, None],
    )


TEXT = torch.zeros(3, 1, 2)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_true_noise_leaves_nothing(batch, objective):
    loss = word_loss(parts(0.0, batch.noise), batch, TEXT, objective)
    torch.testing.assert_close(loss, torch.zeros(3), atol=1e-9, rtol=0)


@pytest.mark.parametrize("objective", ["lead", "feat"])
def test_an_error_of_the_noise_is_magnified_by_the_noise_to_signal_ratio(batch, objective):
    """F is linear with slope sqrt((1 - a) / a); turning and padding change no mean square."""
    error = torch.randn(3, 1, DIM)
    level = SCHEDULE.alphas_cumprod[batch.timestep]
    expected = (error**2).mean(dim=(1, 2)) * ((1 - level) / level)
    loss = word_loss(parts(error, batch.noise), batch, TEXT, objective)
    torch.testing.assert_close(loss, expected.float(), rtol=1e-3, atol=1e-7)


def test_the_noise_objective_is_the_error_itself(batch):
    error = torch.randn(3, 1, DIM)
    loss = word_loss(parts(error, batch.noise), batch, TEXT, "mld")
    torch.testing.assert_close(loss, (error**2).mean(dim=(1, 2)), rtol=1e-5, atol=0)


@pytest.mark.parametrize("objective", ["lead", "feat"])
def test_weighting_by_signal_over_noise_undoes_the_magnification(batch, objective):
    error = torch.randn(3, 1, DIM)
    loss = word_loss(parts(error, batch.noise), batch, TEXT, objective, "snr")
    torch.testing.assert_close(loss, (error**2).mean(dim=(1, 2)), rtol=1e-3, atol=1e-7)


def test_weighting_by_signal(batch):
    loss = word_loss(parts(0.5, batch.noise), batch, TEXT, "mld", "alpha_bar")
    expected = 0.25 * SCHEDULE.alphas_cumprod[batch.timestep].float()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)


def test_the_realigned_distance_needs_a_projector(batch):
    plain = parts(0.0, batch.noise)
    without = FrozenParts(plain.decode, plain.denoiser, None, SCHEDULE)
    with pytest.raises(RequestError, match="needs a projector"):
        word_loss(without, batch, TEXT, "lead")
