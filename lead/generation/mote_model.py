"""MoTe: motions and sentences by one diffusion, in both directions, jointly and apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.data.cache import NULL_TEXT
from lead.data.clips import padded_batches
from lead.diffusion.forward import add_noise
from lead.diffusion.schedules import NoiseSchedule
from lead.generation.joint_sampling import (
    Steps,
    likeliest,
    motion_errors,
    sample_both,
    sample_motion,
    sample_sentence,
)
from lead.generation.lead_model import VaeCoder, load_coder
from lead.generation.motion_model import (
    TELLING,
    Caption,
    CodedModel,
    GeneratedMotion,
    Sampling,
    Sentences,
    known_captions,
    latent_noise,
    load_text_encoder,
    padded,
)
from lead.generation.sampling import visited_timesteps
from lead.generation.sentence_coder import SentenceCoder, load_sentence_coder
from lead.inversion.objectives import WEIGHTINGS, Noised, check_own_loss
from lead.models.joint_denoiser import JointDenoiser
from lead.representation.normalizer import load_normalizer

CAPTIONED = 32  # motions at once


@dataclass(frozen=True, kw_only=True)
class MoteModel(CodedModel):
    """The diffusion with both coders: ``coder`` of motions, ``sentences`` of text."""

    title: ClassVar[str] = "MoTe"
    coder: VaeCoder
    sentences: SentenceCoder
    network: JointDenoiser
    schedule: NoiseSchedule

    @property
    def networks(self) -> tuple[nn.Module | None, ...]:
        """The diffusion, and all of both coders."""
        return self.network, *self.coder.modules(), *self.sentences.modules()

    @property
    def noise_levels(self) -> int:
        """Timesteps of the schedule."""
        return self.schedule.num_train_timesteps

    @property
    def abilities(self) -> frozenset[str]:
        """It rebuilds motions, learns words, writes captions, and makes both or either alone."""
        return frozenset({"rebuild", "learn_words", "caption", "make"})

    def reading_time(self, arguments: tuple) -> Tensor | None:
        """The network is called once with the sentence and once without."""
        return arguments[0].timestep if len(arguments) > 2 else None

    def can(self, ability: str) -> bool:
        """As all; where motion also reads latents of sentences by attention, words are not told."""
        told = ability != "attention" or self.network.interaction != "cross_attention"
        return told and super().can(ability)

    def modules(self) -> list[nn.Module]:
        """Those of all parts."""
        return [*super().modules(), *self.sentences.modules()]

    def prepared(self, precision: str = "fp32", compiled: bool = False) -> "MoteModel":
        """The same model, whose diffusion computes in ``precision``; fp32 is as it was trained."""
        if compiled:
            raise RequestError("compiled=true is for diffusion runs: leave it out with MoTe's")
        return replace(self, precision=precision)

    def calls(self, sampling: Sampling) -> int:
        """With guidance the network is called twice a step."""
        return super().calls(sampling) * (1 if sampling.guidance_scale == 1 else 2)

    def check_sampling(self, sampling: Sampling) -> None:
        """RequestError for a sampler, steps or timesteps that no diffusion has."""
        self._steps(sampling)

    @torch.no_grad()
    def sample(
        self,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Sampling,
        *,
        project: bool = False,
        condition: Sentences | None = None,
    ) -> Tensor:
        """Latents (batch, tokens, channels), zero past those of each motion.

        An empty text is no condition: motion alone.
        """
        if project:
            self.need("project")
        read = self.embed([*texts, NULL_TEXT]) if condition is None else condition
        words, word_mask = padded(read[:-1])
        noise, mask = self._motion_noise(texts, frames, seeds, words.device)
        given = torch.tensor([bool(text.strip()) for text in texts], device=words.device)
        sentence = self.sentences.encode(words, word_mask)
        with self.fast(words.device):
            return sample_motion(
                *(self.network, noise, sentence, given, self._steps(sampling)),
                *(mask, words, word_mask),
            ).float()

    @torch.no_grad()
    def make(
        self, task: str, frames: Sequence[int], seeds: Sequence[int], sampling: Sampling
    ) -> list[GeneratedMotion]:
        """Clips of no sentence (``task`` "motion"), or each with its own ("joint")."""
        texts = [NULL_TEXT] * len(frames)
        if task == "motion":
            z = self.sample(texts, frames, seeds, sampling)
            return self._clips(z, texts, frames, seeds, sampling)
        noise, mask = self._motion_noise(texts, frames, seeds, self.device)
        steps = self._steps(sampling)
        with self.fast(noise.device):
            z, y = sample_both(self.network, noise, self._text_noise(seeds), steps, mask)
        written = [caption.text for caption in self.sentences.write(y.float())]
        return self._clips(z.float(), written, frames, seeds, sampling)

    @torch.no_grad()
    def vary(
        self,
        clip: np.ndarray,
        seeds: Sequence[int],
        sampling: Sampling,
        by: str = "text",
        strength: float = 0.5,
    ) -> list[GeneratedMotion]:
        """Clips as long as ``clip``: of its captions, or of its latents with some noise on them.

        ``strength`` is the share of the timesteps that are undone: 0 rebuilds, 1 is a new motion.
        """
        count = len(seeds)
        clip = clip[: self.frame_limits[1]]
        frames = [len(clip)] * count
        if by == "text":
            said = self.caption([clip] * count, seeds, sampling=sampling)
            texts = [captions[0].text or "a person moves" for captions in said]
            return self.generate(texts, frames, seeds, sampling)
        x = torch.tensor(clip, device=self.device)[None]
        z, _ = self.posterior(x, torch.ones_like(x[..., 0], dtype=torch.bool))
        texts = [NULL_TEXT] * count
        noise, mask = self._motion_noise(texts, frames, seeds, z.device)
        steps = self._steps(sampling, strength)
        if steps.timesteps:
            noised = add_noise(z.expand_as(noise), noise, steps.timesteps[0], self.schedule)
            nobody = torch.zeros(count, dtype=torch.bool, device=z.device)
            empty = torch.zeros(count, *self.network.sentence_shape, device=z.device)
            with self.fast(z.device):
                z = sample_motion(self.network, noised.to(z), empty, nobody, steps, mask)
        return self._clips(z.float().expand_as(noise), texts, frames, seeds, sampling)

    @torch.no_grad()
    def caption(
        self,
        clips: Sequence[np.ndarray],
        seeds: Sequence[int],
        *,
        count: int = 1,
        beams: int = 1,
        sampling: Sampling | None = None,
    ) -> list[list[Caption]]:
        """``count`` sentences of each clip, un-normalised features (frames, F), by its seed.

        They depend on the clip and its seed alone. Of a clip that is longer than all that the run
        was trained on, the first part is told. Of so many ``candidates`` as ``sampling`` says, each
        sentence is the one that the motion follows best, see ``likeliest``.
        """
        found: list[list[Caption]] = [[] for _ in clips]
        cut = [clip[: self.frame_limits[1]] for clip in clips]
        sampling = sampling or TELLING
        steps, many = self._steps(sampling), sampling.candidates
        for rows, batch in padded_batches(cut, max(1, CAPTIONED // many), self.device):
            z, _ = self.posterior(batch.x, batch.mask)
            mask = lengths_to_mask(self.coder.token_count(batch.mask.sum(1)), z.shape[1])
            z, mask = (own.repeat_interleave(many, dim=0) for own in (z, mask))
            for more in range(count):
                own = [seeds[row] + more for row in rows]
                written = self._told(self._text_noise(own, many), z, mask, steps, beams)
                chosen = self._chosen(written, z, mask, many) if many > 1 else range(len(rows))
                for row, place in zip(rows, chosen, strict=True):
                    found[row].append(written[place])
        return found

    @torch.no_grad()
    def write(
        self, seeds: Sequence[int], *, beams: int = 1, sampling: Sampling | None = None
    ) -> list[Caption]:
        """A sentence of each seed, about no motion: text alone."""
        steps = self._steps(sampling or TELLING)
        return self._told(self._text_noise(seeds), None, None, steps, beams)

    @torch.no_grad()
    def reword(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        *,
        strength: float = 0.5,
        beams: int = 1,
        sampling: Sampling | None = None,
    ) -> list[Caption]:
        """A sentence like each of ``texts``: of its latents, with some noise on them and off again.

        ``strength`` is as in ``vary``: 0 writes the sentence again from its latents.
        """
        y = self.sentences.encode(*padded(self.read(texts, {})))
        steps = self._steps(sampling or TELLING, strength)
        if steps.timesteps:
            y = add_noise(y, self._text_noise(seeds), steps.timesteps[0], self.schedule)
        return self._told(y, None, None, steps, beams)

    def _told(
        self,
        y: Tensor,
        z: Tensor | None,
        mask: Tensor | None,
        steps: Steps,
        beams: int,
    ) -> list[Caption]:
        """Sentences from ``y``, as noisy as the first step takes it; of motions ``z``, or of none.

        ``z`` is (batch, tokens, channels), ``y`` (batch, latents, dim).
        """
        given = torch.full((len(y),), z is not None, device=y.device)
        motion = y.new_zeros(len(y), 1, self.network.channels) if z is None else z
        if steps.timesteps:
            with self.fast(y.device):
                y = sample_sentence(self.network, y, motion, given, steps, mask)
        return self.sentences.write(y.float(), beams=beams)

    def _chosen(self, written: list[Caption], z: Tensor, mask: Tensor, many: int) -> list[int]:
        """The places of one sentence of each motion, which is ``many`` equal rows of ``z``."""
        words, word_mask = padded(self.read([caption.text for caption in written], {}))
        sentence = self.sentences.encode(words, word_mask)
        with self.fast(z.device):
            told = (z, mask, sentence, words, word_mask, many)
            return likeliest(self.network, self.schedule, *told)

    def word_loss(
        self, batch: Noised, texts: Sequence[str], words: Mapping[str, Tensor], options: object
    ) -> Tensor:
        """|noise - noise_theta|^2 of motion from text, mean over the latents of each row."""
        check_own_loss(options.objective)
        read, word_mask = padded(self.read(texts, words))
        real = lengths_to_mask(self.coder.token_count(batch.mask.sum(1)))
        clean, drawn = (latents[:, : real.shape[1]] for latents in (batch.clean, batch.noise))
        told = (self.sentences.encode(read, word_mask), read, word_mask)
        errors = motion_errors(
            *(self.network, self.schedule, clean, drawn, batch.timestep, real), *told
        )
        levels = self.schedule.alphas_cumprod.to(clean)[batch.timestep]
        return errors * WEIGHTINGS[options.weighting](levels)

    def _clips(
        self,
        latents: Tensor,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Sampling,
    ) -> list[GeneratedMotion]:
        return self._placed(self.decode_drawn(latents, frames, sampling), texts, frames, seeds)

    def _steps(self, sampling: Sampling, strength: float = 1.0) -> Steps:
        """How a batch is denoised, from a share of the timesteps on.

        RequestError for all but DDIM without fresh noise.
        """
        if sampling.sampler != "ddim" or sampling.eta:
            raise RequestError(
                f"sampler '{sampling.sampler}' with eta={sampling.eta:g} draws noise at each step: "
                "MoTe's runs take sampling=ddim50, eta=0"
            )
        asked = (sampling.sampler, sampling.steps, sampling.timesteps)
        most = strength * self.noise_levels
        timesteps = [t for t in visited_timesteps(*asked, self.schedule) if t < most]
        return Steps(self.schedule, timesteps, sampling.guidance_scale)

    def _motion_noise(
        self, texts: Sequence[str], frames: Sequence[int], seeds: Sequence[int], device
    ) -> tuple[Tensor, Tensor]:
        """Noise (batch, tokens, channels), each row's its own, and which tokens are real."""
        lengths = [self.coder.token_count(length) for length in frames]
        noise = latent_noise(texts, seeds, [(n, self.network.channels) for n in lengths])
        return noise.to(device), lengths_to_mask(torch.tensor(lengths, device=device))

    def _text_noise(self, seeds: Sequence[int], many: int = 1) -> Tensor:
        """Noise (batch, tokens, dim) of sentences, ``many`` of each seed."""
        drawn = [
            torch.randn(self.network.sentence_shape, generator=make_generator(s, "sentence", *more))
            for s in seeds
            for more in ([str(number)] if number else [] for number in range(many))
        ]
        return torch.stack(drawn).to(self.device)


def load(run: Run) -> MoteModel:
    """Load a run of stage joint_diffusion with both that it stands on, or a captioner on one."""
    writer, run = run, run.holding("joint_denoiser", "joint_diffusion")
    options = run.options("joint_denoiser")  # what a look tells, before anything large is read
    sentences, encoder = load_sentence_coder(writer), load_text_encoder(run)
    coder, facts = load_coder(run.ancestor("vae")), run.record.dataset
    tokens, dim = sentences.shape
    sizes = {"sentence_tokens": tokens, "sentence_dim": dim, "text_dim": encoder.dim}
    sizes["channels"] = coder.vae.latent_dim
    return MoteModel(
        coder=replace(coder, latents=load_normalizer(run, options["channels"])),
        sentences=sentences,
        skeleton=coder.skeleton,
        network=freeze(run.load_part("joint_denoiser", **sizes)),
        schedule=run.build_part("schedule"),
        text_encoder=encoder,
        fps=facts.fps,
        frame_limits=facts.frames,
        known_texts=known_captions(run, encoder.dim),
    )
