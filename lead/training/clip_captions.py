"""Captions for stage 1: what alignment inside the VAE pulls latents towards."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.seeding import derive_seed
from lead.data.cache import cached_texts
from lead.data.packed import PackedDataset
from lead.models.text_encoders import TextEncoder


class ClipCaptions:
    """Embedded captions of clips, by the clips' ids; one is drawn for each clip and step."""

    def __init__(
        self,
        embeddings: Float[Tensor, "texts dim"],
        rows: Mapping[str, Sequence[int]],
        seed: int = 0,
    ):
        self.embeddings, self.rows, self.seed = embeddings, rows, seed

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self.embeddings.shape[1]

    def draw(self, ids: Sequence[str], step: int) -> Float[Tensor, "batch dim"]:
        """An embedding of one caption of each clip; step and clip alone decide which."""
        chosen = [
            self.rows[name][derive_seed(self.seed, "caption", step, name) % len(self.rows[name])]
            for name in ids
        ]
        return self.embeddings[chosen]


def pooled_captions(
    dataset: PackedDataset, split: str, encoder: TextEncoder
) -> tuple[Float[Tensor, "texts one dim"], dict[str, int]]:
    """Vectors of all captions of a split and of the empty sentence, and the row of each; cached."""
    key = f"{encoder.fingerprint} pooled"
    return cached_texts(dataset, split, key, lambda texts: encoder.vectors(texts)[:, None])


def clip_captions(
    dataset: PackedDataset, splits: Sequence[str], encoder: TextEncoder, seed: int
) -> ClipCaptions:
    """The captions of these splits, from the cache that stages 2 and 3 use."""
    parts: list[Tensor] = []
    rows: dict[str, list[int]] = {}
    for split in dict.fromkeys(splits):
        texts, places = pooled_captions(dataset, split, encoder)
        first = sum(map(len, parts))
        packed = dataset.split(split)
        for name, captions in zip(packed.ids, packed.captions, strict=True):
            rows[name] = [first + places[text] for text in captions]
        parts.append(texts[:, 0])
    return ClipCaptions(torch.cat(parts), rows, seed)
