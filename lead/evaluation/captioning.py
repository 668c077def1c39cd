"""Measures of sentences against references, as the field computes them, as pure functions.

Sentences are strings of words with spaces between them, lower case, compared as they are given:
``["a person walks", ...]`` with several references each, ``[["a man walks", ...], ...]``. All
numbers agree with those of the COCO caption evaluation (pycocoevalcap). A corpus of no sentence,
or a sentence without a reference, is a RequestError.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from lead.core.errors import RequestError

LONGEST = 4  # words of the longest n-gram of BLEU and CIDEr
SMALL, TINY = 1e-9, 1e-15  # keep BLEU's quotients finite, and 0 where nothing agrees
BETA = 1.2  # how much more recall weighs than precision in ROUGE-L
SIGMA = 6.0  # words of difference in length that CIDEr forgives
RUN = 3  # times running from which a word counts as repeated

Ngram = tuple[str, ...]
References = Sequence[Sequence[str]]


def bleu(hypotheses: Sequence[str], references: References) -> np.ndarray:
    """BLEU-1 to BLEU-4 of a corpus, (4,), in 0..1 (Papineni 2002).

    Counts are summed over the corpus, an n-gram counts as often as the reference that has most of
    it, and the brevity penalty takes the reference whose length is closest, the shorter of two.
    """
    _check(hypotheses, references)
    found, made = np.zeros(LONGEST), np.zeros(LONGEST)
    length = reference_length = 0
    for hypothesis, own in zip(hypotheses, references, strict=True):
        words = len(hypothesis.split())
        lengths = [len(reference.split()) for reference in own]
        length += words
        reference_length += min(lengths, key=lambda other: (abs(other - words), other))
        most: Counter[Ngram] = Counter()
        for reference in own:
            most |= _ngrams(reference)
        for ngram, count in (_ngrams(hypothesis) & most).items():
            found[len(ngram) - 1] += count
        made += [max(0, words - n) for n in range(LONGEST)]
    precisions = np.cumprod((found + TINY) / (made + SMALL))
    scores = precisions ** (1 / np.arange(1, LONGEST + 1))
    ratio = (length + TINY) / (reference_length + SMALL)
    return scores * math.exp(min(0.0, 1 - 1 / ratio))


def rouge_l(hypotheses: Sequence[str], references: References) -> float:
    """Mean F of the longest common subsequence, in 0..1 (Lin 2004).

    Precision and recall are each those of the reference where they are highest, which need not be
    the same one. Words are what stands between single spaces, so that no sentence is without one.
    """
    _check(hypotheses, references)
    scores = []
    for hypothesis, own in zip(hypotheses, references, strict=True):
        words = tuple(hypothesis.split(" "))
        others = [tuple(reference.split(" ")) for reference in own]
        common = [_longest_common(words, other) for other in others]
        precision = max(common) / len(words)
        recall = max(n / len(other) for n, other in zip(common, others, strict=True))
        below = recall + BETA**2 * precision
        scores.append((1 + BETA**2) * precision * recall / below if below else 0.0)
    return float(np.mean(scores))


def cider(hypotheses: Sequence[str], references: References) -> float:
    """CIDEr of a corpus, in 0..10 (Vedantam 2015).

    As the reference implementation computes it under that name: counts of n-grams weighed by how
    few clips have them among their references, clipped to those of the reference, cosines of one
    to four words averaged, and a Gaussian of the difference in length, which is in pairs of words.
    """
    _check(hypotheses, references)
    counted = [[_ngrams(reference) for reference in own] for own in references]
    clips = Counter(ngram for own in counted for ngram in set().union(*own))
    rarity = _Rarity(clips, len(references))
    scores = []
    for hypothesis, own in zip(hypotheses, counted, strict=True):
        vector = rarity.weigh(_ngrams(hypothesis))
        scores.append(np.mean([_agreement(vector, rarity.weigh(other)) for other in own]))
    return 10 * float(np.mean(scores))


def repeated_share(sentences: Sequence[str]) -> float:
    """Share of sentences in which a word stands three times running, in 0..1."""
    _check(sentences, None)
    return float(np.mean([_has_run(sentence.split()) for sentence in sentences]))


def mean_words(sentences: Sequence[str]) -> float:
    """Words of a sentence, on average."""
    _check(sentences, None)
    return float(np.mean([len(sentence.split()) for sentence in sentences]))


def distinct(sentences: Sequence[str], size: int) -> float:
    """How many different n-grams of ``size`` words there are of all, in 0..1 (Li 2016).

    The more sentences, the lower: compare equally many. 0 where no sentence is as long.
    """
    _check(sentences, None)
    counts: Counter[Ngram] = Counter()
    for sentence in sentences:
        counts.update(_of_size(sentence.split(), size))
    return len(counts) / max(1, counts.total())


class _Rarity:
    """How few clips have an n-gram: the weights of a corpus, and vectors with them."""

    def __init__(self, clips: Counter[Ngram], count: int):
        self.clips, self.most = clips, math.log(count)

    def weigh(self, counts: Counter[Ngram]) -> tuple[list[dict[Ngram, float]], list[float], int]:
        """Weighted counts by size, their lengths as vectors, and how many pairs of words."""
        parts: list[dict[Ngram, float]] = [{} for _ in range(LONGEST)]
        for ngram, count in counts.items():
            weight = self.most - math.log(max(1, self.clips[ngram]))
            parts[len(ngram) - 1][ngram] = count * weight
        norms = [math.sqrt(sum(value**2 for value in part.values())) for part in parts]
        return parts, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2)


def _agreement(one: tuple, other: tuple) -> float:
    """Mean clipped cosine of a hypothesis' vector and a reference's, times the penalty."""
    (parts, norms, pairs), (other_parts, other_norms, other_pairs) = one, other
    total = 0.0
    for part, norm, reference, its_norm in zip(parts, norms, other_parts, other_norms, strict=True):
        if norm and its_norm:
            shared = part.keys() & reference.keys()
            product = sum(min(part[n], reference[n]) * reference[n] for n in shared)
            total += product / (norm * its_norm)
    penalty = math.exp(-((pairs - other_pairs) ** 2) / (2 * SIGMA**2))
    return total / LONGEST * penalty


@lru_cache(maxsize=2**15)
def _ngrams(sentence: str) -> Counter[Ngram]:
    """How often each n-gram of up to four words stands there; not to be changed."""
    words = sentence.split()
    return Counter(ngram for size in range(1, LONGEST + 1) for ngram in _of_size(words, size))


def _of_size(words: Sequence[str], size: int) -> list[Ngram]:
    return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]


@lru_cache(maxsize=2**15)
def _longest_common(one: Ngram, other: Ngram) -> int:
    """Words of the longest common subsequence."""
    above = [0] * (len(other) + 1)
    for word in one:
        row = [0]
        for place, its in enumerate(other):
            row.append(above[place] + 1 if word == its else max(row[-1], above[place + 1]))
        above = row
    return above[-1]


def _has_run(words: Sequence[str]) -> bool:
    return any(len({*words[at : at + RUN]}) == 1 for at in range(len(words) - RUN + 1))


def _check(sentences: Sequence[str], references: References | None) -> None:
    if not sentences:
        raise RequestError("no sentences to measure: give at least one")
    if references is None:
        return
    if len(references) != len(sentences):
        raise RequestError(
            f"{len(sentences)} sentences with references of {len(references)}: give each its own"
        )
    for place, own in enumerate(references):
        if isinstance(own, str) or not own:
            raise RequestError(f"sentence {place} needs a list of references, at least one")
