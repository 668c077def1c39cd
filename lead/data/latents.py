"""Cached latents with captions: what stages 2 and 3 train on."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from lead.core.batches import LatentBatch
from lead.core.masks import lengths_to_mask
from lead.core.seeding import derive_seed
from lead.data.cache import NULL_TEXT
from lead.data.packed import PackedSplit
from lead.data.words import CaptionWords

B = TypeVar("B")


class CaptionedLatents(torch.utils.data.Dataset):
    """Latents of every clip of a split, ``lengths`` each; one caption is drawn per access."""

    lengths: Sequence[int] | np.ndarray

    def __init__(self, split: PackedSplit, rows: Mapping[str, int], seed: int):
        self.ids, self.seed = split.ids, seed
        self.caption_rows = [[rows[text] for text in captions] for captions in split.captions]

    def __len__(self) -> int:
        return len(self.ids)

    def drawn(self, indices: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
        """Places of the clips of one step's (step, place) pairs, and the row of a caption each."""
        places = [place for _, place in indices]
        rng = np.random.default_rng(derive_seed(self.seed, "captions", indices[0][0]))
        draws = rng.random(len(self))  # one draw a clip, so that it depends on step and clip alone
        return places, [
            self.caption_rows[place][int(draws[place] * len(self.caption_rows[place]))]
            for place in places
        ]


class LatentDataset(CaptionedLatents):
    """Posteriors of whole clips and pooled text embeddings, wholly in memory."""

    def __init__(
        self,
        split: PackedSplit,
        posterior: tuple[Tensor, Tensor],
        embeddings: Tensor,
        rows: dict[str, int],
        seed: int = 0,
    ):
        super().__init__(split, rows, seed)
        self.mu, self.logvar = posterior
        self.lengths = [1] * len(self)  # of one size: none is shorter
        self.embeddings = embeddings
        self.null_row = rows[NULL_TEXT]

    def null_text(self) -> Tensor:
        """Embedding (1, words, dim) of the empty sentence."""
        return self.embeddings[self.null_row : self.null_row + 1]

    def move_to(self, device: torch.device) -> None:
        """Keep everything on a GPU, where a quarter of its free memory holds it."""
        if device.type != "cuda":
            return
        held = {name: getattr(self, name) for name in ("mu", "logvar", "embeddings")}
        room = torch.cuda.mem_get_info(device)[0] // 4
        if sum(tensor.nbytes for tensor in held.values()) <= room:
            for name, tensor in held.items():
                setattr(self, name, tensor.to(device))

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> LatentBatch:
        """The batch of one step: (step, place) pairs, all of the same step."""
        places, rows = self.drawn(indices)
        chosen = self._index(places)
        return LatentBatch(
            self.mu[chosen],
            self.logvar[chosen],
            self.embeddings[self._index(rows)],
            self.null_text(),
            [self.ids[place] for place in places],
        )

    def _index(self, places: list[int]) -> Tensor:
        """Places on the device of the latents, which does not wait for them."""
        index = torch.tensor(places)
        if self.mu.is_cuda:
            index = index.pin_memory().to(self.mu.device, non_blocking=True)
        return index


class TimedLatents(CaptionedLatents):
    """Latents that keep time and captions word by word, mapped: more for longer clips."""

    def __init__(
        self,
        split: PackedSplit,
        latents: np.ndarray,
        lengths: np.ndarray,
        words: CaptionWords,
        seed: int = 0,
        longest: int | None = None,
    ):
        """``latents`` (all tokens, ...) of all clips, and how many each clip has."""
        super().__init__(split, words.rows, seed)
        self.latents, self.lengths, self.words = latents, lengths, words
        self.ends, self.longest = np.cumsum(lengths), longest or int(lengths.max())
        self.sentences: Tensor | None = None  # latents of each row of the words, where they are

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> LatentBatch:
        """The batch of one step: (step, place) pairs, all of the same step."""
        places, rows = self.drawn(indices)
        text, word_mask = self.words.batch(rows)
        null_text, null_mask = self.words.empty(text.shape[1])
        mask = lengths_to_mask(torch.from_numpy(self.lengths[places]))
        mu = torch.zeros(*mask.shape, *self.latents.shape[1:])
        for row, place in enumerate(places):
            tokens = self.lengths[place]
            part = self.latents[self.ends[place] - tokens : self.ends[place]]
            mu[row, :tokens] = torch.from_numpy(np.array(part))
        ids = [self.ids[place] for place in places]
        own = (mu, torch.full_like(mu, -torch.inf), text, null_text, ids)
        sentence = None if self.sentences is None else self.sentences[rows]
        return LatentBatch(*own, mask, word_mask, null_mask, self.longest, sentence)


def keep(batch: B) -> B:
    """Collate function of a dataset that makes whole batches itself."""
    return batch
