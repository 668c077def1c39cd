"""The one interface of all text encoders, and what they share: batching, padding and pooling."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.models.text_encoders.learned_words import split_at_words

PLACEHOLDER = 0  # an id of every vocabulary; its vector is replaced before the network runs


@dataclass(frozen=True, eq=False)
class TextEmbedding:
    """Encoded sentences, padded to the longest of them. Padded words are zero vectors."""

    tokens: Float[Tensor, "batch words dim"]
    mask: Bool[Tensor, "batch words"]  # True = real word piece (start and end marks included)
    pooled: Float[Tensor, "batch dim"]


class TextEncoder(nn.Module, ABC):
    """A frozen map from sentences to vectors.

    A subclass says how text becomes ids (``pieces`` of a part of a sentence, and ``add_marks``),
    ids become input vectors (``embed_ids``) and input vectors become a TextEmbedding
    (``encode_embeddings``). The last step is apart, and open to gradients, so that a learned word
    can take the place of a looked-up one.
    """

    name: str  # short name: the config's, and the folder's under checkpoints/text_encoders
    dim: int  # size of both token and pooled vectors
    batch_size: int  # sentences per forward pass inside ``encode``
    unknown_id: int | None = None  # what the vocabulary gives for a word that it lacks

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) of weights and tokenizer: equal fingerprints give equal embeddings."""

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each sentence, cut at the model's limit, with marks and without padding."""
        return [self.add_marks(self.pieces(text)) for text in texts]

    @abstractmethod
    def pieces(self, text: str, *, spaced: bool = True) -> list[int]:
        """Ids of a part of a sentence, without marks.

        ``spaced`` is false where the part follows a word without a space, as a comma does.
        """

    @abstractmethod
    def add_marks(self, ids: list[int]) -> list[int]:
        """A whole sentence of these ids: with marks, cut at the model's limit."""

    @abstractmethod
    def embed_ids(self, ids: Int[Tensor, "batch words"]) -> Float[Tensor, "batch words width"]:
        """Look up the input vector of each id."""

    @abstractmethod
    def encode_embeddings(
        self, inputs_embeds: Float[Tensor, "batch words width"], mask: Bool[Tensor, "batch words"]
    ) -> TextEmbedding:
        """Run the network on input vectors; differentiable with respect to them."""

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextEmbedding:
        """Encode sentences, each independent of the others; ``""`` is the null condition.

        The result is float32, on the encoder's device, its rows in the order given. It holds
        ``len(texts) * longest * dim`` numbers: pass large collections in parts.
        Raises RequestError for anything but a non-empty sequence of strings.
        """
        self._check_sentences(texts)
        return self._encode_rows(self.tokenize(texts), None)

    def vectors(self, texts: Sequence[str]) -> Float[Tensor, "texts dim"]:
        """The pooled vectors of ``encode`` alone."""
        return self.encode(texts).pooled

    def encode_with_words(
        self, texts: Sequence[str], words: Mapping[str, Float[Tensor, " width"]]
    ) -> TextEmbedding:
        """Encode sentences in which learned words such as ``<zombie>`` stand for given vectors.

        The network sees a placeholder that the vocabulary has, with the word's vector in place of
        what was looked up: no vocabulary grows, the sentence's vector is read where it always is,
        and gradients reach the vectors. Sentences without such words come out as from ``encode``.
        Raises RequestError for a vector of another width, and for a word behind the model's limit.
        """
        self._check_sentences(texts)
        if not words:
            return self._encode_rows(self.tokenize(texts), None)
        for word, vector in words.items():
            self._check_width(word, vector)
        numbers = {word: -1 - place for place, word in enumerate(words)}
        rows = [self._row_with_words(text, numbers) for text in texts]
        return self._encode_rows(rows, torch.stack(list(words.values())).to(self._device))

    def knows(self, word: str) -> bool:
        """Whether ``word`` is an entry of the vocabulary."""
        ids = self.pieces(word)
        return len(ids) == 1 and ids[0] != self.unknown_id

    def word_vector(self, word: str) -> Float[Tensor, " width"]:
        """The input vector of a word; RequestError unless it is one entry of the vocabulary."""
        ids = self.pieces(word)
        if len(ids) != 1:
            raise RequestError(
                f"'{word}' is {len(ids)} pieces for text encoder '{self.name}': give one common "
                "word that it has as a whole, such as walk"
            )
        if ids[0] == self.unknown_id:
            raise RequestError(f"text encoder '{self.name}' does not know '{word}': give another")
        return self.embed_ids(torch.tensor([ids], device=self._device))[0, 0]

    def spelled(self, text: str, words: Iterable[str] = ()) -> list[tuple[str, int]]:
        """The words of a sentence as people read them, each with how many tokens it is.

        The encoder's marks stand in brackets, "(start)" and "(end)". ``words`` are learned ones.
        """
        numbers = {word: -1 - place for place, word in enumerate(words)}
        counted = [(word, len(self._ids(word, numbers))) for word in text.split()]
        ids = self._ids(text, numbers)
        row = self.add_marks(ids)
        probe = ids or [-1]
        before = self.add_marks(probe).index(probe[0])
        marked = [("(start)", before), *counted, ("(end)", max(0, len(row) - before - len(ids)))]
        left, fitting = len(row), []
        for word, count in marked:
            fitting.append((word, min(count, left)))
            left -= fitting[-1][1]
        return [(word, count) for word, count in fitting if count]

    @property
    def _device(self) -> torch.device:
        return next(chain(self.parameters(), self.buffers())).device

    def _check_sentences(self, texts: Sequence[str]) -> None:
        if isinstance(texts, str) or not texts or not all(isinstance(t, str) for t in texts):
            raise RequestError(f"{self.name}: encode takes a non-empty list of sentences")

    def _check_width(self, word: str, vector: Tensor) -> None:
        width = self.embed_ids(torch.tensor([[PLACEHOLDER]], device=self._device)).shape[-1]
        if vector.shape != (width,):
            raise RequestError(
                f"the word {word} has a vector of shape {tuple(vector.shape)}, but text encoder "
                f"'{self.name}' takes ({width},): learn it anew with this encoder"
            )

    def _row_with_words(self, text: str, numbers: Mapping[str, int]) -> list[int]:
        """Ids of one sentence with marks, a negative number for each learned word."""
        ids = self._ids(text, numbers)
        row = self.add_marks(ids)
        if sum(id_ < 0 for id_ in row) < sum(id_ < 0 for id_ in ids):
            raise RequestError(
                f"a learned word of '{text:.60}...' stands behind the end of what text encoder "
                f"'{self.name}' reads: shorten the sentence"
            )
        return row

    def _ids(self, text: str, numbers: Mapping[str, int]) -> list[int]:
        """Ids of a part of a sentence, a negative number for each learned word."""
        ids: list[int] = []
        spaced = True
        for part, learned in split_at_words(text, numbers):
            if learned:
                ids.append(numbers[part])
            elif part.strip():
                ids += self.pieces(part.strip(), spaced=spaced or part[0].isspace())
            spaced = not learned
        return ids

    def _encode_rows(
        self, rows: list[list[int]], vectors: Float[Tensor, "words width"] | None
    ) -> TextEmbedding:
        """Encode sentences given as ids, where -1 - n stands for the n-th of ``vectors``."""
        device = self._device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        mask = lengths_to_mask(lengths)
        tokens = torch.zeros(*mask.shape, self.dim, device=device)
        pooled = torch.zeros(len(rows), self.dim, device=device)
        by_length = lengths.argsort(stable=True).tolist()  # little padding inside a batch
        for start in range(0, len(rows), self.batch_size):
            chosen = by_length[start : start + self.batch_size]
            ids, real = _pad([rows[index] for index in chosen], device)
            part = self.encode_embeddings(self._embed(ids, vectors), real)
            tokens[chosen, : ids.shape[1]] = part.tokens.float()
            pooled[chosen] = part.pooled.float()
        return TextEmbedding(tokens, mask, pooled)

    def _embed(self, ids: Tensor, vectors: Tensor | None) -> Tensor:
        embedded = self.embed_ids(ids.clamp(min=PLACEHOLDER))
        if vectors is not None:
            learned = ids < 0
            embedded[learned] = vectors[-1 - ids[learned]].to(embedded.dtype)
        return embedded


def mean_of_words(
    tokens: Float[Tensor, "batch words dim"], mask: Bool[Tensor, "batch words"]
) -> Float[Tensor, "batch dim"]:
    """Unit vector along the mean of the real word vectors of each sentence."""
    weights = mask[..., None].to(tokens.dtype)
    return normalize((tokens * weights).sum(dim=1) / weights.sum(dim=1), dim=-1)


def _pad(
    rows: list[list[int]], device: torch.device
) -> tuple[Int[Tensor, "batch words"], Bool[Tensor, "batch words"]]:
    mask = lengths_to_mask(torch.tensor([len(row) for row in rows], device=device))
    ids = torch.zeros(mask.shape, dtype=torch.long, device=device)
    ids[mask] = torch.tensor(list(chain.from_iterable(rows)), device=device)
    return ids, mask
