"""Where a motion looks among the words of its sentence, at each step of the sampling.

It works for any network whose layers attend to words by modules that are called
``text_attention`` (lead.models.blocks.watching); what it is told of each step is its second
argument, a time or a timestep.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lead.generation.motion_model import MotionModel, Sampling, Sentences
from lead.models.blocks.watching import TO_WORDS, watch_attention

PADDING = "(padding)"
SENTENCE = "(sentence)"


@dataclass(frozen=True)
class Attention:
    """The attention maps of one motion, by step, layer, head, latent and token of the sentence.

    ``words`` are those of the sentence with the encoder's marks, "(start)" and "(end)", and
    "(padding)" where the sentence was padded, each with how many tokens it is; latents that stand
    for the same frames are averaged. ``times`` are what the network was told.
    """

    text: str
    seed: int
    seconds: float  # that the latents span
    words: tuple[tuple[str, int], ...]
    times: tuple[float, ...]
    weights: Float[np.ndarray, "steps layers heads latents tokens"]

    @property
    def by_word(self) -> Float[np.ndarray, "steps layers heads latents words"]:
        """The share of each word, with all of its tokens."""
        starts = np.cumsum([0, *(count for _, count in self.words)])[:-1]
        return np.add.reduceat(self.weights, starts, axis=-1)

    def sink_ratio(self, top_k: int = 1) -> Float[np.ndarray, "steps layers heads"]:
        """MLA-Gen's: the share of the ``top_k`` strongest tokens of a latent, a mean over them."""
        return np.sort(self.weights, axis=-1)[..., -top_k:].sum(-1).mean(-1)


@contextmanager
def each_step(model: MotionModel, rows: int, told: Callable[[float, Tensor], None]) -> Iterator:
    """Within it, ``told`` gets the time and the maps of each step of a sampling of ``rows``.

    Maps are (layers, rows, heads, latents, tokens), those of the conditional pass.
    """
    model.need("attention")
    network = model.networks[0]
    with watch_attention(network, TO_WORDS) as maps:

        def seen(_: object, arguments: tuple, __: object) -> None:
            time = model.reading_time(arguments)
            if time is not None:
                told(float(time[-1]), torch.stack([each[-rows:] for each in maps]).float())
            maps.clear()

        hook = network.register_forward_hook(seen)
        try:
            yield
        finally:
            hook.remove()


@torch.no_grad()
def watch(
    model: MotionModel,
    texts: Sequence[str],
    frames: Sequence[int],
    seeds: Sequence[int],
    sampling: Sampling,
) -> list[Attention]:
    """The attention of the motions that ``model.generate`` makes of the same."""
    steps: list[tuple[float, np.ndarray]] = []
    with each_step(model, len(texts), lambda *of: steps.append((of[0], of[1].cpu().numpy()))):
        latents = model.sample(texts, frames, seeds, sampling)
    maps = np.stack([each for _, each in steps]).swapaxes(1, 2)  # steps, rows, layers, ...
    maps = maps.reshape(*maps.shape[:4], latents.shape[1], -1, maps.shape[-1]).mean(-2)
    made = []
    for row, (text, seed, count) in enumerate(zip(texts, seeds, _tokens(latents), strict=True)):
        weights = maps[:, row, :, :, :count]
        words = _words(model, text, weights.shape[-1])
        times = tuple(time for time, _ in steps)
        made.append(Attention(text, seed, frames[row] / model.fps, words, times, weights))
    return made


@torch.no_grad()
def sink_shares(
    model: MotionModel,
    texts: Sequence[str],
    frames: Sequence[int],
    seeds: Sequence[int],
    sampling: Sampling,
    condition: Sentences | None = None,
) -> dict[str, list[float]]:
    """SinkRatio and the share of the start token of each motion, over steps, layers and heads."""
    steps: dict[str, list[Tensor]] = {"sink_ratio": [], "start_share": []}

    def told(_: float, maps: Tensor) -> None:
        top = maps.topk(min(sampling.sink_words, maps.shape[-1])).values.sum(-1)
        steps["sink_ratio"].append(top.mean((0, 2)))
        steps["start_share"].append(maps[..., 0].mean((0, 2)))

    with each_step(model, len(texts), told):
        latents = model.sample(texts, frames, seeds, sampling, condition=condition)
    counts = _tokens(latents)
    shares = {}
    for name, each in steps.items():
        means = torch.stack(each).mean(0).unflatten(1, (latents.shape[1], -1)).mean(-1)
        shares[name] = [float(row[:n].mean()) for row, n in zip(means, counts, strict=True)]
    return shares


def _tokens(latents: Tensor) -> list[int]:
    """How many latents each motion has: past them there are zeros."""
    return (latents.flatten(2) != 0).any(-1).sum(1).tolist()


def _words(model: MotionModel, text: str, tokens: int) -> tuple[tuple[str, int], ...]:
    """The words of a sentence, and its padding, as ``tokens`` are those of a map."""
    if tokens == 1:
        return ((SENTENCE, 1),)
    words = model.text_encoder.spelled(text, model.words)
    rest = tokens - sum(count for _, count in words)
    return (*words, (PADDING, rest)) if rest else tuple(words)
