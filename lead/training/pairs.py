"""Captions beside their motions: what the evaluator trains on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead.core.seeding import derive_seed
from lead.data.clips import ClipDataset
from lead.data.packed import PackedDataset, PackedSplit
from lead.evaluation.extractor.padding import pad_motions
from lead.evaluation.extractor.tags import TAGGERS
from lead.evaluation.extractor.words import EncodedCaptions

CROP_UNIT = 4  # frames, the stride of the evaluator


@dataclass
class PairBatch:
    """Motions, one caption of each, and what tells which of them mean the same."""

    x: Float[Tensor, "batch frames features"]
    lengths: Int[Tensor, " batch"]
    captions: EncodedCaptions | Float[Tensor, "batch dim"]  # words, or vectors of sentences
    mentions: Int[Tensor, "batch captions"]  # numbers of a clip's caption texts, then -1
    ids: list[str]

    def to(self, device) -> "PairBatch":
        """The same batch on another device; lengths stay, they are read on the CPU."""
        return PairBatch(
            self.x.to(device, non_blocking=True),
            self.lengths,
            self.captions.to(device),
            self.mentions.to(device, non_blocking=True),
            self.ids,
        )


class PairDataset(torch.utils.data.Dataset):
    """Every clip of a split, cropped as for the VAE, with one caption drawn per access.

    ``captions`` are those at some ``places`` of each clip, encoded, one clip after the other.
    Indexed by (step, place), so that caption and crop depend on the training step alone.
    """

    def __init__(
        self,
        dataset: PackedDataset,
        split: str,
        captions: EncodedCaptions | Float[Tensor, "captions dim"],
        places: Sequence[Sequence[int]],
        *,
        crop_min: int = 0,
        seed: int = 0,
    ):
        self.clips = ClipDataset(dataset, split, crop_unit=CROP_UNIT, crop_min=crop_min, seed=seed)
        self.seed = seed
        self.captions, self.counts = captions, np.array([len(own) for own in places])
        self.starts = np.cumsum(self.counts) - self.counts
        self.mentions = _mentions(self.clips.split.captions)

    @property
    def frames(self) -> np.ndarray:
        """Length of each clip."""
        return self.clips.split.frames

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> PairBatch:
        """The batch of one step: (step, place) pairs, all of the same step."""
        step = indices[0][0]
        places = [place for _, place in indices]
        draws = np.random.default_rng(derive_seed(self.seed, "captions", step)).random(len(self))
        rows = self.starts[places] + (draws[places] * self.counts[places]).astype(int)
        ids, motions = zip(*(self.clips[index] for index in indices), strict=True)
        return PairBatch(
            *pad_motions(motions),
            self.captions[torch.from_numpy(rows)],
            self.mentions[places],
            list(ids),
        )


def split_tokens(split: PackedSplit, tagger: str) -> list[list[list[str]]]:
    """``word/TAG`` tokens of every caption of every clip: the data set's own, else tagged."""
    own = [
        [tokens.split() if tagger != "words" else [] for tokens in clip] for clip in split.tokens
    ]
    bare = [(i, j) for i, clip in enumerate(own) for j, tokens in enumerate(clip) if not tokens]
    tagged = TAGGERS[tagger]([split.captions[i][j] for i, j in bare]) if bare else []
    for (i, j), tokens in zip(bare, tagged, strict=True):
        own[i][j] = tokens
    return own


def share_a_caption(mentions: Int[Tensor, "batch captions"]) -> Bool[Tensor, "batch batch"]:
    """True where two clips share a caption text; each clip does so with itself."""
    equal = mentions[:, None, :, None] == mentions[None, :, None, :]
    return (equal & (mentions >= 0)[:, None, :, None]).any(-1).any(-1)


def _mentions(captions: Sequence[Sequence[str]]) -> Int[Tensor, "clips captions"]:
    """The caption texts of each clip as numbers, and -1 where others have more."""
    numbers: dict[str, int] = {}
    rows = torch.full((len(captions), max(map(len, captions))), -1)
    for row, texts in enumerate(captions):
        found = [numbers.setdefault(text.strip().lower(), len(numbers)) for text in texts]
        rows[row, : len(found)] = torch.tensor(found)
    return rows
