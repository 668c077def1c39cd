import math

import pytest
import torch

from lead.core.errors import RequestError
from lead.diffusion.guidance import classifier_free, embedded_guidance, guide

TEXT = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]], [[3.0, 3.0]]])
NULL = torch.tensor([[[-1.0, 0.5]]])
Z = torch.arange(18.0).reshape(3, 2, 3)
TIMESTEP = torch.tensor([5, 6, 7])


class Recorder:
    """A denoiser whose answer is a known function of all it is given, row by row."""

    def __init__(self):
        self.calls = []

    def __call__(self, z_t, timestep, text_embedding, guidance_scale=None):
        self.calls.append((z_t, timestep, text_embedding, guidance_scale))
        return z_t + timestep[:, None, None] * text_embedding.sum((1, 2))[:, None, None]


def test_guidance_is_affine_in_the_scale():
    null, cond = torch.randn(2, 4, 1, 3, dtype=torch.float64)
    assert torch.equal(guide(null, cond, 0.0), null)
    assert torch.allclose(guide(null, cond, 1.0), cond)
    # the other common form, s cond + (1 - s) null
    assert torch.allclose(guide(null, cond, 7.5), 7.5 * cond - 6.5 * null)
    assert torch.allclose(guide(cond, cond, 7.5), cond)


@pytest.mark.parametrize("null", [NULL, NULL.expand(3, 1, 2)])
def test_classifier_free_guidance_by_hand(null):
    denoiser = Recorder()
    noise = classifier_free(denoiser, TEXT, null, 7.5)(Z, TIMESTEP)
    sums, null_sum = torch.tensor([1.0, 2.0, 6.0]), -0.5
    expected = Z + (TIMESTEP * (null_sum + 7.5 * (sums - null_sum)))[:, None, None]
    assert torch.allclose(noise, expected)


def test_one_call_holds_the_null_half_first():
    denoiser = Recorder()
    classifier_free(denoiser, TEXT, NULL, 2.0)(Z, TIMESTEP)
    ((z_t, timestep, text, scale),) = denoiser.calls
    assert torch.equal(z_t, torch.cat([Z, Z])) and scale is None
    assert timestep.tolist() == [5, 6, 7, 5, 6, 7]
    assert torch.equal(text[:3], NULL.expand(3, 1, 2)) and torch.equal(text[3:], TEXT)


def test_a_scale_of_one_needs_no_null_half():
    denoiser = Recorder()
    noise = classifier_free(denoiser, TEXT, NULL, 1.0)(Z, TIMESTEP)
    assert len(denoiser.calls[0][0]) == 3
    assert torch.equal(noise, Recorder()(Z, TIMESTEP, TEXT))


def test_embedded_guidance_hands_the_scale_over():
    denoiser = Recorder()
    embedded_guidance(denoiser, TEXT, 7.5)(Z, TIMESTEP)
    ((z_t, _, text, scale),) = denoiser.calls
    assert torch.equal(z_t, Z) and torch.equal(text, TEXT)
    assert scale.tolist() == [7.5, 7.5, 7.5]


@pytest.mark.parametrize("shape", [(2, 1, 2), (1, 2, 2), (1, 1, 3)])
def test_null_embedding_of_another_shape_is_refused(shape):
    with pytest.raises(RequestError, match=r"null_embedding has shape .* \(1, 1, 2\)"):
        classifier_free(Recorder(), TEXT, torch.zeros(shape), 7.5)


@pytest.mark.parametrize("scale", [math.nan, math.inf])
def test_a_scale_that_is_no_number_is_refused(scale):
    with pytest.raises(RequestError, match="finite"):
        classifier_free(Recorder(), TEXT, NULL, scale)
    with pytest.raises(RequestError, match="finite"):
        embedded_guidance(Recorder(), TEXT, scale)
