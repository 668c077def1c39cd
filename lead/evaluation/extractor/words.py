"""From ``word/TAG`` tokens to the arrays that the sentence encoder reads."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lead.core.errors import RequestError
from lead.core.sizes import NUMBERS_MOST, Size
from lead.evaluation.extractor.tags import CLASS_OF_WORD, OTHER, TAGS

START, END, UNKNOWN = "sos", "eos", "unk"
MAX_WORDS = 20
POSITIONS = MAX_WORDS + 2


@dataclass(frozen=True)
class EncodedCaptions:
    """Captions as rows of a vocabulary and of TAGS, padded with the unknown word."""

    ids: Int[Tensor, "captions 22"]
    tags: Int[Tensor, "captions 22"]
    lengths: Int[Tensor, " captions"]  # start and end marks included

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: object) -> "EncodedCaptions":
        return EncodedCaptions(self.ids[rows], self.tags[rows], self.lengths[rows])

    def to(self, device) -> "EncodedCaptions":
        """The same captions on another device; lengths stay, they are read on the CPU."""
        return EncodedCaptions(self.ids.to(device), self.tags.to(device), self.lengths)

    @property
    def pos_onehot(self) -> Float[Tensor, "captions 22 tags"]:
        """The classes as one-hot vectors."""
        return one_hot(self.tags, len(TAGS)).float()


@dataclass(frozen=True)
class Vocabulary:
    """The words that have a vector, in the order of the vectors; sos, eos and unk among them.

    Raises RequestError where one of these is missing or a word stands there twice.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = [word for word in (START, END, UNKNOWN) if word not in self.rows]
        if missing:
            raise RequestError(f"the vocabulary lacks {', '.join(missing)}: use the evaluator's")
        if len(self.rows) < len(self.words):
            raise RequestError("the vocabulary holds a word twice: use the evaluator's")

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each word."""
        return {word: row for row, word in enumerate(self.words)}

    def encode(self, captions: Sequence[Sequence[str]]) -> EncodedCaptions:
        """Captions, each a list of ``word/TAG``, with marks; words after the twentieth are cut.

        A word without a vector is the unknown word, of class OTHER; a motion word has its own
        class; a class that is not among TAGS is OTHER.
        """
        marks = f"{START}/{OTHER}", f"{END}/{OTHER}"
        ids = torch.full((len(captions), POSITIONS), self.rows[UNKNOWN])
        tags = torch.full_like(ids, TAGS.index(OTHER))
        lengths = torch.zeros(len(captions), dtype=torch.long)
        for row, tokens in enumerate(captions):
            pairs = [self._pair(token) for token in (marks[0], *tokens[:MAX_WORDS], marks[1])]
            lengths[row] = len(pairs)
            ids[row, : len(pairs)] = torch.tensor([pair[0] for pair in pairs])
            tags[row, : len(pairs)] = torch.tensor([pair[1] for pair in pairs])
        return EncodedCaptions(ids, tags, lengths)

    def _pair(self, token: str) -> tuple[int, int]:
        word, _, tag = token.rpartition("/")
        if not word:
            raise RequestError(f"token '{token}' is not of the form word/TAG")
        if word not in self.rows:
            return self.rows[UNKNOWN], TAGS.index(OTHER)
        tag = CLASS_OF_WORD.get(word, tag)
        return self.rows[word], TAGS.index(tag if tag in TAGS else OTHER)


class WordVectors(nn.Module):
    """One vector a word of a vocabulary: published (GloVe), or learned with the evaluator."""

    def __init__(self, words: Annotated[int, Field(ge=1, le=NUMBERS_MOST)], dim: Size = 300):
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(words, dim).mul_(dim**-0.5))

    def forward(self, ids: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape dim"]:
        """Look up vectors."""
        return self.vectors[ids]


def vocabulary_of(captions: Iterable[Sequence[str]], fewest: int = 2) -> Vocabulary:
    """The words of tokenised captions that stand there ``fewest`` times, in alphabetical order.

    Rarer ones are left out, so that the vector of the unknown word is learned from them.
    """
    counts = Counter(token.rpartition("/")[0] for tokens in captions for token in tokens)
    marks = (START, END, UNKNOWN)
    frequent = (word for word, count in counts.items() if count >= fewest and word not in marks)
    return Vocabulary((*marks, *sorted(frequent)))
