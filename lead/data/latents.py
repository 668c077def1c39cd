"""Cached latents with captions: what stages 2 and 3 train on, wholly in memory."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lead.core.batches import FlowBatch, LatentBatch
from lead.core.seeding import derive_seed
from lead.data.cache import NULL_TEXT
from lead.data.packed import PackedSplit


class LatentDataset(torch.utils.data.Dataset):
    """Posterior and text embedding of every clip of a split; one caption is drawn per access."""

    def __init__(
        self,
        split: PackedSplit,
        posterior: tuple[Tensor, Tensor],
        embeddings: Tensor,
        rows: dict[str, int],
        seed: int = 0,
    ):
        self.ids = split.ids
        self.mu, self.logvar = posterior
        self.embeddings = embeddings
        self.null_row = rows[NULL_TEXT]
        self.caption_rows = [[rows[text] for text in captions] for captions in split.captions]
        self.seed = seed
        self.generated: Tensor | None = None  # of every clip, where stage 3 reads those

    def first_texts(self) -> Tensor:
        """Embedding (clips, words, dim) of the first caption of every clip."""
        return self.embeddings[torch.tensor([rows[0] for rows in self.caption_rows])]

    def null_text(self) -> Tensor:
        """Embedding (1, words, dim) of the empty sentence."""
        return self.embeddings[self.null_row : self.null_row + 1]

    def move_to(self, device: torch.device) -> None:
        """Keep everything on a GPU, where a quarter of its free memory holds it."""
        if device.type != "cuda":
            return
        named = {name: getattr(self, name) for name in ("mu", "logvar", "embeddings", "generated")}
        held = {name: tensor for name, tensor in named.items() if tensor is not None}
        room = torch.cuda.mem_get_info(device)[0] // 4
        if sum(tensor.nbytes for tensor in held.values()) <= room:
            for name, tensor in held.items():
                setattr(self, name, tensor.to(device))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> LatentBatch:
        """The batch of one step: (step, place) pairs, all of the same step."""
        step = indices[0][0]
        places = [place for _, place in indices]
        rng = np.random.default_rng(derive_seed(self.seed, "captions", step))
        draws = rng.random(len(self))  # one draw a clip, so that it depends on step and clip alone
        rows = [
            self.caption_rows[place][int(draws[place] * len(self.caption_rows[place]))]
            for place in places
        ]
        chosen = self._index(places)
        return LatentBatch(
            self.mu[chosen],
            self.logvar[chosen],
            self.embeddings[self._index(rows)],
            self.null_text(),
            [self.ids[place] for place in places],
            None if self.generated is None else self.generated[chosen],
        )

    def _index(self, places: list[int]) -> Tensor:
        """Places on the device of the latents, which does not wait for them."""
        index = torch.tensor(places)
        if self.mu.is_cuda:
            index = index.pin_memory().to(self.mu.device, non_blocking=True)
        return index


def keep(batch: LatentBatch | FlowBatch) -> LatentBatch | FlowBatch:
    """Collate function of a dataset that makes whole batches itself."""
    return batch
