"""Principal components of clips against NumPy's interpolation and singular values."""

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.core.seeding import make_generator
from lead.models.blocks.principal_motions import PrincipalMotions, stretch

FRAMES, FEATURES, SIZE = 6, 4, 5


def make_clips(count: int = 40, frames: int = FRAMES) -> torch.Tensor:
    return torch.randn(count, frames, FEATURES, generator=make_generator(0, "principal motions"))


def fitted(clips) -> PrincipalMotions:
    principal = PrincipalMotions(FRAMES, FEATURES, SIZE)
    principal.fit(clips)
    return principal


@pytest.mark.parametrize("length", [1, 2, 5, 6, 11])
def test_stretching_is_linear_interpolation(length):
    clip = make_clips(1, 12)
    ours = stretch(clip, torch.tensor([length]), FRAMES)[0]
    places = np.linspace(0, length - 1, FRAMES)
    for feature in range(FEATURES):
        expected = np.interp(places, np.arange(12), clip[0, :, feature].numpy())
        np.testing.assert_allclose(ours[:, feature].numpy(), expected, atol=1e-5)


def test_components_are_the_leading_singular_vectors():
    clips = make_clips()
    principal = fitted(clips)
    rows = clips.flatten(1).numpy().astype(np.float64)
    _, _, right = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    agreement = np.abs(np.sum(right[:SIZE] * principal.components.numpy(), axis=1))
    np.testing.assert_allclose(agreement, 1, atol=1e-4)


def test_no_linear_code_of_the_size_loses_less():
    clips = make_clips()
    principal = fitted(clips)
    mask = torch.ones(len(clips), FRAMES, dtype=torch.bool)
    rebuilt = principal.decode(principal.encode(clips, mask), mask)
    rows = clips.flatten(1).numpy().astype(np.float64)
    left, values, right = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    best = (left[:, :SIZE] * values[:SIZE]) @ right[:SIZE] + rows.mean(0)  # Eckart and Young 1936
    np.testing.assert_allclose(rebuilt.flatten(1).numpy(), best, atol=1e-4)


def test_weights_say_which_errors_count():
    clips, weights = make_clips(), torch.tensor([3.0, 1.0, 1.0, 0.5])
    principal = PrincipalMotions(FRAMES, FEATURES, SIZE)
    principal.fit(clips, weights)
    mask = torch.ones(len(clips), FRAMES, dtype=torch.bool)
    rebuilt = principal.decode(principal.encode(clips, mask), mask)
    rows = (clips * weights).flatten(1).numpy().astype(np.float64)
    left, values, right = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    best = (left[:, :SIZE] * values[:SIZE]) @ right[:SIZE] + rows.mean(0)
    np.testing.assert_allclose((rebuilt * weights).flatten(1).numpy(), best, atol=1e-4)


def test_codes_have_variance_one_on_average_and_falling():
    clips = make_clips(400) * torch.linspace(3, 0.5, FEATURES)
    principal = fitted(clips)
    codes = principal.encode(clips, torch.ones(400, FRAMES, dtype=torch.bool))
    variances = codes.var(0, unbiased=False)
    assert variances.mean().item() == pytest.approx(1, rel=1e-3)
    assert (variances.diff() < 0).all()


def test_padding_does_not_matter():
    principal = fitted(make_clips())
    lengths = torch.tensor([4, 9])
    mask = lengths_to_mask(lengths)
    x = make_clips(2, 9)
    codes = principal.encode(x, mask)
    alone = principal.encode(x[:1, :4], mask[:1, :4])
    torch.testing.assert_close(codes[:1], alone)
    rebuilt = principal.decode(codes, mask)
    assert (rebuilt[0, 4:] == 0).all()
    torch.testing.assert_close(rebuilt[:1, :4], principal.decode(alone, mask[:1, :4]))


def test_too_few_clips_are_one_line():
    with pytest.raises(RequestError, match=r"^5 principal components need more than 5[^\n]*$"):
        fitted(make_clips(5))
