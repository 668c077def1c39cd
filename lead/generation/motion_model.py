"""The one noun for everything that makes motion: sentences -> latents -> features -> joints.

Web page, evaluation, bench and studies ask a ``MotionModel`` and never which system it is. What
only some can do is an ability, asked for by name: ``model.can("project")``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.data.cache import NULL_TEXT
from lead.data.clips import length_sorted_batches, padded_batches
from lead.generation.known_texts import KnownTexts
from lead.inversion.objectives import Noised
from lead.inversion.word import state_hash
from lead.models.text_encoders import TextEncoder
from lead.models.text_encoders.learned_words import check_taught
from lead.representation import Skeleton, constant_bones, features_to_joints
from lead.representation.features import replace_joints

EMBEDDED = 256  # sentences at once where there may be many

DECODED_ON_CPU = 8  # motions decoded at once: what they need stays in the cache
REBUILT = 32  # motions through the auto-encoder at once: of nearly equal lengths

REFUSALS = {
    "project": "project=true needs a projector: name a stage-3 run, or projector=RUN",
    "swap_projectors": "this model has no latents that a projector realigns: leave projectors out",
    "rebuild": "this model encodes no motions: name a run with an auto-encoder",
    "match_moments": "controls with moments need latents of one size, which this model has not",
    "learn_words": "this model cannot learn words from motions: name a diffusion or projector run",
    "embed_guidance": "this model is not distilled: name a run of stage=distill",
}
"""What a model may be able to do, and what is said where it is asked of one that cannot."""


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


@dataclass(frozen=True, kw_only=True)
class MotionCoder(ABC):
    """Motions <-> latents; ``code`` is how tables call it.

    Latents are (batch, tokens, ...) with a row a motion; where longer motions have more tokens, a
    row is zero past its own, and more zeros change nothing.
    """

    code: ClassVar[str] = ""
    skeleton: Skeleton

    @abstractmethod
    def decode_batch(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Un-normalised features (batch, frames, F) of a mask (batch, frames), on its device."""

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents of un-normalised features (batch, frames, F)."""
        raise RequestError(REFUSALS["rebuild"])

    def prepared(self, precision: str = "fp32", compiled: bool = False) -> Self:  # noqa: ARG002
        """The same rebuilt for inference on the device where it is; see the systems' own."""
        return self

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        tensors = (t for part in self._modules() for t in chain(part.buffers(), part.parameters()))
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    def _modules(self) -> list[nn.Module]:
        values = (getattr(self, own.name) for own in fields(self))
        return [value for value in values if isinstance(value, nn.Module)]

    def to(self, device: torch.device | str) -> Self:
        """Move every network to a device, in place."""
        for part in self._modules():
            part.to(device)
        return self

    @torch.no_grad()
    def decode(self, latents: Tensor, frames: Sequence[int]) -> Tensor:
        """Un-normalised features (batch, longest, F) on the CPU, zero past each length.

        Motions of nearly equal lengths are decoded together, so that little padding is computed.
        """
        together = DECODED_ON_CPU if latents.device.type == "cpu" else len(frames)
        motions = torch.zeros(len(frames), max(frames), self.skeleton.features)
        for rows in length_sorted_batches(frames, together):
            mask = lengths_to_mask(torch.tensor([frames[row] for row in rows]).to(latents.device))
            x = self.decode_batch(latents[rows], mask)
            motions[rows, : mask.shape[1]] = (x * mask[..., None]).cpu()
        return motions

    @torch.no_grad()
    def rebuild(
        self, motions: Sequence[np.ndarray], change: Callable[[Tensor], Tensor] | None = None
    ) -> list[np.ndarray]:
        """Encode (posterior mean) and decode features (frames, F), un-normalised on either side.

        ``change`` is applied to the latents between, such as ``project``.
        """
        rebuilt: list = [None] * len(motions)
        for rows, batch in padded_batches(motions, REBUILT, self.device):
            z, _ = self.posterior(batch.x, batch.mask)
            features = self.decode_batch(z if change is None else change(z), batch.mask).cpu()
            for place, row in enumerate(rows):
                rebuilt[row] = features[place, : len(motions[row])].numpy().copy()
        return rebuilt


@dataclass(frozen=True, kw_only=True)
class MotionModel(MotionCoder):
    """Every frozen part between a sentence and a moving figure.

    ``title`` is how tables call what it draws. ``words`` are learned words (``<zombie>``) and their
    vectors, which sentences may use.
    """

    title: ClassVar[str] = ""
    text_encoder: TextEncoder
    fps: float
    frame_limits: tuple[int, int]
    words: Mapping[str, Tensor] = field(default_factory=dict)
    known_texts: KnownTexts | None = None

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
        condition: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Latents (batch, tokens, ...) of motions of so many frames; a row depends on itself alone.

        They are realigned where ``project`` is true. ``condition`` is ``embed([*texts, ""])`` where
        that is known already.
        """

    @property
    def noise_levels(self) -> int:
        """How many levels of noise a word is learned at, from the least."""
        return 1000

    def check_sampling(self, sampling: Sampling) -> None:
        """RequestError for a sampler, steps or timesteps that the model does not know."""

    def calls(self, sampling: Sampling) -> int:
        """How often drawing a batch of latents calls the first of ``networks``."""
        return len(sampling.timesteps or range(sampling.steps))

    def project(self, latents: Tensor) -> Tensor:
        """Latents realigned by the projector."""
        raise RequestError(REFUSALS["project"])

    def with_projector(self, run: Run) -> Self:
        """The same model with the projector of another run."""
        raise RequestError(REFUSALS["swap_projectors"])

    def read(self, texts: Sequence[str], words: Mapping[str, Tensor]) -> Tensor:
        """What the network reads of sentences, (batch, words, dim); gradients reach ``words``."""
        return self.text_encoder.encode_with_words(texts, words).pooled[:, None]

    def word_loss(
        self, batch: Noised, texts: Sequence[str], words: Mapping[str, Tensor], options: object
    ) -> Tensor:
        """What the model loses on each of these latents under its sentence, (batch,).

        ``options`` are InversionOptions; gradients reach ``words``.
        """
        raise RequestError(REFUSALS["learn_words"])

    # What all have in common

    def can(self, ability: str) -> bool:
        """Whether the model has an ability of REFUSALS."""
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

    def with_words(self, words: Mapping[str, Tensor]) -> Self:
        """The same parts, with these learned words added to the ones that sentences may use."""
        return replace(self, words={**self.words, **words})

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
        sampling: Sampling,
        *,
        project: bool | None = None,
        lap: Callable[[str], None] | None = None,
    ) -> list[GeneratedMotion]:
        """One clip per text, of the given number of frames; ``project`` None does where it can.

        A clip depends on its own text, seed and length alone, not on its neighbours in the batch.
        ``lap`` is told the name of each part of the work when it is done.
        Raises RequestError for lengths outside those trained on, for ``project`` without a
        projector, and for a learned word that is not among ``words``.
        """
        project = self.can("project") if project is None else project
        self.check(texts, frames, project=project)
        lap = lap or _unheard
        condition = self.embed([*texts, NULL_TEXT])
        lap("embed sentences")
        asked = (texts, frames, seeds, sampling)
        latents = self.sample(*asked, project=project, condition=condition)
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
    def embed(self, texts: Sequence[str]) -> Sequence[Tensor]:
        """What the network reads of sentences, each (words, dim); equal ones are read once."""
        different = list(dict.fromkeys(texts))
        rows = {text: row for row, text in enumerate(different)}
        return self.read(different, self.words)[[rows[text] for text in texts]]

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
        if project:
            self.need("project")


def _unheard(part: str) -> None:
    """Nobody asked how long the parts take."""
