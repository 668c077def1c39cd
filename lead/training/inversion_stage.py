"""Motion textual inversion (LEAD section 4.2): everything frozen but one vector per word."""

from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from torch import Tensor, nn

from lead.core.errors import RequestError, WorkError
from lead.core.masks import lengths_to_mask
from lead.core.seeding import make_generator
from lead.data.clips import pad_clips
from lead.generation import MotionModel
from lead.generation.motion_coder import joined
from lead.inversion.concepts import (
    Concept,
    Draw,
    Exemplar,
    check_distinct,
    check_word,
    draw,
    windows,
)
from lead.inversion.objectives import Noised
from lead.inversion.options import InversionOptions
from lead.inversion.word import Word

MEASURED_BATCHES = 4


class InversionStage(pl.LightningModule):
    """Learns one vector per word; words share the steps but nothing else.

    Each word has its own stream of random numbers, and the loss is a sum over words, so that a
    word comes out the same (up to rounding) in whatever company it is learned. The frozen networks
    belong to ``model`` and are no part of this module: its only parameter is ``vectors``, in units
    of each starting vector's root mean square.
    """

    def __init__(
        self,
        model: MotionModel,
        exemplars: Sequence[Exemplar],
        options: InversionOptions,
        seed: int = 0,
    ):
        super().__init__()
        self.model, self.exemplars, self.options, self.seed = model, exemplars, options, seed
        last = model.noise_levels - 1
        if options.timestep_max > last:
            raise RequestError(
                f"timestep_max={options.timestep_max}, but the last timestep of the run is {last}"
            )
        starts = torch.stack(
            [model.text_encoder.word_vector(e.concept.init).float() for e in exemplars]
        )
        self.register_buffer("scale", starts.square().mean(dim=1, keepdim=True).sqrt())
        self.vectors = nn.Parameter(starts / self.scale)
        self.register_buffer("total", torch.zeros_like(starts))
        self.kept = max(1, round(options.averaged * options.steps))

    def words(self) -> dict[str, Tensor]:
        """The vector (width,) of each word as it is now."""
        names = [exemplar.concept.word for exemplar in self.exemplars]
        return dict(zip(names, self.vectors * self.scale, strict=True))

    def training_step(self, step: int, _index: int) -> Tensor:
        """One optimisation step: the loss of each word is averaged, the words are summed."""
        losses = self._losses(self._draws("step", int(step)))
        self._check_finite(losses, int(step))
        self.log("loss", losses.mean(), prog_bar=True, logger=False, batch_size=len(losses))
        return losses.sum()

    @torch.no_grad()
    def on_train_batch_end(self, *_: object) -> None:
        """Sum the vectors of the last ``kept`` steps; behind the last of all, take their mean."""
        if self.global_step > self.options.steps - self.kept:
            self.total += self.vectors
        if self.global_step == self.options.steps:
            self.vectors.copy_(self.total / self.kept)

    @torch.no_grad()
    def measure(self) -> Tensor:
        """Loss of each word (words,) on draws that are equal every time, timesteps evenly apart."""
        low, high = self.options.timestep_min, self.options.timestep_max
        count = MEASURED_BATCHES * self.options.batch_size
        even = torch.linspace(low, high, count).round().long().reshape(-1, MEASURED_BATCHES)
        rows = []
        for number in range(MEASURED_BATCHES):
            draws = self._draws("measure", number)
            for drawn in draws:
                drawn.timestep.copy_(even[:, number])
            rows.append(self._losses(draws))
        return torch.stack(rows).mean(dim=0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over the vectors."""
        return torch.optim.Adam([self.vectors], lr=self.options.lr)

    def _draws(self, *purpose: object) -> list[Draw]:
        limits = (self.options.timestep_min, self.options.timestep_max)
        return [
            draw(
                exemplar,
                self.options.batch_size,
                limits,
                make_generator(self.seed, "inversion", exemplar.concept.word, *purpose),
            )
            for exemplar in self.exemplars
        ]

    def _losses(self, draws: Sequence[Draw]) -> Tensor:
        """Mean loss of each word (words,)."""
        sentences = [
            exemplar.concept.sentence(template, exemplar.motions[window])
            for exemplar, drawn in zip(self.exemplars, draws, strict=True)
            for template, window in zip(drawn.templates, drawn.windows.tolist(), strict=True)
        ]
        rows = self.model.word_loss(self._batch(draws), sentences, self.words(), self.options)
        return rows.reshape(len(draws), -1).mean(dim=1)

    def _batch(self, draws: Sequence[Draw]) -> Noised:
        pairs = list(zip(self.exemplars, draws, strict=True))
        clean = joined([e.mu[d.windows] for e, d in pairs])
        if self.options.latent == "sample":
            deviation = joined([(0.5 * e.logvar[d.windows]).exp() for e, d in pairs])
            clean = clean + deviation * joined([d.posterior_noise for d in draws])
        return Noised(
            clean=clean.to(self.device),
            noise=joined([d.noise for d in draws]).to(self.device),
            timestep=torch.cat([d.timestep for d in draws]).to(self.device),
            mask=lengths_to_mask(torch.cat([e.frames[d.windows] for e, d in pairs])).to(
                self.device
            ),
        )

    def _check_finite(self, losses: Tensor, step: int) -> None:
        for exemplar, loss in zip(self.exemplars, losses, strict=True):
            if not torch.isfinite(loss):
                raise WorkError(
                    f"the loss of {exemplar.concept.word} is not finite at step {step}: lower "
                    "inversion.lr, or inversion.timestep_max"
                )


def invert(
    concepts: Sequence[Concept],
    model: MotionModel,
    options: InversionOptions,
    *,
    seed: int = 0,
    progress: bool = False,
) -> list[Word]:
    """Learn a word for each concept, all of them in one optimisation (LEAD section 4.2).

    The words come back in the order of the concepts and are those of one-by-one inversions to about
    1e-5. No part of ``model`` changes. Raises RequestError for motions, words and starting words
    that cannot be used, WorkError where a loss is not finite.
    """
    model.need("learn_words")
    check_distinct(concepts)
    for concept in concepts:
        check_word(concept, model.text_encoder)
        model.text_encoder.word_vector(concept.init)
    exemplars = [encode_windows(concept, model, options, seed) for concept in concepts]
    words: list[Word] = []
    for start in range(0, len(exemplars), options.at_once):
        chosen = exemplars[start : start + options.at_once]
        words += _optimise(InversionStage(model, chosen, options, seed), progress)
    return words


@torch.no_grad()
def encode_windows(
    concept: Concept, model: MotionModel, options: InversionOptions, seed: int
) -> Exemplar:
    """The posteriors of a concept's windows, which the optimisation draws from (on the CPU)."""
    width = model.skeleton.features
    for motion, source in zip(concept.motions, concept.sources, strict=True):
        if motion.shape[1] != width:
            raise RequestError(
                f"{source} has {motion.shape[1]} features a frame, the run takes {width} "
                f"(skeleton '{model.skeleton.name}')"
            )
    cut = windows(concept, options.windows, options.window_min, model.frame_limits, seed)
    batch = pad_clips([(concept.word, np.float32(window)) for window in cut]).to(model.device)
    mu, logvar = model.posterior(batch.x, batch.mask)
    frames = torch.tensor([len(window) for window in cut])
    owners = tuple(place // options.windows for place in range(len(cut)))
    return Exemplar(concept, mu.float().cpu(), logvar.float().cpu(), frames, owners)


class _InterruptLetThrough(pl.Callback):
    """Lightning would end the process on Ctrl-C by itself; the command has its own way."""

    def on_exception(self, trainer, module, exception: BaseException) -> None:  # noqa: ARG002
        """Called with whatever ended the optimisation."""
        if isinstance(exception, KeyboardInterrupt):
            raise exception


def _optimise(stage: InversionStage, progress: bool) -> list[Word]:
    device = stage.model.device
    stage.to(device)
    before = stage.measure()
    callbacks: list[pl.Callback] = [_InterruptLetThrough()]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=1))
    trainer = pl.Trainer(
        max_steps=stage.options.steps,
        accelerator="cpu" if device.type == "cpu" else device.type,
        devices=1 if device.type == "cpu" else [device.index or 0],
        precision="32-true",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=progress,
        callbacks=callbacks,
    )
    trainer.fit(stage, train_dataloaders=range(stage.options.steps))
    stage.to(device)
    return _as_words(stage, before, stage.measure())


def _as_words(stage: InversionStage, before: Tensor, after: Tensor) -> list[Word]:
    model, options = stage.model, stage.options
    run = model.weights_hash()
    vectors = stage.words()
    words = []
    for place, exemplar in enumerate(stage.exemplars):
        concept = exemplar.concept
        about = {
            "encoder_name": model.text_encoder.name,
            "run": run,
            "init": concept.init,
            **{key: getattr(options, key) for key in options.__dataclass_fields__},
            "seed": stage.seed,
            "loss_before": float(before[place]),
            "loss_after": float(after[place]),
            "templates": list(concept.templates),
            "actions": list(concept.actions),
            "sources": list(concept.sources),
            "licence": concept.licence,
        }
        vector = vectors[concept.word].detach().cpu().clone()
        words.append(Word(concept.word, vector, model.text_encoder.fingerprint, about))
    return words
