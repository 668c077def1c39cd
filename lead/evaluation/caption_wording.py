"""Sentences in the field's two styles of words, and what is measured of each.

``raw``: the words as written, in lower case and without punctuation. ``tokens``: the words of
HumanML3D's own processing, where nouns and verbs are lemmas, so that tense and number are gone.
Numbers of the two never compare: TM2T and its table have the second, most others the first.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lead.core.errors import RequestError
from lead.evaluation import captioning
from lead.evaluation.extractor.tags import tag_with_spacy, tag_words
from lead.evaluation.table import Column

HUNDRED = 100.0  # the field prints all of these in hundredths, CIDEr too


class Written(NamedTuple):
    """A sentence, and the data set's ``word/TAG`` of it where it has some."""

    text: str
    tokens: str = ""


def _raw(sentences: Sequence[Written]) -> list[list[str]]:
    return tag_words([sentence.text for sentence in sentences])


def _processed(sentences: Sequence[Written]) -> list[list[str]]:
    bare = [sentence.text for sentence in sentences if not sentence.tokens]
    tagged = iter(tag_with_spacy(bare) if bare else [])
    return [sentence.tokens.split() or next(tagged) for sentence in sentences]


STYLES: dict[str, Callable[[Sequence[Written]], list[list[str]]]] = {
    "raw": _raw,
    "tokens": _processed,
}
"""Style -> sentences as ``word/TAG``."""

AGAINST = {
    style: (
        *(Column(f"bleu_{n}_{style}", f"BLEU-{n} {style}", "", "higher", 1) for n in (1, 2, 3, 4)),
        Column(f"rouge_l_{style}", f"ROUGE-L {style}", "", "higher", 1),
        Column(f"cider_{style}", f"CIDEr {style}", "", "higher", 1),
    )
    for style in STYLES
}
"""What is measured against references, in hundredths, by style."""

BERT_SCORE = Column("bert_score", "BERTScore raw", "", "higher", 1)
WORDING = (
    Column("repeats", "a word 3 times running", "%", "lower", 1),
    Column("words", "words", "", "real", 1),
    Column("distinct_1", "distinct-1", "", "real"),
    Column("distinct_2", "distinct-2", "", "real"),
)
"""What is measured of sentences alone, in raw words."""


class Wording:
    """Written sentences as words with spaces between them, each converted once a style.

    ``missing`` says of a style why it cannot be had: sentences without tokens need the tagger.
    """

    def __init__(self) -> None:
        self.known: dict[str, dict[Written, str]] = {style: {} for style in STYLES}
        self.missing: dict[str, str] = {}

    def of(self, style: str, sentences: Sequence[Written]) -> list[str] | None:
        """The words of each sentence; None where the style cannot be had."""
        known = self.known[style]
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in known]
        try:
            tagged = STYLES[style](new)
        except RequestError as error:
            self.missing[style] = str(error)
            return None
        for sentence, tokens in zip(new, tagged, strict=True):
            known[sentence] = " ".join(token.rpartition("/")[0] for token in tokens)
        return [known[sentence] for sentence in sentences]


def measure_against(
    style: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """The measures of AGAINST[style] of a corpus in words of that style."""
    scores = (
        *captioning.bleu(hypotheses, references),
        captioning.rouge_l(hypotheses, references),
        captioning.cider(hypotheses, references),
    )
    return {
        column.key: HUNDRED * float(score)
        for column, score in zip(AGAINST[style], scores, strict=True)
    }


def measure_wording(sentences: Sequence[str]) -> dict[str, float]:
    """The measures of WORDING."""
    return {
        "repeats": HUNDRED * captioning.repeated_share(sentences),
        "words": captioning.mean_words(sentences),
        "distinct_1": captioning.distinct(sentences, 1),
        "distinct_2": captioning.distinct(sentences, 2),
    }
