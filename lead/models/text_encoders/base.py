"""The one interface of all text encoders, and what they share: batching, padding and pooling."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask


@dataclass(frozen=True, eq=False)
class TextEmbedding:
    """Encoded sentences, padded to the longest of them. Padded words are zero vectors."""

    tokens: Float[Tensor, "batch words dim"]
    mask: Bool[Tensor, "batch words"]  # True = real word piece (start and end marks included)
    pooled: Float[Tensor, "batch dim"]


class TextEncoder(nn.Module, ABC):
    """A frozen map from sentences to vectors.

    A subclass says how text becomes ids (``tokenize``), ids become input vectors (``embed_ids``)
    and input vectors become a TextEmbedding (``encode_embeddings``). The last step is apart, and
    open to gradients, so that a learned word can take the place of a looked-up one.
    """

    name: str  # short name: the config's, and the folder's under checkpoints/text_encoders
    dim: int  # size of both token and pooled vectors
    batch_size: int  # sentences per forward pass inside ``encode``

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) of weights and tokenizer: equal fingerprints give equal embeddings."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each sentence, cut at the model's limit, with marks and without padding."""

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
        if isinstance(texts, str) or not texts or not all(isinstance(t, str) for t in texts):
            raise RequestError(f"{self.name}: encode takes a non-empty list of sentences")
        rows = self.tokenize(texts)
        device = next(chain(self.parameters(), self.buffers())).device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        mask = lengths_to_mask(lengths)
        tokens = torch.zeros(*mask.shape, self.dim, device=device)
        pooled = torch.zeros(len(rows), self.dim, device=device)
        by_length = lengths.argsort(stable=True).tolist()  # little padding inside a batch
        for start in range(0, len(rows), self.batch_size):
            chosen = by_length[start : start + self.batch_size]
            ids, real = _pad([rows[index] for index in chosen], device)
            part = self.encode_embeddings(self.embed_ids(ids), real)
            tokens[chosen, : ids.shape[1]] = part.tokens.float()
            pooled[chosen] = part.pooled.float()
        return TextEmbedding(tokens, mask, pooled)


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
