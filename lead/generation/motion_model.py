"""The one noun for everything that makes motion: sentences -> latents -> features -> joints.

Web page, evaluation, bench and studies ask a ``MotionModel`` and never which system it is. What
only some can do is an ability, asked for by name: ``model.can("project")``.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lead.core.errors import RequestError, WorkError
from lead.core.masks import lengths_to_mask
from lead.core.run_record import check_length
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.data.cache import NULL_TEXT
from lead.generation.known_texts import KnownTexts, read_known_texts
from lead.generation.motion_coder import MotionCoder
from lead.inversion.word import state_hash
from lead.models.blocks.watching import attends_to_words
from lead.models.text_encoders import TextEncoder
from lead.models.text_encoders.learned_words import check_taught
from lead.representation import constant_bones, features_to_joints
from lead.representation.features import replace_joints
from lead.representation.planting import plant_feet

Sentences = Tensor | Sequence[Tensor]
"""What a network reads of sentences, each (words, dim)."""

EMBEDDED = 256  # sentences at once where there may be many

REFUSALS = {
    "project": "project=true needs a projector: name a stage-3 run, or projector=RUN",
    "swap_projectors": "this model has no latents that a projector realigns: leave projectors out",
    "rebuild": "this model encodes no motions: name a run with an auto-encoder",
    "match_moments": "controls with moments need latents of one size, which this model has not",
    "learn_words": "this model cannot learn words from motions: name a diffusion or projector run",
    "timeline": "timeline= needs a flow on a VAE whose latents keep time: checkpoints/starter/flow",
    "attention": "this model reads no text word by word: name a flow with local conditioning",
    "keep_frames": "start= and keep= need a flow run, such as run=checkpoints/starter/flow",
    "caption": "this model writes no sentences about motions: name a run of stage=captioner",
    "make": "this model makes motions of sentences alone: task= and like= need a MoTe run",
    "embed_guidance": "this model is not distilled: name a run of stage=distill",
}
"""What a model may be able to do, and what is said where it is asked of one that cannot."""

METHODS = {
    **{"project": "project", "with_projector": "swap_projectors", "with_kept": "keep_frames"},
    **{"timeline_spans": "timeline", "sample_timeline": "timeline", "word_loss": "learn_words"},
    **{"caption": "caption", "write": "caption", "reword": "caption"},
    **{"make": "make", "vary": "make"},
}
"""Methods that only some models have, each with the ability that it belongs to."""


@dataclass(frozen=True)
class Sampling:
    """How latents are drawn; the values stand in configs/sampling."""

    sampler: str = "ddim"
    steps: int = 50
    guidance_scale: float = 7.5
    timesteps: tuple[int, ...] | None = None  # of a diffusion
    eta: float = 0.0
    plant_feet: bool = False  # the root goes where feet stand, lead.representation.planting
    candidates: int = 1  # sentences about a motion, of which one is said
    shift: float = 1.0  # of a flow, as all below: above 1 the first steps are shorter
    guidance_start: float = 0.0
    sink_base: float | None = None  # k_base of sink control; None does without
    sink_alpha: float = 0.0
    sink_soft: bool = False
    sink_memory: float | None = None
    sink_words: int = 1  # K of SinkRatio
    sink_threshold: float | None = None  # time above which ``sink_word`` is not read; None: as ever
    sink_word: str = "start"  # or "random": another token of each sentence, as a control
    sink_padding: int = 0  # sentences are read as so many tokens, padding included, as a control

    @property
    def masks_words(self) -> bool:
        """Whether a network reads other words than it was trained to."""
        return self.sink_threshold is not None or self.sink_padding > 0


TELLING = Sampling("ddim", 10, 5.0, plant_feet=True, candidates=8)
"""How sentences about motions are drawn where nobody says otherwise: ddim10_guidance5."""


@dataclass(frozen=True)
class GeneratedMotion:
    """One generated clip with constant bones; joints in metres, features un-normalised."""

    text: str
    seed: int
    joints: np.ndarray  # (frames, J, 3)
    features: np.ndarray  # (frames, F)


class Caption(NamedTuple):
    """A sentence about a motion; ``score`` is the mean log-probability of its pieces."""

    text: str
    score: float


@dataclass(frozen=True, kw_only=True)
class MotionModel(MotionCoder):
    """Every frozen part between a sentence and a moving figure.

    ``title`` is how tables call what it draws. ``words`` are learned words (``<zombie>``) and their
    vectors, which sentences may use; ``sampling`` is what draws where none is named.
    """

    title: ClassVar[str] = ""
    text_encoder: TextEncoder
    fps: float
    frame_limits: tuple[int, int]
    words: Mapping[str, Tensor] = field(default_factory=dict)
    known_texts: KnownTexts | None = None
    sampling: Sampling = Sampling()

    # What a system provides

    @property
    @abstractmethod
    def networks(self) -> tuple[nn.Module | None, ...]:
        """What was trained, the network that sampling calls first."""

    @property
    def abilities(self) -> frozenset[str]:
        """Which of REFUSALS it can do."""
        return frozenset()

    @abstractmethod
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
        """Latents (batch, tokens, ...) of motions of so many frames; a row depends on itself alone.

        They are realigned where ``project`` is true. ``condition`` is ``embed([*texts, ""])`` where
        that is known already.
        """

    @property
    def noise_levels(self) -> int:
        """How many levels of noise a word is learned at, from the least."""
        return 1000

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents of un-normalised features (batch, frames, F)."""
        raise RequestError(REFUSALS["rebuild"])

    def check_sampling(self, sampling: Sampling) -> None:
        """RequestError for a sampler, steps or timesteps that the model does not know."""

    def reading_time(self, arguments: tuple) -> Tensor | None:
        """Times (batch,) of a call of the first network, None of one that reads no sentence."""
        return arguments[1]

    def calls(self, sampling: Sampling) -> int:
        """How often drawing a batch of latents calls the first of ``networks``."""
        return len(sampling.timesteps or range(sampling.steps))

    def read(self, texts: Sequence[str], words: Mapping[str, Tensor]) -> Sentences:
        """What the network reads of sentences, each (words, dim); gradients reach ``words``."""
        return self.text_encoder.encode_with_words(texts, words).pooled[:, None]

    # What all have in common

    def __getattr__(self, name: str) -> Callable:
        """A method of METHODS that this model has not: called, it refuses in its line."""
        if name not in METHODS:
            raise AttributeError(f"{type(self).__name__} has no {name}")

        def refuse(*_: object, **__: object) -> None:
            raise RequestError(REFUSALS[METHODS[name]])

        return refuse

    def can(self, ability: str) -> bool:
        """Whether the model has an ability of REFUSALS; which words are read is seen by all."""
        if ability == "attention":
            return attends_to_words(self.networks[0])
        return bool(REFUSALS[ability]) and ability in self.abilities

    def need(self, ability: str) -> None:
        """RequestError, one line, where the model does not have an ability."""
        if not self.can(ability):
            raise RequestError(REFUSALS[ability])

    @property
    def ways(self) -> dict[str, bool]:
        """The rows of a table: how each is called, and whether its latents are realigned."""
        plain = {f"generated ({self.title})": False}
        return plain | ({"generated (LEAD)": True} if self.can("project") else {})

    def with_words(self, words: Mapping[str, Tensor]) -> "MotionModel":
        """The same parts, with these learned words added to the ones that sentences may use."""
        return replace(self, words={**self.words, **words})

    def by_default(self, sampling: Sampling) -> "MotionModel":
        """The same model, which draws so where nothing else is asked for."""
        self.check_sampling(sampling)
        return replace(self, sampling=sampling)

    @contextmanager
    def heard(self, called: Callable[[], None]) -> Iterator[None]:
        """Within it, ``called`` is told of each step of a sampler; what it raises ends the work."""
        hook = self.networks[0].register_forward_hook(lambda *_: called())
        try:
            yield
        finally:
            hook.remove()

    def weights_hash(self) -> str:
        """SHA-256 (hex) of all that was trained."""
        return state_hash(*self.networks)

    def generate(
        self,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Sampling | None = None,
        *,
        project: bool | None = None,
        lap: Callable[[str], None] | None = None,
    ) -> list[GeneratedMotion]:
        """One clip per text, of the given number of frames; ``project`` None does where it can.

        A clip depends on its own text, seed and length alone, not on its neighbours in the batch.
        ``lap`` is told the name of each part of the work when it is done.
        Raises RequestError for lengths outside those trained on, for ``project`` without a
        projector, for a learned word that is not among ``words``, and where there are more of one
        thing than of another.
        """
        if isinstance(texts, str) or not len(texts) == len(frames) == len(seeds):
            raise RequestError(
                "give lists of one length: a text, its frames and its seed for each clip"
            )
        project = self.can("project") if project is None else project
        self.check(texts, frames, project=project)
        lap = lap or (lambda _: None)  # nobody asked
        condition = self.embed([*texts, NULL_TEXT])
        lap("embed sentences")
        sampling = sampling or self.sampling
        asked = (texts, frames, seeds, sampling)
        latents = self.sample(*asked, project=project, condition=condition)
        lap("sample latents")
        x = self.decode_drawn(latents, frames, sampling)
        lap("decode latents")
        motions = self._placed(x, texts, frames, seeds)
        lap("place joints")
        return motions

    def generate_timeline(
        self, texts: Sequence[str], frames: Sequence[int], seed: int, sampling: Sampling
    ) -> tuple[GeneratedMotion, list[tuple[int, int]]]:
        """One motion that does what each sentence says for so many frames, and the frames of each.

        It may be longer than any that was trained on. Raises RequestError for sentences that are
        empty or too short, for a learned word that is not among ``words``, and where the model
        draws whole clips alone.
        """
        self.need("timeline")
        spans = self.timeline_spans(frames)
        self.check(texts, [self.frame_limits[0]] * len(texts), project=False)
        latents = self.sample_timeline(texts, spans, seed, sampling)
        whole = [sum(frames)]
        x = self.decode_drawn(latents, whole, sampling)
        return self._placed(x, ["; ".join(texts)], whole, [seed])[0], spans

    def decode_drawn(self, latents: Tensor, frames: Sequence[int], sampling: Sampling) -> Tensor:
        """What ``decode`` makes of latents that were drawn, with feet planted where asked for."""
        x = self.decode(latents, frames)
        if sampling.plant_feet:
            for row, length in zip(x, frames, strict=True):
                row[:length] = torch.from_numpy(
                    plant_feet(row[:length].numpy(), self.skeleton.name)
                )
        return x

    def _placed(
        self, x: Tensor, texts: Sequence[str], frames: Sequence[int], seeds: Sequence[int]
    ) -> list[GeneratedMotion]:
        """Features (batch, longest, F) as clips with constant bones."""
        name = self.skeleton.name
        joints = constant_bones(features_to_joints(x, name), name).numpy()
        return [
            GeneratedMotion(
                text,
                seed,
                joints[row, :length],
                replace_joints(x[row, :length].numpy(), joints[row, :length], name),
            )
            for row, (text, seed, length) in enumerate(zip(texts, seeds, frames, strict=True))
        ]

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Sentences:
        """What the network reads of sentences, each (words, dim); equal ones are read once."""
        different = list(dict.fromkeys(texts))
        rows = {text: row for row, text in enumerate(different)}
        made, places = self.read(different, self.words), [rows[text] for text in texts]
        return made[places] if isinstance(made, Tensor) else [made[place] for place in places]

    @torch.no_grad()
    def remarks(self, texts: Sequence[str]) -> dict[str, str]:
        """Each sentence with what to tell of it: that it is far from the training captions, or "".

        Nothing is told where the run keeps no captions (``lead export format=starter`` keeps some).
        """
        if self.known_texts is None or not texts:
            return dict.fromkeys(texts, "")
        texts = list(dict.fromkeys(texts))
        parts = [texts[start : start + EMBEDDED] for start in range(0, len(texts), EMBEDDED)]
        read = (self.text_encoder.encode_with_words(part, self.words).pooled for part in parts)
        distances = self.known_texts.distances(torch.cat([*read])).tolist()
        threshold = self.known_texts.threshold
        return {
            text: f"far from all that the model was trained on (distance {distance:.2f}, "
            f"familiar up to {threshold:.2f}): the motion may be another"
            if distance > threshold
            else ""
            for text, distance in zip(texts, distances, strict=True)
        }

    def check(self, texts: Sequence[str], frames: Sequence[int], *, project: bool) -> None:
        """RequestError for what ``generate`` cannot make; nothing is computed for it."""
        for text, length in zip(texts, frames, strict=True):
            if not text.strip():
                raise RequestError("an empty text says nothing: give a sentence")
            check_taught(text, self.words)
            check_length(length, self.frame_limits, self.fps)
        if project:
            self.need("project")


@dataclass(frozen=True, kw_only=True)
class CodedModel(MotionModel):
    """A system beside the ``coder`` of its latents, which reads sentences word by word."""

    coder: MotionCoder
    precision: str = "fp32"  # of its own network

    @property
    def code(self) -> str:
        """How tables call the coder."""
        return self.coder.code

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The latents (batch, tokens, ...), and minus infinity: there is but one."""
        return self.coder.posterior(x, mask)

    def decode_batch(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Features of latents as ``sample`` gives them."""
        return self.coder.decode_batch(latents, mask)

    def read(self, texts: Sequence[str], words: Mapping[str, Tensor]) -> list[Tensor]:
        """Of each sentence its pooled vector, then its words: (1 + words, dim)."""
        return read_words(self.text_encoder, texts, words)

    def fast(self, device: torch.device) -> torch.autocast:
        """Within it the network computes in ``precision``."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")


def load_text_encoder(run: Run) -> TextEncoder:
    """The text encoder of a run; RequestError where the one found here is another."""
    encoder = run.build_text_encoder()
    fingerprint = run.record.text_fingerprint  # an imported run knows none
    if fingerprint is not None and encoder.fingerprint != fingerprint:
        raise RequestError(
            f"{run.folder} was trained with another '{encoder.name}' text encoder than the "
            "one found here: put the same weights in place"
        )
    return encoder


def known_captions(run: Run, width: int) -> KnownTexts | None:
    """What a run keeps of its captions; WorkError where they are of another text encoder."""
    known = read_known_texts(run)
    if known is not None and known.vectors.shape[1] != width:
        raise WorkError(
            f"{run.folder} knows captions of {known.vectors.shape[1]} numbers, its text "
            f"encoder gives {width}: pack it again"
        )
    return known


def read_words(
    encoder: TextEncoder, texts: Sequence[str], words: Mapping[str, Tensor]
) -> list[Tensor]:
    """Of each sentence its pooled vector, then its words: (1 + words, dim)."""
    made = encoder.encode_with_words(texts, words)
    rows = torch.cat([made.pooled[:, None], made.tokens], dim=1)
    lengths = (1 + made.mask.sum(1)).tolist()
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]


def padded(sentences: Sentences) -> tuple[Tensor, Tensor]:
    """Sentences (batch, words, dim), and which words are real (batch, words)."""
    lengths = torch.tensor([len(row) for row in sentences], device=sentences[0].device)
    text = sentences if isinstance(sentences, Tensor) else pad_sequence(sentences, batch_first=True)
    return text, lengths_to_mask(lengths)


def latent_noise(
    texts: Sequence[str], seeds: Sequence[int], shapes: Sequence[Sequence[int]]
) -> Tensor:
    """Noise (batch, tokens, ...) on the CPU: of each row its own, by its sentence and seed.

    ``shapes`` (tokens, ...) differ in their tokens alone; past a row's own the noise is zero.
    """
    rows = [
        torch.randn(*shape, generator=make_generator(seed, "latent", text))
        for text, seed, shape in zip(texts, seeds, shapes, strict=True)
    ]
    return pad_sequence(rows, batch_first=True)
