"""The judge of an open data set: train the evaluator's networks on its captions and motions."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from lead.core.building import build, known_name
from lead.core.schema import Count, one_of
from lead.core.seeding import make_generator
from lead.data.caption_kinds import KIND
from lead.data.latents import keep
from lead.data.packed import PackedDataset
from lead.data.shared_captions import Readable, readable_captions
from lead.evaluation import metrics
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.open_networks import OpenExtractor
from lead.evaluation.extractor.parts import judge_entry, keep_beside_weights
from lead.evaluation.extractor.words import EncodedCaptions, WordVectors
from lead.training.caption_readers import CaptionReader, read_sentences, read_words
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.matching import LOSSES, contrastive_loss, margin_loss
from lead.training.optimization import Positive
from lead.training.pairs import (
    PairBatch,
    PairDataset,
    share_a_caption,
)
from lead.training.processes import rows_of_batch
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest

OPEN = "open_extractor"  # the networks that read whole sentences
POOL = 32  # of the protocol's retrieval
SHUFFLES = 10  # of the validation clips into pools


class EvaluatorOptions(StageOptions):
    """The loss, crops, a folder with published word vectors, how often kinds of captions come."""

    loss: Annotated[str, one_of(LOSSES)] = "contrastive"
    margin: Positive = 10.0
    temperature: Positive = 1.0
    crop_min: Count = 0
    glove: str | None = None
    often: dict[str, Positive] = {}


class EvaluatorStage(Stage):
    """All networks together, with the word vectors where words are read.

    The published networks train in 32-bit numbers, the open ones in those of the trainer. The
    published training took the movement encoder over from another model, frozen. ``loss`` is
    ``contrastive``, or ``margin`` as published.
    """

    options_type = EvaluatorOptions

    def __init__(
        self,
        extractor: FeatureExtractor | OpenExtractor,
        words: WordVectors | None,
        options: EvaluatorOptions,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        self.extractor, self.words = extractor, words
        self._seen: list[tuple[Tensor, Tensor]] = []

    @classmethod
    def set_up(cls, request: TrainRequest[EvaluatorOptions], dataset: PackedDataset) -> Prepared:
        """Networks for the data set's features, and what reads its captions.

        No caption of a test clip is read in training (``lead.data.shared_captions``).
        """
        readable = readable_captions(dataset)
        description = {**request.models["evaluator"], "features": dataset.skeleton.features}
        if known_name("extractor", description.get("_target_")) == OPEN:
            reader = read_sentences(request, dataset)
        else:
            reader = read_words(request, dataset, readable)
        description["word_dim"] = reader.width
        extractor = build("extractor", description, "model.evaluator")
        captions = reader.encode("train", readable.places)
        if isinstance(extractor, OpenExtractor):
            extractor.fit(captions)
        record = {
            "parts": {"extractor": description, **reader.parts},
            "parents": {},
            "judge": judge_entry(f"lead-{dataset.manifest.name}-{request.size}", reader.tagger),
            "captions": {"left_out": dict(readable.left_out), "lines_kept": dict(readable.lines)},
            **reader.record,
        }
        return Prepared(
            cls(extractor, reader.words, request.options, request.seed),
            _pairs(request, dataset, reader, readable, captions),
            record,
            lambda: keep_beside_weights(request.run, dataset.normalizer, reader.vocabulary),
        )

    def losses(self, batch: PairBatch, index: int | None) -> dict[str, Tensor]:
        """In validation vectors are kept for retrieval over the whole split."""
        text, motion = self._embed(batch)
        rows = (text, motion, batch.mentions.to(self.device))
        if index is None:
            rows = rows_of_batch(*rows)  # each is compared with those of all processes
        else:
            self._seen.append((text.cpu(), motion.cpu()))
        return {"loss": self._loss(*rows)}

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
        if self.words is None:
            text = self.extractor.embed_text(captions)
            return text.float(), self.extractor.embed_motion(batch.x, batch.lengths).float()
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


def _pairs(
    request: TrainRequest[EvaluatorOptions],
    dataset: PackedDataset,
    reader: CaptionReader,
    readable: Readable,
    captions: EncodedCaptions | Tensor,
) -> StepDataModule:
    options, seed, places = request.options, request.seed, readable.places
    train = PairDataset(dataset, "train", captions, places, crop_min=options.crop_min, seed=seed)
    split = validation_split(dataset)
    every = [range(len(own)) for own in dataset.split(split).captions]
    validation = PairDataset(dataset, split, reader.encode(split, every), every, seed=seed)
    labels = train.clips.split.labels
    often = [
        options.often.get(own.get(KIND, ""), 1) if readable else 0
        for own, readable in zip(labels, places, strict=True)
    ]
    return StepDataModule(
        *(train, train.frames, validation, validation.frames, keep),
        *(options.batch_size, request.trainer.max_steps, seed),
        weights=train.clips.split.weights * np.array(often),
    )
