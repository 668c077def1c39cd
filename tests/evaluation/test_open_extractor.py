"""Networks of a judge that reads whole sentences: padding, shapes, and its place in a run."""

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.evaluation.extractor.open_networks import MaskedNorm, OpenExtractor
from lead.evaluation.extractor.padding import pad_motions
from lead.evaluation.extractor.parts import SENTENCES, EvaluatorParts
from lead.evaluation.judge import Judge
from lead.representation.normalizer import Normalizer

FEATURES = 20


@pytest.fixture
def extractor() -> OpenExtractor:
    torch.manual_seed(0)
    return OpenExtractor(FEATURES, word_dim=6, text_width=8, movement_width=16, dim=5).eval()


def motions(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(n, FEATURES)).astype(np.float32) for n in lengths]


def test_a_motion_does_not_depend_on_what_it_is_padded_with(extractor):
    clips = motions(4, 37, 160, 196)
    together = extractor.embed_motion(*pad_motions(clips))
    for row, clip in zip(together, clips, strict=True):
        alone = extractor.embed_motion(*pad_motions([clip]))[0]
        torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-5)
    assert torch.pdist(together).min() > 1e-3


def test_padding_gets_no_gradient(extractor):
    x, lengths = pad_motions(motions(8, 24))
    x.requires_grad_()
    extractor.embed_motion(x, lengths).sum().backward()
    # As in the published networks a snippet's windows reach three frames past the end.
    assert x.grad[0, 8 + 3 :].abs().max() == 0 and x.grad[0, :8].abs().min(dim=0)[0].max() > 0
    assert x.grad[..., -4:].abs().max() == 0  # contacts are not looked at


def test_the_norm_is_that_of_the_real_part():
    norm, plain = MaskedNorm(6), torch.nn.GroupNorm(1, 6, eps=1e-5)
    with torch.no_grad():
        for mine, its in ((norm.weight, plain.weight), (norm.bias, plain.bias)):
            its.copy_(torch.randn(6))
            mine.copy_(its[:, None])
    h = torch.randn(2, 6, 9)
    real = torch.arange(9) < torch.tensor([[5], [9]])
    found = norm(h * real[:, None], real[:, None])
    torch.testing.assert_close(found[:1, :, :5], plain(h[:1, :, :5]))
    torch.testing.assert_close(found[1:], plain(h[1:]))
    assert found[0, :, 5:].abs().max() == 0


@pytest.mark.parametrize(
    ("width", "frames", "words"), [(19, 8, "reads 20 features"), (20, 3, "3 frames is too short")]
)
def test_other_motions_are_refused(extractor, width, frames, words):
    with pytest.raises(RequestError, match=words):
        extractor.embed_motion(torch.zeros(1, 8, width), torch.tensor([frames]))


class Letters:
    """A text encoder that counts letters."""

    fingerprint = "letters"

    def __init__(self):
        self.read: list[str] = []

    def vectors(self, texts):
        self.read += texts
        counts = [[text.count(letter) for letter in "aeiout"] for text in texts]
        return torch.tensor(counts, dtype=torch.float32)


def test_a_judge_reads_sentences_with_the_encoder_it_is_given(extractor):
    encoder = Letters()
    normalizer = Normalizer(torch.zeros(FEATURES), torch.ones(FEATURES))
    parts = EvaluatorParts("n", extractor, normalizer, None, None, SENTENCES, encoder)
    judge = Judge(parts, batch_size=2)
    texts = ["a person walks", "it sits", "about"]
    found = judge.embed_texts(texts, ["x/NOUN", "", ""])
    assert encoder.read == texts
    with torch.no_grad():
        wanted = extractor.embed_text(Letters().vectors(texts)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    before = judge.fingerprint
    encoder.fingerprint = "others"
    other = EvaluatorParts("n", extractor, normalizer, None, None, SENTENCES, encoder)
    assert other.fingerprint != before
