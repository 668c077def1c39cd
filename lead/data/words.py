"""Captions word by word: embedded once, kept mapped, with the length of each."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from lead.core.files import content_hash
from lead.core.masks import lengths_to_mask
from lead.data.cache import NULL_TEXT, cached_array, cached_tensors
from lead.data.packed import PackedDataset

TOGETHER = 256  # sentences

Encode = Callable[[list[str]], tuple[Tensor, Tensor, Tensor]]
"""Sentences -> tokens (batch, words, dim), which are real (batch, words), pooled (batch, dim)."""


@dataclass(frozen=True, eq=False)
class CaptionWords:
    """Embedded captions of a split in half precision, by the row of each text."""

    rows: dict[str, int]
    pooled: Float[Tensor, "texts dim"]
    tokens: np.ndarray  # (all words, dim), mapped
    counts: np.ndarray  # words of each text
    null: Float[Tensor, "words dim"]  # pooled vector and words of the empty sentence

    def batch(
        self, rows: Sequence[int]
    ) -> tuple[Float[Tensor, "batch words dim"], Bool[Tensor, "batch words"]]:
        """The texts of these rows, and which words are real; the pooled vector comes first.

        There are at least as many words as the empty sentence has.
        """
        counts = self.counts[list(rows)]
        longest = max(1 + int(counts.max()), len(self.null))
        text = torch.zeros(len(rows), longest, self.pooled.shape[1])
        text[:, 0] = self.pooled[list(rows)].float()
        for place, (row, count) in enumerate(zip(rows, counts.tolist(), strict=True)):
            words = self.tokens[self._ends[row] - count : self._ends[row]]
            text[place, 1 : count + 1] = torch.from_numpy(words.astype(np.float32))
        return text, lengths_to_mask(torch.from_numpy(1 + counts), longest)

    def empty(self, words: int) -> tuple[Float[Tensor, "one words dim"], Bool[Tensor, "one words"]]:
        """The empty sentence among texts of so many words, with its pooled vector, as ``batch``."""
        mask = lengths_to_mask(torch.tensor([len(self.null)]), words)
        return pad(self.null, (0, 0, 0, words - len(self.null)))[None], mask

    @cached_property
    def _ends(self) -> np.ndarray:
        """Where the words of each text end; once for all batches."""
        return np.cumsum(self.counts)

    def scales(self) -> tuple[float, float]:
        """One over the root mean square of pooled vectors and of words, to four digits."""
        of_words = np.mean([np.square(part, dtype=np.float64).mean() for part in self._parts()])
        squares = (float(self.pooled.double().square().mean()), float(of_words))
        return tuple(float(f"{max(square, 1e-6) ** -0.5:.4g}") for square in squares)

    def _parts(self) -> list[np.ndarray]:
        """Equal parts of some of the words: they are many."""
        some = self.tokens[:: max(1, len(self.tokens) // 50_000)]
        return [some[: len(some) // 2], some[len(some) // 2 :]] if len(some) > 1 else [some]


def caption_words(
    dataset: PackedDataset, split: str, fingerprint: str, encode: Encode
) -> CaptionWords:
    """Every caption of a split by a text encoder, from the data set's cache where it is there."""
    texts = {text for captions in dataset.split(split).captions for text in captions}
    return sentence_words(dataset, split, texts, fingerprint, encode)


def sentence_words(
    dataset: PackedDataset, name: str, texts: Collection[str], fingerprint: str, encode: Encode
) -> CaptionWords:
    """The same of any sentences; ``name`` says in the name of the cache file which they are."""
    texts = sorted(texts, key=lambda text: (len(text), text))  # little padding in a batch
    key = content_hash(fingerprint, "words", *texts)[:16]
    path = dataset.folder / "cache" / f"words-{name}-{key}.safetensors"
    encoded = cache(lambda: _encoded(texts, encode, name))  # once for both files
    names = ("pooled", "counts")
    cached = cached_tensors(path, names, len(texts), lambda: encoded()[0])

    def fill(array: np.ndarray) -> None:
        np.concatenate(encoded()[1], out=array)

    shape = (int(cached["counts"].sum()), cached["pooled"].shape[1])
    mapped = cached_array(path.with_suffix(".npy"), shape, "float16", fill)
    rows = {text: row for row, text in enumerate(texts)}
    null = _empty_sentence(dataset, fingerprint, encode)
    return CaptionWords(rows, cached["pooled"], mapped, cached["counts"].numpy(), null)


def _empty_sentence(dataset: PackedDataset, fingerprint: str, encode: Encode) -> Tensor:
    """Pooled vector, then the words of the empty sentence, from the same cache."""
    key = content_hash(fingerprint, "words", NULL_TEXT)[:16]
    path = dataset.folder / "cache" / f"words-none-{key}.safetensors"

    def make() -> dict[str, Tensor]:
        words, real, whole = encode([NULL_TEXT])
        return {"null": torch.cat([whole, words[real]])[None].half().float().cpu()}

    return cached_tensors(path, ("null",), 1, make)["null"][0]


def _encoded(
    texts: list[str], encode: Encode, split: str
) -> tuple[dict[str, Tensor], list[np.ndarray]]:
    """Pooled vectors with the number of words, and the words of batch after batch."""
    pooled, counts, tokens = [], [], []
    starts = range(0, len(texts), TOGETHER)
    for start in tqdm(starts, desc=f"words of {split} captions", unit="batch", disable=None):
        words, real, whole = encode(texts[start : start + TOGETHER])
        pooled.append(whole.half().cpu())
        counts.append(real.sum(1).cpu())
        tokens.append(words[real].half().cpu().numpy())
    return {"pooled": torch.cat(pooled), "counts": torch.cat(counts)}, tokens
