"""The judge of an open data set: train the evaluator's networks on its captions and motions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from lead.core.building import build
from lead.core.freezing import freeze
from lead.core.schema import Count, one_of
from lead.core.seeding import make_generator
from lead.data.packed import PackedDataset
from lead.evaluation import metrics
from lead.evaluation.extractor.glove import read_glove
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.parts import judge_entry, keep_beside_weights
from lead.evaluation.extractor.words import Vocabulary, WordVectors, vocabulary_of
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.losses import check_finite
from lead.training.matching import LOSSES, contrastive_loss, margin_loss
from lead.training.optimization import Positive
from lead.training.pairs import (
    PairBatch,
    PairDataset,
    keep_pairs,
    share_a_caption,
    split_tokens,
)
from lead.training.processes import rows_of_batch
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest

POOL = 32  # of the protocol's retrieval
SHUFFLES = 10  # of the validation clips into pools


class EvaluatorOptions(StageOptions):
    """The loss, crops, and a folder with published word vectors."""

    loss: Annotated[str, one_of(LOSSES)] = "contrastive"
    margin: Positive = 10.0
    temperature: Positive = 1.0
    crop_min: Count = 0
    glove: str | None = None


class EvaluatorStage(Stage):
    """All three networks and the word vectors together, in 32-bit numbers.

    The published training took the movement encoder over from another model, frozen. ``loss`` is
    ``contrastive``, or ``margin`` as published.
    """

    options_type = EvaluatorOptions

    def __init__(
        self,
        extractor: FeatureExtractor,
        words: WordVectors,
        options: EvaluatorOptions,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        self.extractor, self.words = extractor, words
        self._seen: list[tuple[Tensor, Tensor]] = []

    @classmethod
    def set_up(cls, request: TrainRequest[EvaluatorOptions], dataset: PackedDataset) -> Prepared:
        """Networks for the data set's features, and the words of its captions or published ones."""
        glove = request.options.glove
        published = read_glove(Path(glove)) if glove else None
        train = dataset.split("train")
        tagger = "spacy" if published or _has_tokens(train.tokens) else "words"
        tokens = split_tokens(train, tagger)
        description = {**request.models["evaluator"], "features": dataset.skeleton.features}
        if published:
            vocabulary, words = published
            description["word_dim"] = words.vectors.shape[1]
            freeze(words)
        else:
            vocabulary = vocabulary_of(caption for clip in tokens for caption in clip)
        table = {"_target_": "word_vectors", "words": len(vocabulary.words)}
        table["dim"] = description["word_dim"]
        if not published:
            words = build("words", table, "model.evaluator")
        extractor = build("extractor", description, "model.evaluator")
        record = {
            "parts": {"extractor": description, "words": table},
            "parents": {},
            "judge": judge_entry(f"lead-{dataset.manifest.name}-{request.size}", tagger),
        }
        return Prepared(
            cls(extractor, words, request.options, request.seed),
            _pairs(request, dataset, tokens, vocabulary, tagger),
            record,
            lambda: keep_beside_weights(request.run, dataset.normalizer, vocabulary),
        )

    def training_step(self, batch: PairBatch, _index: int) -> Tensor:
        """One optimisation step."""
        text, motion = self._embed(batch)
        mentions = batch.mentions.to(self.device)
        loss = self._loss(*rows_of_batch(text, motion, mentions))  # rows are compared with all
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss

    def validation_step(self, batch: PairBatch, _index: int) -> None:
        """The same loss; vectors are kept for retrieval over the whole split."""
        text, motion = self._embed(batch)
        loss = self._loss(text, motion, batch.mentions.to(self.device))
        check_finite(loss, self.global_step, batch.ids)
        self.log("val/loss", loss, batch_size=len(batch.ids))
        self._seen.append((text.cpu(), motion.cpu()))

    def on_validation_epoch_end(self) -> None:
        """R-precision in pools of 32, a mean over several shuffles of the clips."""
        text, motion = (torch.cat(part).numpy() for part in zip(*self._seen, strict=True))
        self._seen = []
        pool, top = min(POOL, len(text)), min(3, len(text))
        shares = []
        for index in range(SHUFFLES):
            generator = make_generator(self.seed, "validation pools", index)
            order = torch.randperm(len(text), generator=generator).numpy()
            shares.append(metrics.r_precision(text[order], motion[order], pool, top))
        for rank, share in enumerate(sum(shares) / SHUFFLES, start=1):
            self.log(f"val/r_precision_{rank}", float(share))

    def _embed(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        captions = batch.captions
        with torch.autocast(self.device.type, enabled=False):
            text = self.extractor.embed_text(
                self.words(captions.ids), captions.pos_onehot, captions.lengths
            )
            return text, self.extractor.embed_motion(batch.x, batch.lengths)

    def _loss(self, text: Tensor, motion: Tensor, mentions: Tensor) -> Tensor:
        same = share_a_caption(mentions)
        with torch.autocast(self.device.type, enabled=False):
            if self.options.loss == "margin":
                return margin_loss(text, motion, same, self.options.margin)
            return contrastive_loss(text, motion, same, self.options.temperature)


def _has_tokens(tokens: Sequence[Sequence[str]]) -> bool:
    return all(own for clip in tokens for own in clip)


def _pairs(
    request: TrainRequest[EvaluatorOptions],
    dataset: PackedDataset,
    tokens: list,
    vocabulary: Vocabulary,
    tagger: str,
) -> StepDataModule:
    options, seed = request.options, request.seed
    crop_min = options.crop_min
    train = PairDataset(dataset, "train", tokens, vocabulary, crop_min=crop_min, seed=seed)
    split = validation_split(dataset)
    held_out = split_tokens(dataset.split(split), tagger)
    validation = PairDataset(dataset, split, held_out, vocabulary, seed=seed)
    return StepDataModule(
        *(train, train.frames, validation, validation.frames, keep_pairs),
        *(options.batch_size, request.trainer.max_steps, seed),
    )
