"""LEAD with and without projector, distilled or not: noise prediction on latents of a VAE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.data.cache import NULL_TEXT
from lead.diffusion.schedules import NoiseSchedule
from lead.generation.known_texts import KnownTexts
from lead.generation.motion_coder import MotionCoder
from lead.generation.motion_model import (
    MotionModel,
    Sampling,
    Sentences,
    known_captions,
    latent_noise,
    load_text_encoder,
    padded,
    read_words,
)
from lead.generation.sampling import sample_latents, visited_timesteps
from lead.inversion.objectives import FrozenParts, Noised, word_loss
from lead.inversion.word import state_hash
from lead.models.inference import compile_network, prepare
from lead.models.projector import Projector
from lead.models.timed_vae import TimedVae
from lead.models.vae import MotionVAE
from lead.representation import get_skeleton
from lead.representation.normalizer import Normalizer, load_normalizer


@dataclass(frozen=True, kw_only=True)
class VaeCoder(MotionCoder):
    """Motions <-> latents of a VAE, for the whole clip or along it, with the own ``normalizer``.

    Where they keep time, what is learned on them are the posterior means, standardised by
    ``latents``. Their noise is another for each latent: who learned it, too, would make it anew
    beside each other, and motions would tremble.
    """

    code: ClassVar[str] = "VAE"
    vae: MotionVAE | TimedVae
    normalizer: Normalizer
    latents: Normalizer | None = None  # of the means of the training clips

    def token_count(self, frames: int | Tensor) -> int | Tensor:
        """Latents of so many frames."""
        if isinstance(self.vae, TimedVae):
            return -(-frames // self.vae.patch)
        return 0 * frames + self.vae.latent_tokens

    def real_latents(self, mask: Tensor) -> Tensor | None:
        """Which latents stand for real frames of ``mask`` (batch, frames); None: all do."""
        return self.vae.token_mask(mask) if isinstance(self.vae, TimedVae) else None

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (batch, tokens, dim); minus infinity where means are all."""
        mean, logvar = self.vae.encode(self.normalizer.normalize(x), mask)
        if self.latents is None:
            return mean, logvar
        z, real = self.latents.normalize(mean), self.real_latents(mask)
        z = z if real is None else z * real[..., None]
        return z, torch.full_like(z, -torch.inf)

    def decode_normalised(self, latents: Tensor, mask: Tensor) -> Tensor:
        """The VAE's decoder, zero on padding; latents of whole clips know nothing of the length."""
        return self.vae.decode(
            latents if self.latents is None else self.latents.denormalize(latents), mask
        )

    def decode_batch(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Features as the VAE decodes them."""
        return self.normalizer.denormalize(self.decode_normalised(latents, mask).float())

    def prepared(self, precision: str = "fp32", compiled: bool = False) -> "VaeCoder":  # noqa: ARG002
        """The same with the VAE rebuilt for inference."""
        return replace(self, vae=prepare(self.vae, precision))


@dataclass(frozen=True, kw_only=True)
class LeadModel(VaeCoder, MotionModel):
    """LEAD's parts. ``projector`` None is plain MLD; ``source`` is the run of the denoiser."""

    title: ClassVar[str] = "MLD"
    denoiser: nn.Module
    projector: Projector | None
    schedule: NoiseSchedule
    source: Run | None = None
    is_prepared: bool = False

    @property
    def networks(self) -> tuple[nn.Module | None, ...]:
        """Denoiser, VAE and projector."""
        return self.denoiser, self.vae, self.projector

    @property
    def abilities(self) -> frozenset[str]:
        """Projecting and embedded guidance where the parts are there; all that a VAE gives."""
        found = {"swap_projectors", "rebuild", "learn_words"}
        found |= {"match_moments"} if self.latents is None else set()
        found |= {"project"} if self.projector is not None else set()
        return frozenset(found | ({"embed_guidance"} if self.denoiser.embeds_guidance else set()))

    @property
    def noise_levels(self) -> int:
        """Timesteps of the schedule."""
        return self.schedule.num_train_timesteps

    def weights_hash(self) -> str:
        """SHA-256 (hex) of VAE, denoiser and projector."""
        return state_hash(self.vae, self.denoiser, self.projector)

    def read(self, texts: Sequence[str], words: Mapping[str, Tensor]) -> Sentences:
        """Pooled vectors; for latents that keep time the words of each sentence behind it."""
        if self.denoiser.keeps_time:
            return read_words(self.text_encoder, texts, words)
        return super().read(texts, words)

    def project(self, latents: Tensor, frames: Sequence[int]) -> Tensor:
        """Latents of motions of so many frames realigned by the projector."""
        self.need("project")
        if self.latents is None:
            return self.projector(latents)
        counts = torch.tensor([self.token_count(length) for length in frames])
        real = lengths_to_mask(counts, latents.shape[1]).to(latents.device)
        return self.projector(latents, real) * real[..., None]

    def with_projector(self, run: Run) -> "LeadModel":
        """The same model with the projector of another run, which has to stand on the same VAE."""
        projector = load_projector(run, self.source).to(self.device)
        return replace(self, projector=prepare(projector) if self.is_prepared else projector)

    def word_loss(
        self, batch: Noised, texts: Sequence[str], words: Mapping[str, Tensor], options: object
    ) -> Tensor:
        """One of LEAD's three objectives, of each row."""
        parts = FrozenParts(self.decode_normalised, self.denoiser, self.projector, self.schedule)
        text, word_mask = padded(self.read(texts, words))
        real = self.real_latents(batch.mask)
        if real is not None:
            clean, noise = (each[:, : real.shape[1]] for each in (batch.clean, batch.noise))
            batch = replace(batch, clean=clean, noise=noise, real=real)
        return word_loss(parts, batch, text, options.objective, options.weighting, word_mask)

    def prepared(self, precision: str = "fp32", compiled: bool = False) -> "LeadModel":
        """The same parts rebuilt for inference on the device where they are, which is faster.

        ``fp32`` gives the same motions to rounding; ``bf16`` rounds more, by about a millimetre.
        The projector stays in fp32: it costs one pass, and its rounding shows most. There are no
        gradients, and what is prepared stays on its device. RequestError for another precision.
        ``compiled`` has torch compile denoiser and projector for each batch size that comes (half a
        minute; for processes that make many motions); RequestError without a compiler.
        """

        def finish(network: nn.Module) -> nn.Module:
            own = prepare(network, precision if network is self.denoiser else "fp32")
            if compiled and self.denoiser.keeps_time:
                raise RequestError(
                    "compiled=true is for latents of whole clips: leave it out with this run"
                )
            return compile_network(own, self.device) if compiled else own

        return replace(
            self,
            vae=prepare(self.vae, precision),
            denoiser=finish(self.denoiser),
            projector=None if self.projector is None else finish(self.projector),
            is_prepared=True,
        )

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
        """Latents (batch, tokens, dim) of the texts, zero past the tokens of each motion."""
        read = self.embed([*texts, NULL_TEXT]) if condition is None else condition
        text, words = padded(read)
        purposes = list(zip(texts, seeds, strict=True))
        counts = [self.token_count(length) for length in frames]
        noise = latent_noise(texts, seeds, [(n, self.vae.latent_dim) for n in counts])
        noise, masks = noise.to(text.device), {}
        if self.denoiser.keeps_time:
            mask = lengths_to_mask(torch.tensor(counts, device=text.device))
            masks = {"mask": mask, "word_mask": words[:-1], "null_mask": words[-1:]}
        z = sample_latents(
            self.denoiser,
            noise,
            text[:-1],
            None if self._distilled(sampling) else text[-1:],
            sampler=sampling.sampler,
            steps=sampling.steps,
            guidance_scale=sampling.guidance_scale,
            timesteps=sampling.timesteps,
            schedule=self.schedule,
            generator=[make_generator(s, "steps", t, device=text.device) for t, s in purposes],
            eta=sampling.eta,
            **masks,
        )
        return self.project(z, frames) if project else z

    def _distilled(self, sampling: Sampling) -> bool:
        """Whether guidance is inside the denoiser; RequestError for lcm with one that has none."""
        if sampling.sampler == "lcm" and not self.denoiser.embeds_guidance:
            raise RequestError(
                "sampler lcm is for a denoiser that was distilled for it (`lead train "
                "stage=distill`): use sampling=ddim50 with this one"
            )
        return self.denoiser.embeds_guidance

    def check_sampling(self, sampling: Sampling) -> None:
        """RequestError for a sampler, steps or timesteps that this denoiser does not know."""
        if sampling.masks_words or sampling.sink_base is not None:
            raise RequestError("sink control and masked words are for flows: name a run of one")
        self._distilled(sampling)
        steps = (sampling.sampler, sampling.steps, sampling.timesteps)
        visited_timesteps(*steps, self.schedule)


def load(
    run: Run, *, projector_run: Run | None = None, diffusion_run: Run | None = None
) -> LeadModel:
    """Load a stage-2 or stage-3 run with the runs it stands on, as ``load_motion_model`` says."""
    source = diffusion_run or run
    if source.stage == "vae":
        raise RequestError(
            f"{source.folder} is a vae run, which knows no text: name a diffusion or projector run"
        )
    denoising = source.holding("denoiser", "diffusion")
    vae_run = denoising.ancestor("vae")
    projecting = projector_run or (run if run.stage == "projector" else None)
    projector = None
    if projecting is not None:
        projector = load_projector(projecting, denoising)
    for of, part in ((vae_run, "vae"), (denoising, "denoiser"), (denoising, "schedule")):
        of.options(part)  # what a look tells, before anything large is read
    encoder = load_text_encoder(denoising)
    vae, facts = load_vae(vae_run), vae_run.record.dataset
    schedule = denoising.build_part("schedule")
    sizes = {"latent_dim": vae.latent_dim, "latent_tokens": vae.latent_tokens}
    sizes |= {"text_dim": encoder.dim, "timesteps": schedule.num_train_timesteps}
    return LeadModel(
        vae=vae,
        denoiser=freeze(denoising.load_part("denoiser", **sizes)),
        projector=projector,
        text_encoder=encoder,
        normalizer=load_normalizer(vae_run, vae.features),
        schedule=schedule,
        skeleton=get_skeleton(facts.skeleton),
        fps=facts.fps,
        frame_limits=facts.frames,
        known_texts=_known_texts(denoising, encoder.dim),
        source=denoising,
        latents=load_normalizer(denoising, vae.latent_dim) if keeps_time(vae_run) else None,
    )


def _known_texts(denoising: Run, width: int) -> KnownTexts | None:
    """The captions that a denoiser knows; a distilled one knows its teacher's."""
    known = known_captions(denoising, width)
    if known is None and denoising.stage != "diffusion" and denoising.has_ancestor("diffusion"):
        known = known_captions(denoising.ancestor("diffusion"), width)
    return known


def load_projector(run: Run, diffusion_run: Run) -> Projector:
    """The projector of a stage-3 run, frozen; RequestError where it fits another VAE's latents."""
    if run.stage != "projector":
        raise RequestError(f"{run.folder} is a {run.stage} run, no projector")
    own, other = (one.ancestor("vae") for one in (run, diffusion_run))
    if own.weights_hash("vae") != other.weights_hash("vae"):
        raise RequestError(
            f"{run.folder} and {diffusion_run.folder} stand on different VAEs: "
            "train the projector on the same one"
        )
    width = own.options("vae")["latent_dim"]
    if keeps_time(own):
        of_both = (load_normalizer(one, width).state_dict() for one in (run, diffusion_run))
        if not all(map(torch.allclose, *(statistics.values() for statistics in of_both))):
            raise RequestError(
                f"{run.folder} and {diffusion_run.folder} standardise latents differently: train "
                "the projector on that run, diffusion=RUN"
            )
    return freeze(run.load_part("projector", latent_dim=width))


def keeps_time(run: Run) -> bool:
    """Whether a stage-1 run has one latent for a few frames, not some for a whole clip."""
    return run.stage == "autoencoder" or run.description("vae")["_target_"] == "timed_vae"


def load_coder(run: Run) -> VaeCoder:
    """The VAE of a stage-1 run with its normalizer."""
    vae = load_vae(run)
    skeleton = get_skeleton(run.record.dataset.skeleton)
    return VaeCoder(vae=vae, normalizer=load_normalizer(run, vae.features), skeleton=skeleton)


def load_vae(run: Run) -> MotionVAE | TimedVae:
    """The VAE of a stage-1 run, frozen; RequestError where it does not fit the run's skeleton."""
    features = get_skeleton(run.record.dataset.skeleton).features
    return freeze(run.load_part("vae", features=features))
