"""Text to motion with the trained parts: encoder, sampler, projector, decoder (LEAD 4.1.3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from lead.core.errors import RequestError, WorkError
from lead.core.freezing import freeze
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.data.cache import NULL_TEXT
from lead.data.clips import length_sorted_batches
from lead.diffusion.schedules import NoiseSchedule
from lead.generation.known_texts import KnownTexts, read_known_texts
from lead.generation.sampling import sample_latents, visited_timesteps
from lead.models.inference import compile_network, prepare
from lead.models.projector import Projector
from lead.models.text_encoders import TextEncoder
from lead.models.text_encoders.learned_words import check_taught
from lead.models.vae import MotionVAE
from lead.representation import Skeleton, constant_bones, features_to_joints, get_skeleton
from lead.representation.features import replace_joints
from lead.representation.normalizer import Normalizer, load_normalizer

EMBEDDED = 256  # sentences at once where there may be many

DECODED_ON_CPU = 8  # motions through the VAE at once: what they need stays in the cache


@dataclass(frozen=True)
class Sampling:
    """How latents are drawn; the values stand in configs/sampling."""

    sampler: str = "ddim"
    steps: int = 50
    guidance_scale: float = 7.5
    timesteps: tuple[int, ...] | None = None
    eta: float = 0.0


@dataclass(frozen=True)
class GeneratedMotion:
    """One generated clip with constant bones; joints in metres, features un-normalised."""

    text: str
    seed: int
    joints: np.ndarray  # (frames, J, 3)
    features: np.ndarray  # (frames, F)


@dataclass(frozen=True)
class TextToMotion:
    """Every frozen part between a sentence and a moving figure. ``projector`` None is plain MLD.

    ``words`` are learned words (``<zombie>``) and their vectors, which sentences may use.
    """

    vae: MotionVAE
    denoiser: nn.Module
    projector: Projector | None
    text_encoder: TextEncoder
    normalizer: Normalizer
    schedule: NoiseSchedule
    skeleton: Skeleton
    fps: float
    frame_limits: tuple[int, int]
    words: Mapping[str, Tensor] = field(default_factory=dict)
    known_texts: KnownTexts | None = None

    def with_words(self, words: Mapping[str, Tensor]) -> "TextToMotion":
        """The same parts, with these learned words added to the ones that sentences may use."""
        return replace(self, words={**self.words, **words})

    def prepared(self, precision: str = "fp32", compiled: bool = False) -> "TextToMotion":
        """The same parts rebuilt for inference on the device where they are, which is faster.

        ``fp32`` gives the same motions to rounding; ``bf16`` rounds more, by about a millimetre.
        The projector stays in fp32: it costs one pass, and its rounding shows most. There are no
        gradients, and what is prepared stays on its device. RequestError for another precision.
        ``compiled`` has torch compile denoiser and projector for each batch size that comes (half a
        minute; for processes that make many motions); RequestError without a compiler.
        """

        def finish(network: nn.Module) -> nn.Module:
            own = prepare(network, precision if network is self.denoiser else "fp32")
            return compile_network(own, self.normalizer.mean.device) if compiled else own

        return replace(
            self,
            vae=prepare(self.vae, precision),
            denoiser=finish(self.denoiser),
            projector=None if self.projector is None else finish(self.projector),
        )

    def generate(
        self,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Sampling,
        *,
        project: bool = True,
        lap: Callable[[str], None] | None = None,
    ) -> list[GeneratedMotion]:
        """One clip per text, of the given number of frames.

        A clip depends on its own text, seed and length alone, not on its neighbours in the batch.
        ``lap`` is told the name of each part of the work when it is done.
        Raises RequestError for lengths outside those trained on, for ``project`` without a
        projector, and for a learned word that is not among ``words``.
        """
        self.check(texts, frames, project=project)
        lap = lap or _unheard
        condition = self.embed([*texts, NULL_TEXT])
        lap("embed sentences")
        latents = self.sample(texts, seeds, sampling, project=project, condition=condition)
        lap("sample latents")
        x = self.decode(latents, frames)
        lap("decode latents")
        name = self.skeleton.name
        joints = constant_bones(features_to_joints(x, name), name).numpy()
        motions = [
            GeneratedMotion(
                text,
                seed,
                joints[row, :length],
                replace_joints(x[row, :length].numpy(), joints[row, :length], name),
            )
            for row, (text, seed, length) in enumerate(zip(texts, seeds, frames, strict=True))
        ]
        lap("place joints")
        return motions

    @torch.no_grad()
    def sample(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        sampling: Sampling,
        *,
        project: bool,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Latents (batch, tokens, dim) of the texts, realigned where ``project`` is true.

        ``condition`` is ``embed([*texts, ""])`` where that is known already.
        """
        if condition is None:
            condition = self.embed([*texts, NULL_TEXT])
        purposes = list(zip(texts, seeds, strict=True))
        shape = (self.vae.latent_tokens, self.vae.latent_dim)
        noise = torch.stack(
            [torch.randn(shape, generator=make_generator(s, "latent", t)) for t, s in purposes]
        )
        z = sample_latents(
            self.denoiser,
            noise.to(condition.device),
            condition[:-1],
            None if self._distilled(sampling) else condition[-1:],
            sampler=sampling.sampler,
            steps=sampling.steps,
            guidance_scale=sampling.guidance_scale,
            timesteps=sampling.timesteps,
            schedule=self.schedule,
            generator=[make_generator(s, "steps", t, device=condition.device) for t, s in purposes],
            eta=sampling.eta,
        )
        return self.projector(z) if project and self.projector is not None else z

    def _distilled(self, sampling: Sampling) -> bool:
        """Whether guidance is inside the denoiser; RequestError for lcm with one that has none."""
        if sampling.sampler == "lcm" and not self.denoiser.embeds_guidance:
            raise RequestError(
                "sampler lcm is for a denoiser that was distilled for it (`lead train "
                "stage=distill`): use sampling=ddim50 with this one"
            )
        return self.denoiser.embeds_guidance

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """What the denoiser reads of sentences, (batch, words, dim); equal ones are read once."""
        different = list(dict.fromkeys(texts))
        rows = {text: row for row, text in enumerate(different)}
        pooled = self.text_encoder.encode_with_words(different, self.words).pooled
        return pooled[[rows[text] for text in texts], None]

    def remarks(self, texts: Sequence[str]) -> dict[str, str]:
        """Each sentence with what to tell of it: that it is far from the training captions, or "".

        Nothing is told where the run keeps no captions (``lead export format=starter`` keeps some).
        """
        if self.known_texts is None or not texts:
            return dict.fromkeys(texts, "")
        parts = [texts[start : start + EMBEDDED] for start in range(0, len(texts), EMBEDDED)]
        embedded = torch.cat([self.embed(part).mean(dim=1) for part in parts])
        distances = self.known_texts.distances(embedded).tolist()
        threshold = self.known_texts.threshold
        return {
            text: f"far from all that the model was trained on (distance {distance:.2f}, "
            f"familiar up to {threshold:.2f}): the motion may be another"
            if distance > threshold
            else ""
            for text, distance in zip(texts, distances, strict=True)
        }

    @torch.no_grad()
    def decode(self, latents: Tensor, frames: Sequence[int]) -> Tensor:
        """Un-normalised features (batch, longest, F) on the CPU, zero past each length.

        Motions of nearly equal lengths are decoded together, so that little padding is computed.
        """
        together = DECODED_ON_CPU if latents.device.type == "cpu" else len(frames)
        motions = torch.zeros(len(frames), max(frames), self.vae.features)
        for rows in length_sorted_batches(frames, together):
            mask = lengths_to_mask(torch.tensor([frames[row] for row in rows]).to(latents.device))
            x = self.normalizer.denormalize(self.vae.decode(latents[rows], mask).float())
            motions[rows, : mask.shape[1]] = (x * mask[..., None]).cpu()
        return motions

    def to(self, device: torch.device | str) -> "TextToMotion":
        """Move every network to a device, in place."""
        for part in (self.vae, self.denoiser, self.projector, self.text_encoder, self.normalizer):
            if part is not None:
                part.to(device)
        return self

    def check_sampling(self, sampling: Sampling) -> None:
        """RequestError for a sampler, steps or timesteps that this denoiser does not know."""
        self._distilled(sampling)
        steps = (sampling.sampler, sampling.steps, sampling.timesteps)
        visited_timesteps(*steps, self.schedule)

    def check(self, texts: Sequence[str], frames: Sequence[int], *, project: bool) -> None:
        """RequestError for what ``generate`` cannot make; nothing is computed for it."""
        shortest, longest = self.frame_limits
        for text, length in zip(texts, frames, strict=True):
            if not text.strip():
                raise RequestError("an empty text says nothing: give a sentence")
            check_taught(text, self.words)
            if not shortest <= length <= longest:
                raise RequestError(
                    f"{length} frames ({length / self.fps:.2f} s) is outside what was trained: "
                    f"{shortest}..{longest} frames ({shortest / self.fps:.2f} to "
                    f"{longest / self.fps:.2f} s)"
                )
        if project and self.projector is None:
            raise RequestError(
                "project=true needs a projector: name a stage-3 run, or projector=RUN"
            )


def _unheard(part: str) -> None:
    """Nobody asked how long the parts take."""


def load_pipeline(
    run: Run, *, projector_run: Run | None = None, diffusion_run: Run | None = None
) -> TextToMotion:
    """Load a stage-2 or stage-3 run with the earlier runs it stands on.

    ``projector_run`` adds a projector to a stage-2 run; ``diffusion_run`` a denoiser to a projector
    that was trained on a VAE alone. Raises RequestError where a part is missing or the parts belong
    to different VAEs.
    """
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
    encoder = denoising.build_text_encoder()
    fingerprint = denoising.record.text_fingerprint  # an imported run knows none
    if fingerprint is not None and encoder.fingerprint != fingerprint:
        raise RequestError(
            f"{denoising.folder} was trained with another '{encoder.name}' text encoder than the "
            "one found here: put the same weights in place"
        )
    vae, facts = load_vae(vae_run), vae_run.record.dataset
    schedule = denoising.build_part("schedule")
    sizes = {"latent_dim": vae.latent_dim, "latent_tokens": vae.latent_tokens}
    sizes |= {"text_dim": encoder.dim, "timesteps": schedule.num_train_timesteps}
    return TextToMotion(
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
    )


def _known_texts(denoising: Run, width: int) -> KnownTexts | None:
    """The captions that a denoiser knows; a distilled one knows its teacher's."""
    known = read_known_texts(denoising)
    if known is None and denoising.stage != "diffusion" and denoising.has_ancestor("diffusion"):
        known = read_known_texts(denoising.ancestor("diffusion"))
    if known is not None and known.vectors.shape[1] != width:
        raise WorkError(
            f"{denoising.folder} knows captions of {known.vectors.shape[1]} numbers, its text "
            f"encoder gives {width}: pack it again"
        )
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
    return freeze(run.load_part("projector", latent_dim=own.options("vae")["latent_dim"]))


def load_vae(run: Run) -> MotionVAE:
    """The VAE of a stage-1 run, frozen; RequestError where it does not fit the run's skeleton."""
    features = get_skeleton(run.record.dataset.skeleton).features
    return freeze(run.load_part("vae", features=features))
