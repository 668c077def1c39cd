"""The judge of an open data set: train the evaluator's networks on its captions and motions."""

from typing import Annotated

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lead.core.freezing import trainable_parameters
from lead.core.schema import one_of
from lead.core.seeding import make_generator
from lead.evaluation import metrics
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.open_networks import OpenExtractor
from lead.evaluation.extractor.words import WordVectors
from lead.training.losses import check_finite
from lead.training.matching import LOSSES, contrastive_loss, margin_loss
from lead.training.optimization import Positive, make_optimizer
from lead.training.pairs import PairBatch, share_a_caption
from lead.training.processes import rows_of_batch

POOL = 32  # of the protocol's retrieval
SHUFFLES = 10  # of the validation clips into pools


class EvaluatorStage(pl.LightningModule):
    """All networks together, with the word vectors where words are read.

    The published networks train in 32-bit numbers, the open ones in those of the trainer. The
    published training took the movement encoder over from another model, frozen. ``loss`` is
    ``contrastive``, or ``margin`` as published.
    """

    def __init__(
        self,
        extractor: FeatureExtractor | OpenExtractor,
        words: WordVectors | None,
        optimizer: dict,
        loss: Annotated[str, one_of(LOSSES)] = "contrastive",
        margin: Positive = 10.0,
        temperature: Positive = 1.0,
        seed: int = 0,
    ):
        super().__init__()
        self.extractor, self.words = extractor, words
        self.optimizer_options, self.seed = optimizer, seed
        self.loss, self.margin, self.temperature = loss, margin, temperature
        self._seen: list[tuple[Tensor, Tensor]] = []

    def parts(self) -> dict[str, nn.Module]:
        """What a run keeps of this stage."""
        words = {} if self.words is None else {"words": self.words}
        return {"extractor": self.extractor, **words}

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
            if self.loss == "margin":
                return margin_loss(text, motion, same, self.margin)
            return contrastive_loss(text, motion, same, self.temperature)

    def configure_optimizers(self) -> dict:
        """AdamW over the networks, and over the word vectors where these are learned."""
        return make_optimizer(trainable_parameters(self).values(), **self.optimizer_options)
