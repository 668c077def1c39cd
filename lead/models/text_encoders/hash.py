"""A text encoder without weights, for tests and tiny runs: it knows words, not their meaning."""

import hashlib
import re
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from lead.core.files import content_hash
from lead.core.freezing import freeze
from lead.core.seeding import make_generator
from lead.core.sizes import NUMBERS_MOST, Size, Some, check_count
from lead.models.text_encoders.base import TextEmbedding, TextEncoder, mean_of_words

START = 0  # every sentence begins with it, so that the empty one has a vector, too


class HashTextEncoder(TextEncoder):
    """Random projection of the bag of words: each word has a fixed random unit vector.

    Sentences that share words are close, synonyms are not, and the order of words is lost.
    For tests and tiny runs only. Words are told apart by a hash into ``buckets`` ids.
    """

    def __init__(
        self,
        name: str = "hash",
        dim: Size = 64,
        seed: int = 0,
        buckets: Annotated[int, Field(ge=2, le=NUMBERS_MOST)] = 65536,
        max_words: Some = 77,
        batch_size: Some = 1024,
    ):
        super().__init__()
        check_count(buckets * dim, f"text encoder '{name}'")
        self.name = name
        self.dim = dim
        self.seed = seed
        self.max_words = max_words
        self.batch_size = batch_size
        vectors = torch.randn(buckets, dim, generator=make_generator(seed, "hash text encoder"))
        self.register_buffer("table", normalize(vectors, dim=-1), persistent=False)
        freeze(self)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the values that determine the vectors."""
        buckets = len(self.table)
        return content_hash(f"hash {self.dim} {self.seed} {buckets} {self.max_words}")

    def pieces(self, text: str, *, spaced: bool = True) -> list[int]:  # noqa: ARG002
        """One id per word, case ignored."""
        return [self._word_id(word) for word in re.findall(r"\w+", text.casefold())]

    def add_marks(self, ids: list[int]) -> list[int]:
        """The start mark and the ids."""
        return [START, *ids][: self.max_words]

    def knows(self, word: str) -> bool:
        """Every plain word has a vector; what is in brackets is none."""
        return re.fullmatch(r"\w+", word) is not None

    def embed_ids(self, ids: Int[Tensor, "batch words"]) -> Float[Tensor, "batch words width"]:
        """Look up the vector of each id."""
        return self.table[ids]

    def encode_embeddings(
        self, inputs_embeds: Float[Tensor, "batch words width"], mask: Bool[Tensor, "batch words"]
    ) -> TextEmbedding:
        """Words are their own embedding; the sentence is the unit vector along their mean."""
        pooled = mean_of_words(inputs_embeds, mask)
        return TextEmbedding(inputs_embeds * mask[..., None], mask, pooled)

    def _word_id(self, word: str) -> int:
        digest = hashlib.sha256(word.encode()).digest()
        return 1 + int.from_bytes(digest[:8], "big") % (len(self.table) - 1)
