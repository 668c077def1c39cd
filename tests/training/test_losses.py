"""The objectives against closed forms and against torch.distributions."""

import pytest
import torch
from torch.distributions import Categorical, Normal, kl_divergence

from lead.core.errors import RequestError, WorkError
from lead.core.masks import lengths_to_mask
from lead.training.losses import (
    alignment_loss,
    check_finite,
    diagonal_gaussian_kl,
    gaussian_kl,
    masked_smooth_l1,
    moment_distance,
    reconstruction_loss,
    softmax_kl,
    variance_loss,
)


@pytest.mark.parametrize("threshold", [1.0, 0.25])
def test_masked_smooth_l1_is_the_mean_over_real_values(threshold):
    mask = lengths_to_mask(torch.tensor([3, 1]))
    predicted, target = torch.randn(2, 3, 4), 3 * torch.randn(2, 3, 4)
    values = []
    for row, length in ((0, 3), (1, 1)):
        for gap in (predicted - target)[row, :length].abs().flatten().tolist():
            near = gap < threshold
            values.append(0.5 * gap**2 / threshold if near else gap - 0.5 * threshold)
    loss = masked_smooth_l1(predicted, target, mask, threshold)
    assert loss.item() == pytest.approx(sum(values) / 16, rel=1e-5)


@pytest.mark.parametrize("rest", [(4,), (5, 3)])
def test_masked_smooth_l1_ignores_padding(rest):
    mask = lengths_to_mask(torch.tensor([3, 1]))
    predicted = torch.randn(2, 3, *rest, requires_grad=True)
    target = torch.randn(2, 3, *rest, requires_grad=True)
    loss = masked_smooth_l1(predicted, target, mask)
    loss.backward()
    for tensor in (predicted, target):
        assert (tensor.grad[~mask] == 0).all() and (tensor.grad[mask] != 0).all()
    with torch.no_grad():
        predicted[~mask] = 1e9
        assert torch.equal(masked_smooth_l1(predicted, target, mask), loss)


def test_gaussian_kl_is_that_of_torch():
    mu, logvar = torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    posterior = Normal(mu, torch.exp(0.5 * logvar))
    expected = kl_divergence(posterior, Normal(torch.zeros(()), torch.ones(()))).mean()
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected)
    assert gaussian_kl(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)) == 0


def test_alignment_is_zero_one_or_two():
    text = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    turned = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    for direction, expected in ((4 * text, 0), (turned, 1), (-text, 2)):
        loss = alignment_loss(direction[:, None], text)
        assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_alignment_takes_the_mean_of_several_tokens():
    tokens = torch.tensor([[[1.0, 1.0], [1.0, -1.0]]])
    assert alignment_loss(tokens, torch.tensor([[2.0, 0.0]])).item() == pytest.approx(0, abs=1e-5)


def test_reconstruction_sums_or_averages():
    latent, rebuilt = torch.randn(4, 2, 3), torch.randn(4, 2, 3)
    norms = [float(((a - b) ** 2).sum()) for a, b in zip(latent, rebuilt, strict=True)]
    total = reconstruction_loss(latent, rebuilt).item()
    assert total == pytest.approx(sum(norms) / 4, rel=1e-5)
    mean = reconstruction_loss(latent, rebuilt, "mean").item()
    assert mean == pytest.approx(total / 6, rel=1e-5)


def test_diagonal_gaussian_kl_is_that_of_the_fitted_gaussians():
    latent, rebuilt = 2 * torch.randn(50, 2, 3) + 1, torch.randn(50, 2, 3) - 0.5

    def fitted(z):
        flat = z.flatten(1).double()
        return Normal(flat.mean(dim=0), flat.std(dim=0, unbiased=False))

    expected = kl_divergence(fitted(latent), fitted(rebuilt)).mean()
    torch.testing.assert_close(
        diagonal_gaussian_kl(latent, rebuilt).double(), expected, rtol=1e-4, atol=0
    )
    assert diagonal_gaussian_kl(latent, latent.flip(0)).item() == pytest.approx(0, abs=1e-5)


def test_diagonal_gaussian_kl_pushes_a_shrunken_batch_apart():
    latent = torch.randn(64, 1, 8)
    scale = torch.tensor(0.5, requires_grad=True)
    diagonal_gaussian_kl(latent, scale * latent).backward()
    assert scale.grad < 0


def test_softmax_kl_is_that_of_torch():
    latent, rebuilt = torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    expected = kl_divergence(
        Categorical(logits=latent.flatten(1)), Categorical(logits=rebuilt.flatten(1))
    ).mean()
    torch.testing.assert_close(softmax_kl(latent, rebuilt), expected)
    torch.testing.assert_close(softmax_kl(latent, latent + 3), torch.tensor(0.0))


def test_variance_loss_chooses_by_name():
    latent, rebuilt = torch.randn(5, 1, 3), torch.randn(5, 1, 3)
    assert variance_loss(latent, rebuilt) == diagonal_gaussian_kl(latent, rebuilt)
    assert variance_loss(latent, rebuilt, "softmax") == softmax_kl(latent, rebuilt)


def test_unknown_names_say_what_was_meant():
    z = torch.zeros(1, 1, 2)
    with pytest.raises(
        RequestError, match="unknown variance loss 'gaus_diag': did you mean 'gauss_"
    ):
        variance_loss(z, z, "gaus_diag")
    with pytest.raises(RequestError, match="unknown reduction 'men': did you mean 'mean'"):
        reconstruction_loss(z, z, "men")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number_names_step_and_clips(value):
    check_finite(torch.tensor(1e30), 7, ["a"])
    with pytest.raises(WorkError) as error:
        check_finite(torch.tensor(value), 41, [f"clip{n}" for n in range(10)])
    message = str(error.value)
    assert "step 41" in message and "clip0" in message and "clip7 ..." in message
    assert "clip8" not in message and "\n" not in message


def test_the_distance_of_moments_in_closed_form():
    """Rows -1 and 3 (mean 1, deviation 2) against 0 and 0: 1 + 4; the order of rows is nothing."""
    one = torch.tensor([[[-1.0]], [[3.0]]])
    assert float(moment_distance(one, torch.zeros(2, 1, 1))) == pytest.approx(5.0)
    assert float(moment_distance(one, one.flip(0))) == pytest.approx(0, abs=1e-6)
