"""How a judge reads captions while it is trained: word by word, or as whole sentences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lead.core.building import build
from lead.core.freezing import freeze
from lead.data.packed import PackedDataset
from lead.data.shared_captions import Readable
from lead.evaluation.extractor.glove import read_glove
from lead.evaluation.extractor.parts import SENTENCES
from lead.evaluation.extractor.words import (
    EncodedCaptions,
    Vocabulary,
    WordVectors,
    vocabulary_of,
)
from lead.training.clip_captions import pooled_captions
from lead.training.pairs import split_tokens
from lead.training.stage import TrainRequest

Places = Sequence[Sequence[int]]
"""Which captions of each clip."""


@dataclass(frozen=True)
class CaptionReader:
    """``encode`` turns the captions of a split, those at some places of each clip, into arrays.

    ``width`` is that of a word's or sentence's vector, ``record`` what run.json holds of it.
    """

    width: int
    tagger: str
    encode: Callable[[str, Places], EncodedCaptions | Tensor]
    words: WordVectors | None = None
    vocabulary: Vocabulary | None = None
    parts: dict = field(default_factory=dict)
    record: dict = field(default_factory=dict)


def read_words(request: TrainRequest, dataset: PackedDataset, readable: Readable) -> CaptionReader:
    """Words of the readable captions, learned with the judge, or published and frozen."""
    glove = request.options.glove
    published = read_glove(Path(glove)) if glove else None
    has_tokens = all(own for clip in dataset.split("train").tokens for own in clip)
    tagger = "spacy" if published or has_tokens else "words"

    def tokens(split: str, places: Places) -> list[list[str]]:
        tagged = split_tokens(dataset.split(split), tagger)
        return [tagged[clip][place] for clip, own in enumerate(places) for place in own]

    if published:
        vocabulary, words = published
        freeze(words)
        width = words.vectors.shape[1]
    else:
        vocabulary = vocabulary_of(tokens("train", readable.places))
        width = request.models["evaluator"]["word_dim"]
    table = {"_target_": "word_vectors", "words": len(vocabulary.words), "dim": width}
    if not published:
        words = build("words", table, "model.evaluator")

    def encode(split: str, places: Places) -> EncodedCaptions:
        return vocabulary.encode(tokens(split, places))

    return CaptionReader(width, tagger, encode, words, vocabulary, {"words": table})


def read_sentences(request: TrainRequest, dataset: PackedDataset) -> CaptionReader:
    """Vectors of whole sentences by the text encoder, from the cache that other stages use."""
    with torch.random.fork_rng():  # filling a cache draws random numbers
        encoder = build("text_encoder", request.text_encoder, "text_encoder")

    def encode(split: str, places: Places) -> Tensor:
        vectors, rows = pooled_captions(dataset, split, encoder)
        captions = dataset.split(split).captions
        chosen = [rows[captions[clip][place]] for clip, own in enumerate(places) for place in own]
        return vectors[chosen, 0]

    record = {"text_encoder": {**request.text_encoder}, "text_fingerprint": encoder.fingerprint}
    return CaptionReader(encoder.dim, SENTENCES, encode, record=record)
