"""What a word is learned from: motions cut into windows, and sentences with a gap for the word."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.seeding import derive_seed
from lead.models.text_encoders import TextEncoder
from lead.models.text_encoders.learned_words import check_spelling

GAP = "<*>"
"""Where the word stands in a template."""

ACTION = "{action}"
"""Where a template says what is done in the motion that it goes with."""


@dataclass(frozen=True, eq=False)
class Concept:
    """One word to learn and the motions that show it.

    ``init`` is the plain word that it starts from. ``motions`` are un-normalised features
    (frames, F); ``sources`` say where each came from. ``actions`` say what is done in each motion
    ("walks forward"), for templates that name it: so the word stands for the manner alone, and
    motions of several contents can teach it. Raises RequestError where a motion holds a value that
    is not finite, where there is none, and for a word or template that is misspelled.
    """

    word: str
    init: str
    motions: tuple[np.ndarray, ...]
    sources: tuple[str, ...]
    templates: tuple[str, ...]
    licence: str = "unknown"
    actions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be learned from."""
        object.__setattr__(self, "word", check_spelling(self.word))
        if not self.motions:
            raise RequestError(f"no motions for {self.word}: give at least one")
        for motion, source in zip(self.motions, self.sources, strict=True):
            if motion.ndim != 2 or not np.isfinite(motion).all():
                raise RequestError(
                    f"{source}: features hold a value that is not finite (NaN or infinity): "
                    "leave this motion out"
                )
        if not self.templates:
            raise RequestError(f"no templates for {self.word}: give sentences with {GAP} in them")
        for template in self.templates:
            if GAP not in template:
                raise RequestError(f"template '{template}' has no {GAP}: the word's place")
            if ACTION in template and len(self.actions) != len(self.motions):
                raise RequestError(
                    f"template '{template}' names the action: {self.word} has {len(self.motions)} "
                    f"motions and {len(self.actions)} actions, give one for each, in their order"
                )

    def sentence(self, template: int, motion: int) -> str:
        """A template with the word, and with what is done in the motion, in their places."""
        text = self.templates[template].replace(GAP, self.word)
        return text.replace(ACTION, self.actions[motion]) if ACTION in text else text


def check_word(concept: Concept, encoder: TextEncoder) -> None:
    """RequestError where the encoder's vocabulary holds the word already."""
    if encoder.knows(concept.word):
        raise RequestError(
            f"{concept.word} is in the vocabulary of text encoder '{encoder.name}' already: "
            "choose another word"
        )


def windows(
    concept: Concept, count: int, shortest: float, limits: tuple[int, int], seed: int
) -> list[np.ndarray]:
    """``count`` windows of each motion at random places, within the lengths a model was trained on.

    A window takes from the share ``shortest`` to all of its motion. Raises RequestError for a
    motion shorter than ``limits[0]`` frames.
    """
    low, high = limits
    cut = []
    for place, (motion, source) in enumerate(zip(concept.motions, concept.sources, strict=True)):
        frames = len(motion)
        if frames < low:
            raise RequestError(
                f"{source} has {frames} frames, too short to learn from: the run was trained on "
                f"{low} to {high} frames"
            )
        rng = np.random.default_rng(derive_seed(seed, "windows", concept.word, place))
        longest = min(frames, high)
        least = min(max(low, round(shortest * frames)), longest)
        for _ in range(count):
            length = int(rng.integers(least, longest + 1))
            begin = int(rng.integers(0, frames - length + 1))
            cut.append(motion[begin : begin + length])
    return cut


@dataclass(frozen=True)
class Exemplar:
    """A concept with the posteriors of its windows, computed once."""

    concept: Concept
    mu: Tensor  # (windows, tokens, dim)
    logvar: Tensor
    frames: Tensor  # (windows,) length of each window
    motions: tuple[int, ...]  # which motion of the concept each window was cut from


@dataclass(frozen=True)
class Draw:
    """The random choices of one step for one concept: on the CPU, equal on every machine."""

    windows: Tensor  # (batch,) which window
    templates: list[int]
    timestep: Tensor  # (batch,)
    posterior_noise: Tensor  # (batch, tokens, dim)
    noise: Tensor  # (batch, tokens, dim)


def draw(
    exemplar: Exemplar,
    batch_size: int,
    timesteps: tuple[int, int],
    generator: torch.Generator,
) -> Draw:
    """Draw a batch: different windows and templates as long as there are enough, any timesteps."""
    shape = (batch_size, *exemplar.mu.shape[1:])
    low, high = timesteps
    return Draw(
        windows=torch.tensor(_choose(len(exemplar.mu), batch_size, generator)),
        templates=_choose(len(exemplar.concept.templates), batch_size, generator),
        timestep=torch.randint(low, high + 1, (batch_size,), generator=generator),
        posterior_noise=torch.randn(shape, generator=generator),
        noise=torch.randn(shape, generator=generator),
    )


def _choose(known: int, count: int, generator: torch.Generator) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < count:
        chosen += torch.randperm(known, generator=generator).tolist()
    return chosen[:count]


def check_distinct(concepts: Sequence[Concept]) -> None:
    """RequestError where there is no concept, or two want the same word."""
    if not concepts:
        raise RequestError("no words to learn: give at least one")
    seen: set[str] = set()
    for concept in concepts:
        if concept.word in seen:
            raise RequestError(f"{concept.word} is to be learned twice: give each concept its own")
        seen.add(concept.word)
