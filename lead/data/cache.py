"""Caches of posteriors and text embeddings, so that stages 2 and 3 run no encoder.

A cache file is named by the hash of everything it depends on: the weights, the data, the encoder.
A change of any of them gives another name, so a stale cache is never read. A dataset on a disk that
cannot be written is used without: everything is encoded anew each time, and that is said.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lead.core.batches import MotionBatch
from lead.core.errors import LeadError, RequestError, one_line
from lead.core.files import atomic_path, content_hash, write_tensors
from lead.core.reading import map_floats, read_tensors
from lead.data.clips import ClipDataset, length_sorted_batches, pad_clips
from lead.data.packed import PackedDataset

NULL_TEXT = ""


def cached_posteriors(
    dataset: PackedDataset,
    split: str,
    weights_hash: str,
    encode: Callable[[MotionBatch], tuple[Tensor, Tensor]],
    batch_size: int = 64,
) -> tuple[Tensor, Tensor]:
    """Posterior mean and log-variance of every clip of a split, each (clips, tokens, dim).

    Raises RequestError where clips have different numbers of tokens.
    """
    key = content_hash(dataset.data_hash, split, weights_hash)[:16]
    path = dataset.folder / "cache" / f"posterior-{split}-{key}.safetensors"
    clips = ClipDataset(dataset, split)

    def make() -> dict[str, Tensor]:
        batches = length_sorted_batches(clips.split.frames, batch_size)
        rows: dict[int, tuple[Tensor, Tensor]] = {}
        for places in tqdm(batches, desc=f"encode {split} motions", unit="batch", disable=None):
            mu, logvar = encode(pad_clips([clips[0, place] for place in places]))
            tokens = next(iter(rows.values()))[0].shape[0] if rows else mu.shape[1]
            if mu.shape[1] != tokens:
                raise RequestError(
                    f"this VAE's latents are as long as the motion, of {tokens} and {mu.shape[1]} "
                    "tokens here: stages 2 and 3 take a VAE with one number of tokens for all"
                )
            encoded = zip(mu.float().cpu(), logvar.float().cpu(), strict=True)
            rows.update(zip(places, encoded, strict=True))
        both = zip(*(rows[place] for place in range(len(clips))), strict=True)
        return dict(zip(("mu", "logvar"), map(torch.stack, both), strict=True))

    cached = cached_tensors(path, ("mu", "logvar"), len(clips), make)
    return cached["mu"], cached["logvar"]


def cached_texts(
    dataset: PackedDataset,
    split: str,
    fingerprint: str,
    embed: Callable[[list[str]], Tensor],
    batch_size: int = 256,
) -> tuple[Tensor, dict[str, int]]:
    """Embeddings (texts, words, dim) of every caption of a split and of the empty string.

    Returns them with the row of each text.
    """
    captions = {text for captions in dataset.split(split).captions for text in captions}
    texts = [NULL_TEXT, *sorted(captions - {NULL_TEXT})]
    rows = {text: row for row, text in enumerate(texts)}
    key = content_hash(fingerprint, *texts)[:16]
    path = dataset.folder / "cache" / f"text-{split}-{key}.safetensors"

    def make() -> dict[str, Tensor]:
        starts = range(0, len(texts), batch_size)
        shown = tqdm(starts, desc=f"embed {split} captions", unit="batch", disable=None)
        parts = [embed(texts[start : start + batch_size]).float().cpu() for start in shown]
        return {"embeddings": torch.cat(parts)}

    return cached_tensors(path, ("embeddings",), len(texts), make)["embeddings"], rows


def cached_array(
    path: Path, shape: tuple[int, ...], dtype: str, fill: Callable[[np.ndarray], None]
) -> np.ndarray:
    """The mapped array of a cache file, made by ``fill`` where it is missing or not whole."""
    with suppress(LeadError):
        array = map_floats(path, shape)
        if array.dtype == dtype:
            return array
    try:
        with atomic_path(path) as temporary:
            array = np.lib.format.open_memmap(temporary, "w+", dtype, shape)
            fill(array)
            array.flush()
        return map_floats(path, shape)
    except (OSError, LeadError) as error:
        _not_kept(path, error)
    array = np.empty(shape, dtype)
    fill(array)
    return array


def cached_tensors(
    path: Path, names: Sequence[str], rows: int, make: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """The tensors of a cache file, each of so many rows; made where it is missing or not whole."""
    if path.is_file():
        with suppress(LeadError):
            tensors = read_tensors(path)
            if all(name in tensors and tensors[name].shape[:1] == (rows,) for name in names):
                return tensors
    tensors = make()
    try:
        write_tensors(path, tensors)
    except (OSError, LeadError) as error:
        _not_kept(path, error)
    return tensors


def _not_kept(path: Path, error: Exception) -> None:
    reason = getattr(error, "strerror", None) or error
    _say_once(
        f"lead: encodings are not kept for the next time, {path.parent} cannot be written "
        f"({reason}): copy the dataset to a disk that can"
    )


@cache
def _say_once(text: str) -> None:
    tqdm.write(one_line(text), file=sys.stderr)
