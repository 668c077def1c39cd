"""From latents of sentences to the sentences: a beam search in which no word stands three times."""

import re
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lead.models.sentence_pieces import SentencePieces
from lead.models.text_autoencoder import TextAutoencoder

RUNNING = 3  # times that a word is not said running
SPARE = 6  # candidates beside twice the beams, for those that are left out

_WORD = re.compile(r"[\w'-]+")


@dataclass(frozen=True)
class Beam:
    """A sentence on its way: its pieces, and the sum of the logarithms of their probabilities."""

    ids: tuple[int, ...]
    total: float

    @property
    def score(self) -> float:
        """Of a piece, on average: long sentences are not worse."""
        return self.total / len(self.ids)


@torch.no_grad()
def write_sentences(
    network: TextAutoencoder,
    pieces: SentencePieces,
    latents: Float[Tensor, "batch latent_tokens latent_dim"],
    *,
    beams: int = 1,
    most: int = 60,
) -> list[tuple[str, float]]:
    """The sentence of each row and its score, the mean log-probability of its pieces.

    One beam is greedy decoding. No word stands three times running. A row's sentence depends on its
    own latents alone, and nothing is drawn. ``most`` is the longest sentence in pieces.
    """
    from transformers import DynamicCache

    rows, most = len(latents), min(most, network.longest - network.latent_tokens)
    prefix = network.prefix(latents).repeat_interleave(beams, dim=0)
    cache = DynamicCache(config=network.language.config)
    log_odds = network.logits(prefix, cache)[:, -1].float().log_softmax(-1)
    alive = [[Beam((), 0.0)] for _ in range(rows)]
    ended: list[list[Beam]] = [[] for _ in range(rows)]
    for _ in range(most):
        sources, added = [], []
        for row in range(rows):
            grown = _grown(alive[row], log_odds[row * beams : (row + 1) * beams], beams, pieces)
            ended[row] += [beam for beam, _ in grown if beam.ids[-1] == network.end]
            going = [(b, source) for b, source in grown if b.ids[-1] != network.end][:beams]
            if len(ended[row]) >= beams:
                going = []
            alive[row] = [beam for beam, _ in going]
            filler = [(Beam((network.end,), 0.0), 0)] * (beams - len(going))
            sources += [row * beams + source for _, source in going + filler]
            added += [beam.ids[-1] for beam, _ in going + filler]
        if not any(alive):
            break
        cache.reorder_cache(torch.tensor(sources, device=latents.device))
        ids = torch.tensor(added, device=latents.device)[:, None]
        log_odds = network.logits(network.pieces(ids), cache)[:, -1].float().log_softmax(-1)
    best = [
        max(done or going, key=lambda beam: beam.score)
        for done, going in zip(ended, alive, strict=True)
    ]
    return [(pieces.decode(beam.ids), beam.score) for beam in best]


def _grown(
    alive: list[Beam], log_odds: Tensor, beams: int, pieces: SentencePieces
) -> list[tuple[Beam, int]]:
    """The best of all beams a piece longer, each with the beam that it was; no ends among the rest.

    Candidates are those that could be among the best; of equal ones the first stays the first.
    """
    found: list[tuple[Beam, int]] = []
    top = log_odds.topk(min(2 * beams + SPARE, log_odds.shape[1]))
    for source, beam in enumerate(alive):
        warned = _may_repeat(pieces.decode(beam.ids))
        for value, piece in zip(
            top.values[source].tolist(), top.indices[source].tolist(), strict=True
        ):
            longer = Beam((*beam.ids, piece), beam.total + value)
            if not (warned and repeats(pieces.decode(longer.ids))):
                found.append((longer, source))
    found.sort(key=lambda one: -one[0].total)
    return found[: 2 * beams]


def repeats(sentence: str) -> bool:
    """Whether the last word stands three times running, whatever its case and marks."""
    words = _WORD.findall(sentence.lower())
    return len(words) >= RUNNING and len(set(words[-RUNNING:])) == 1


def _may_repeat(sentence: str) -> bool:
    """Whether a piece more could make a third of two equal words."""
    words = _WORD.findall(sentence.lower())
    return any(a == b for a, b in zip(words[-3:-1], words[-2:], strict=False))
