"""Cached latents of joints with captions word by word: what a flow is trained on."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lead.core.batches import FlowBatch, MotionTextBatch
from lead.core.masks import lengths_to_mask
from lead.core.seeding import derive_seed
from lead.data.packed import PackedSplit
from lead.data.words import CaptionWords


class FlowDataset(torch.utils.data.Dataset):
    """Latents and captions of every clip of a split; one caption is drawn per access."""

    def __init__(
        self,
        split: PackedSplit,
        latents: np.ndarray,
        lengths: np.ndarray,
        words: CaptionWords,
        seed: int = 0,
    ):
        """``latents`` (all tokens, joints, channels) of all clips, and how many each clip has."""
        self.ids, self.latents, self.lengths, self.words = split.ids, latents, lengths, words
        self.ends = np.cumsum(lengths)
        self.caption_rows = [[words.rows[text] for text in texts] for texts in split.captions]
        self.seed = seed

    def __len__(self) -> int:
        return len(self.ids)

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> FlowBatch:
        """The batch of one step: (step, place) pairs, all of the same step."""
        places, rows = [place for _, place in indices], self.drawn(indices)
        text, word_mask = self.words.batch(rows)
        z, mask = self._latents(places)
        return FlowBatch(z, mask, text, word_mask, [self.ids[place] for place in places])

    def drawn(self, indices: Sequence[tuple[int, int]]) -> list[int]:
        """The rows of the captions of one step."""
        rng = np.random.default_rng(derive_seed(self.seed, "captions", indices[0][0]))
        draws = rng.random(len(self))  # one draw a clip, so that it depends on step and clip alone
        return [
            self.caption_rows[place][int(draws[place] * len(self.caption_rows[place]))]
            for _, place in indices
        ]

    def _latents(self, places: list[int]) -> tuple[Tensor, Tensor]:
        mask = lengths_to_mask(torch.from_numpy(self.lengths[places]))
        z = torch.zeros(*mask.shape, *self.latents.shape[1:])
        for row, place in enumerate(places):
            tokens = self.lengths[place]
            part = self.latents[self.ends[place] - tokens : self.ends[place]]
            z[row, :tokens] = torch.from_numpy(np.array(part))
        return z, mask


class MotionTextDataset(FlowDataset):
    """The same with the latents of each caption (texts, tokens, dim), in the rows of ``words``."""

    def __init__(self, motions: FlowDataset, sentences: Tensor):
        self.__dict__.update(vars(motions))
        self.sentences = sentences

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> MotionTextBatch:
        """The batch of one step."""
        batch = super().__getitems__(indices)
        return MotionTextBatch(**vars(batch), sentence=self.sentences[self.drawn(indices)])
