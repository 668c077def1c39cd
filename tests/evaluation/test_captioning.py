"""BLEU, ROUGE-L and CIDEr: golden numbers, a second opinion, and what is known in closed form."""

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.evaluation import captioning

GOLDEN = json.loads(Path(__file__).with_name("captioning_golden.json").read_text("utf-8"))["cases"]
WORDS = ("a", "person", "walks", "left", "and")


@pytest.mark.parametrize("name", GOLDEN)
def test_the_numbers_of_the_fields_reference_implementation(name):
    """The file says with which version they were made, on captions of people and odd cases."""
    case = GOLDEN[name]
    given = case["hypotheses"], case["references"]
    np.testing.assert_allclose(captioning.bleu(*given), case["bleu"], atol=1e-9)
    assert captioning.rouge_l(*given) == pytest.approx(case["rouge_l"], abs=1e-9)
    assert captioning.cider(*given) == pytest.approx(case["cider"], abs=1e-9)


def corpus(seed: int) -> tuple[list[str], list[list[str]]]:
    """Sentences over five words, so that n-grams repeat, with one to four references each."""
    rng = np.random.default_rng(seed)

    def sentence() -> str:
        return " ".join(rng.choice(WORDS, size=rng.integers(1, 12)))

    clips = int(rng.integers(2, 7))
    return (
        [sentence() for _ in range(clips)],
        [[sentence() for _ in range(rng.integers(1, 5))] for _ in range(clips)],
    )


def count(ngram: tuple[str, ...], text: str) -> int:
    words = text.split()
    return sum(tuple(words[at : at + len(ngram)]) == ngram for at in range(len(words)))


def plain_bleu(hypotheses, references) -> list[float]:
    """Papineni's equations over every n-gram that there can be."""
    length = sum(len(text.split()) for text in hypotheses)
    closest = 0
    for text, own in zip(hypotheses, references, strict=True):
        sizes = sorted(len(other.split()) for other in own)
        closest += sorted(sizes, key=lambda size: abs(size - len(text.split())))[0]
    logs, scores = [], []
    for size in (1, 2, 3, 4):
        clipped = sum(
            min(count(ngram, text), max(count(ngram, other) for other in own))
            for text, own in zip(hypotheses, references, strict=True)
            for ngram in product(WORDS, repeat=size)
        )
        made = sum(max(0, len(text.split()) - size + 1) for text in hypotheses)
        logs.append(math.log((clipped + 1e-15) / (made + 1e-9)))
        scores.append(math.exp(min(0, 1 - closest / length) + sum(logs) / size))
    return scores


def plain_rouge(hypotheses, references) -> float:
    def longest(one: list[str], other: list[str]) -> int:
        """By trying every subsequence of the shorter one, from the longest."""
        short, long = sorted((one, other), key=len)
        chosen = sorted(product((0, 1), repeat=len(short)), key=sum, reverse=True)
        for picks in chosen:
            rest = iter(long)
            if all(word in rest for word, pick in zip(short, picks, strict=True) if pick):
                return sum(picks)
        raise AssertionError("the empty one is common to all")

    scores = []
    for text, own in zip(hypotheses, references, strict=True):
        common = [longest(text.split(), other.split()) for other in own]
        p = max(common) / len(text.split())
        r = max(n / len(other.split()) for n, other in zip(common, own, strict=True))
        scores.append(0 if p + r == 0 else (1 + 1.44) * p * r / (r + 1.44 * p))
    return sum(scores) / len(scores)


def plain_cider(hypotheses, references) -> float:
    """Dense vectors over all n-grams."""
    total = 0.0
    for size in (1, 2, 3, 4):
        grams = [*product(WORDS, repeat=size)]
        clips = np.array([sum(any(count(g, o) for o in own) for own in references) for g in grams])
        rarity = np.log(len(references)) - np.log(np.maximum(clips, 1))
        for text, own in zip(hypotheses, references, strict=True):
            vector = rarity * [count(gram, text) for gram in grams]
            for other in own:
                its = rarity * [count(gram, other) for gram in grams]
                norm = np.linalg.norm(vector) * np.linalg.norm(its)
                pairs = max(0, len(text.split()) - 1) - max(0, len(other.split()) - 1)
                cosine = np.minimum(vector, its) @ its / norm if norm else 0.0
                total += cosine * math.exp(-(pairs**2) / 72) / len(own)
    return 10 * total / 4 / len(hypotheses)


@pytest.mark.parametrize("seed", range(6))
def test_a_second_opinion(seed):
    given = corpus(seed)
    np.testing.assert_allclose(captioning.bleu(*given), plain_bleu(*given), rtol=1e-9)
    assert captioning.rouge_l(*given) == pytest.approx(plain_rouge(*given), rel=1e-9)
    assert captioning.cider(*given) == pytest.approx(plain_cider(*given), rel=1e-9)


def test_the_same_words_are_perfect_and_others_nothing():
    texts = [" ".join(f"{clip}{word}" for word in WORDS) for clip in range(4)]
    same = texts, [[text] for text in texts]
    np.testing.assert_allclose(captioning.bleu(*same), 1, atol=1e-8)
    assert captioning.rouge_l(*same) == pytest.approx(1)
    assert captioning.cider(*same) == pytest.approx(10)
    other = texts, [[text.upper().replace("A", "X")] for text in texts[1:] + texts[:1]]
    assert captioning.bleu(*other)[0] < 1e-9
    assert captioning.rouge_l(*other) == captioning.cider(*other) == 0


def test_the_order_of_clips_and_references_does_not_matter():
    hypotheses, references = corpus(7)
    turned = hypotheses[::-1], [own[::-1] for own in references[::-1]]
    for measure in (captioning.bleu, captioning.rouge_l, captioning.cider):
        np.testing.assert_allclose(measure(*turned), measure(hypotheses, references), rtol=1e-12)


@pytest.mark.parametrize(
    ("sentences", "share"),
    [
        (["a person walks walks walks"], 1),
        (["walks walks and walks", "a a"], 0),
        (["", "go go go go", "a b c", "go go"], 0.25),
    ],
)
def test_a_word_three_times_running_is_repetition(sentences, share):
    assert captioning.repeated_share(sentences) == share


def test_length_and_distinct_ngrams_by_hand():
    sentences = ["a person walks", "a person sits down", ""]
    assert captioning.mean_words(sentences) == 7 / 3
    assert captioning.distinct(sentences, 1) == 5 / 7
    assert captioning.distinct(sentences, 2) == 4 / 5
    assert captioning.distinct(["walk", ""], 2) == 0


@pytest.mark.parametrize("measure", [captioning.bleu, captioning.rouge_l, captioning.cider])
@pytest.mark.parametrize(
    ("hypotheses", "references", "said"),
    [
        ([], [], "no sentences"),
        (["a"], [], "1 sentences with references of 0"),
        (["a", "b"], [["a"], []], "sentence 1 needs"),
        (["a"], ["a"], "sentence 0 needs a list"),
    ],
)
def test_what_cannot_be_measured_is_refused(measure, hypotheses, references, said):
    with pytest.raises(RequestError, match=said):
        measure(hypotheses, references)
