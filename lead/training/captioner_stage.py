"""MoTe's captions: the half of TED that writes learns from the latents that the diffusion draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from lead.core.batches import LatentBatch
from lead.core.freezing import freeze
from lead.core.sizes import Timesteps
from lead.data.latents import TimedLatents
from lead.data.packed import PackedDataset
from lead.diffusion.schedules import NoiseSchedule
from lead.generation.joint_sampling import Steps, sample_sentence
from lead.generation.sampling import visited_timesteps
from lead.models.joint_denoiser import JointDenoiser
from lead.models.sentence_pieces import SentencePieces, padded
from lead.models.text_autoencoder import TextAutoencoder
from lead.representation.normalizer import Normalizer
from lead.training.earlier_runs import earlier_run
from lead.training.joint_inputs import JointInputs
from lead.training.losses import piece_loss
from lead.training.optimization import Share
from lead.training.processes import share_of_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest


class CaptionerOptions(StageOptions):
    """The share of rows that are drawn, by how many steps and how guided; noise on the others."""

    drawn: Share = 0.6
    steps: Timesteps = 10
    guidance_scale: Annotated[float, Field(ge=-1000, le=1000)] = 5.0
    latent_noise: Annotated[float, Field(ge=0, le=10)] = 0.5


@dataclass
class ToldBatch:
    """Latents of motions and of a caption each, and the caption in pieces."""

    clips: LatentBatch
    pieces: Tensor  # (batch, pieces)
    lengths: Tensor  # (batch,) of pieces

    @property
    def ids(self) -> list[str]:
        """Of the clips."""
        return self.clips.ids

    def to(self, device) -> "ToldBatch":
        """The same batch on another device."""
        moved = (of.to(device, non_blocking=True) for of in (self.pieces, self.lengths))
        return ToldBatch(self.clips.to(device), *moved)

    def pin_memory(self) -> "ToldBatch":
        """In memory that a GPU fetches from without anyone waiting."""
        own = (self.clips, self.pieces, self.lengths)
        return ToldBatch(*(of.pin_memory() for of in own))


class ToldLatents(Dataset):
    """The batches of ``clips`` with the pieces of the captions that were drawn for them."""

    def __init__(self, clips: TimedLatents, encode: Callable[[list[str]], list[list[int]]]):
        rows = clips.words.rows
        self.clips, self.pieces = clips, encode(sorted(rows, key=rows.__getitem__))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> ToldBatch:
        """The batch of one step."""
        _, rows = self.clips.drawn(indices)
        pieces = [self.pieces[row] for row in rows]
        return ToldBatch(self.clips.__getitems__(indices), *padded(pieces, pieces[0][-1]))


class CaptionerStage(Stage):
    """Cross entropy of a caption's pieces behind latents that the diffusion draws of its motion.

    What a diffusion draws lies beside what sentences are encoded to, and a language model that has
    seen only these writes broken sentences of it. So the half that writes goes on learning, with a
    share ``drawn`` of latents from the frozen diffusion, anew in each step; the others are the
    captions' own with noise, as TED learned. The half that reads, and all latents, stay as they
    are. Validation is on drawn latents alone.
    """

    options_type = CaptionerOptions
    purpose = "captions"

    def __init__(
        self,
        text_autoencoder: TextAutoencoder,
        diffusion: JointDenoiser,
        schedule: NoiseSchedule,
        statistics: Normalizer,
        options: CaptionerOptions,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        self.text_autoencoder, self.schedule = text_autoencoder, schedule
        for part in (text_autoencoder.reading, text_autoencoder.to_latents):
            part.requires_grad_(False)
        text_autoencoder.queries.requires_grad_(False)
        self._frozen = (diffusion, statistics)  # in a tuple: no state of the trainer holds them
        timesteps = visited_timesteps("ddim", options.steps, None, schedule)
        self.steps = Steps(schedule, timesteps, options.guidance_scale)

    @classmethod
    def set_up(cls, request: TrainRequest[CaptionerOptions], dataset: PackedDataset) -> Prepared:
        """The text auto-encoder of the run that ``joint_diffusion`` names, and its latents."""
        run = earlier_run(request, "joint_diffusion", dataset, "joint_diffusion=RUN")
        motions, sentences = (run.ancestor(stage) for stage in ("vae", "text_autoencoder"))
        with torch.random.fork_rng():  # filling a cache draws random numbers
            inputs = JointInputs(request, dataset, motions, sentences, like=run)
            data = inputs.data()
        network = sentences.load_part("text_autoencoder")
        pieces = SentencePieces.read(sentences.folder)
        longest = network.longest - network.latent_tokens
        for name in ("train", "validation"):
            told = ToldLatents(getattr(data, name), lambda texts: pieces.encode(texts, longest))
            setattr(data, name, told)
        diffusion = freeze(run.load_part("joint_denoiser"))
        schedule, of_sentences = run.build_part("schedule"), inputs.of_sentences
        own = (network, diffusion, schedule, of_sentences, request.options, request.seed)
        parts = {"text_autoencoder": sentences.description("text_autoencoder")}
        made = inputs.prepared(cls(*own), data, parts, run)
        made.record["sampling"] = run.record.sampling
        return replace(made, keep=lambda: pieces.keep(request.run))

    def on_fit_start(self) -> None:
        """The frozen parts go along to the device."""
        super().on_fit_start()
        self._frozen = tuple(part.to(self.device) for part in self._frozen)
        self.steps = replace(self.steps, schedule=self.schedule)

    def losses(self, batch: ToldBatch, index: int | None) -> dict[str, Tensor]:
        """In training of drawn and own latents, in validation of drawn ones."""
        latents = self.latents(batch.clips, self.draws(index), index is not None)
        logits = self.text_autoencoder(latents, batch.pieces).float()
        loss, right = piece_loss(logits, batch.pieces, batch.lengths)
        if index is None:
            loss = loss * share_of_batch(batch.lengths.sum())
        return {"loss": loss, "right": right}

    @torch.no_grad()
    def latents(self, batch: LatentBatch, draws: StepDraws, all_drawn: bool) -> Tensor:
        """Latents (batch, tokens, dim) as the text auto-encoder gives them, drawn or with noise."""
        diffusion, statistics = self._frozen
        y = batch.sentence
        drawn = draws.uniform((len(y),)) < self.options.drawn
        drawn |= torch.full_like(drawn, all_drawn)
        deviation = self.options.latent_noise * draws.uniform((len(y), 1, 1))
        noise = draws.normal(y.shape)
        own = statistics.denormalize(y.flatten(1)).view(y.shape) + deviation * noise
        if not drawn.any():
            return own
        given = torch.ones(int(drawn.sum()), dtype=torch.bool, device=y.device)
        motion, mask = batch.mu[drawn], None if batch.mask is None else batch.mask[drawn]
        made = sample_sentence(diffusion, noise[drawn], motion, given, self.steps, mask).float()
        own[drawn] = statistics.denormalize(made.flatten(1)).view(made.shape)
        return own
