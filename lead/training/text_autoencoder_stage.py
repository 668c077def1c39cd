"""MoTe's TED: train the latents of sentences, and the language model that writes them again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.seeding import derive_seed
from lead.data.latents import keep
from lead.data.packed import PackedDataset
from lead.data.sentences import gather_sentences
from lead.data.words import CaptionWords, sentence_words
from lead.models.pretrained_language import language_sizes, load_language
from lead.models.sentence_pieces import SentencePieces, padded
from lead.models.text_autoencoder import TextAutoencoder
from lead.models.text_encoders import TextEncoder
from lead.training.datamodule import StepDataModule
from lead.training.losses import piece_loss
from lead.training.optimization import Share
from lead.training.processes import share_of_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest

MOST_VALIDATED = 2048  # sentences


class TextAutoencoderOptions(StageOptions):
    """Noise on latents, pieces left out of what is read, files of sentences, a ready model."""

    latent_noise: Annotated[float, Field(ge=0, le=10)] = 0.5
    piece_dropout: Share = 0.0
    sentences: list[str] = []
    language_model: str | None = None


@dataclass
class SentenceBatch:
    """Sentences in the text encoder's vectors, the pooled one first, and in pieces."""

    text: Tensor  # (batch, words, text_dim)
    word_mask: Tensor  # (batch, words)
    pieces: Tensor  # (batch, pieces)
    lengths: Tensor  # (batch,) of pieces
    ids: list[str]  # the sentences themselves

    def to(self, device) -> "SentenceBatch":
        """The same batch on another device."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "SentenceBatch":
        """In memory that a GPU fetches from without anyone waiting."""
        return self._changed(Tensor.pin_memory)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> "SentenceBatch":
        tensors = (self.text, self.word_mask, self.pieces, self.lengths)
        return SentenceBatch(*map(change, tensors), self.ids)


class SentenceDataset(Dataset):
    """Sentences with their vectors and pieces, served a batch of (step, place) at once."""

    def __init__(self, texts: Sequence[str], words: CaptionWords, ids: list[list[int]], end: int):
        self.texts, self.words, self.ids, self.end = texts, words, ids, end
        self.rows = [words.rows[text] for text in texts]
        self.lengths = np.array([len(row) for row in ids])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> SentenceBatch:
        """The batch of one step."""
        places = [place for _, place in indices]
        text, word_mask = self.words.batch([self.rows[place] for place in places])
        pieces = padded([self.ids[place] for place in places], self.end)
        return SentenceBatch(text, word_mask, *pieces, [self.texts[place] for place in places])


class TextAutoencoderStage(Stage):
    """Cross entropy of the pieces of each sentence, written after a prefix that tells nothing.

    Each latent gets noise of a deviation of its sentence's own, from none to ``latent_noise`` times
    that of an entry: what a diffusion draws near a latent is read as well. With ``piece_dropout`` a
    share of the pieces is hidden from the language model, which then looks into its prefix.
    """

    options_type = TextAutoencoderOptions
    purpose = "sentences"

    def __init__(
        self, text_autoencoder: TextAutoencoder, options: TextAutoencoderOptions, seed: int = 0
    ):
        super().__init__(options, seed)
        self.text_autoencoder = text_autoencoder

    @classmethod
    def set_up(
        cls, request: TrainRequest[TextAutoencoderOptions], dataset: PackedDataset
    ) -> Prepared:
        """A network for the text encoder; its vocabulary is GPT-2's or learned from sentences."""
        options, description = request.options, dict(request.models["text_autoencoder"])
        sentences = gather_sentences(dataset, options.sentences)
        if not sentences.train:
            raise RequestError(f"{dataset.folder} has no captions to train on: name sentences")
        if options.language_model:
            pieces, sizes = language_sizes(options.language_model)
        else:
            pieces = SentencePieces.learned(sentences.train, description["vocabulary"])
            sizes = {"vocabulary": len(pieces), "end": pieces.end}
        description |= sizes
        longest = description.get("longest", 96) - description.get("latent_tokens", 8)
        if longest < 1:
            raise RequestError("model.text_autoencoder: longest leaves no place behind the prefix")
        with torch.random.fork_rng():  # filling a cache draws random numbers
            encoder = build("text_encoder", request.text_encoder, "text_encoder")
            train, validation = (
                _data(dataset, encoder, name, texts, pieces, longest)
                for name, texts in (("train", sentences.train), ("val", _some(sentences.val)))
            )
        scales = zip(("text_scale", "word_scale"), train.words.scales(), strict=True)
        description |= {"text_dim": encoder.dim, **dict(scales)}
        network = build("text_autoencoder", description, "model.text_autoencoder")
        if options.language_model:
            load_language(options.language_model, network.language)
        data = StepDataModule(
            *(train, train.lengths, validation, validation.lengths, keep),
            *(options.batch_size, request.trainer.max_steps, request.seed),
        )
        record = {
            "parts": {"text_autoencoder": description},
            "parents": {},
            "text_encoder": dict(request.text_encoder),
            "text_fingerprint": encoder.fingerprint,
            "sentences": {"train": len(train), "unseen": len(sentences.unseen)},
        }
        module = cls(network, options, request.seed)
        return Prepared(module, data, record, lambda: pieces.keep(request.run))

    def losses(self, batch: SentenceBatch, index: int | None) -> dict[str, Tensor]:
        """With noise on the latents in training; and the share of pieces that are the likeliest."""
        loss, right = self._loss(batch, self.draws(None) if index is None else None)
        if index is None:
            loss = loss * share_of_batch(batch.lengths.sum())
        return {"loss": loss, "right": right}

    def _loss(self, batch: SentenceBatch, draws: StepDraws | None) -> tuple[Tensor, Tensor]:
        network, options = self.text_autoencoder, self.options
        latents, ids = network.encode(batch.text, batch.word_mask), batch.pieces
        if draws is not None:
            deviation = options.latent_noise * draws.uniform((len(latents), 1, 1))
            latents = latents + deviation * draws.normal(latents.shape)
            if options.piece_dropout:
                # By the longest sentence there may be, so that a row's draws are its own.
                hidden = draws.uniform((len(ids), network.longest))[:, : ids.shape[1]]
                ids = ids.masked_fill(hidden < options.piece_dropout, network.end)
        return piece_loss(network(latents, ids).float(), batch.pieces, batch.lengths)


def _data(
    dataset: PackedDataset,
    encoder: TextEncoder,
    name: str,
    texts: Sequence[str],
    pieces: SentencePieces,
    longest: int,
) -> SentenceDataset:
    def embed(some: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        made = encoder.encode(some)
        return made.tokens, made.mask, made.pooled

    words = sentence_words(dataset, f"sentences-{name}", texts, encoder.fingerprint, embed)
    return SentenceDataset(texts, words, pieces.encode(texts, longest), pieces.end)


def _some(texts: Sequence[str]) -> Sequence[str]:
    """At most so many of them, the same always."""
    return sorted(texts, key=lambda text: derive_seed(0, text))[:MOST_VALIDATED]
