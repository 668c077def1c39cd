"""Networks of a judge for small, open data sets: vectors of whole sentences, and convolutions.

The published networks read words and learn what they mean from the captions alone; a few hundred
sentences by people are too few for that. Here a frozen text encoder, which whoever trains or loads
the judge hands in, has read each sentence before, and only a small map is learned.
"""

from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu

from lead.core.sizes import Size
from lead.evaluation.extractor.networks import CONTACTS, STRIDE, check_motions

DROPOUT = 0.2
DILATIONS = (1, 2, 4)  # snippets: a convolution sees 5, so the three see 1.4 s on either side


class OpenExtractor(nn.Module):
    """Sentences and motions as vectors of one Euclidean space.

    ``features`` is the width of the motion representation, foot contacts included, ``word_dim``
    that of a sentence's vector.
    """

    def __init__(
        self,
        features: Annotated[Size, Field(gt=CONTACTS)],
        word_dim: Size = 384,
        text_width: Size = 256,
        movement_width: Size = 256,
        motion_width: Size = 256,
        dim: Size = 64,
    ):
        super().__init__()
        self.features, self.dim = features, dim
        self.register_buffer("center", torch.zeros(word_dim))
        self.register_buffer("deviation", torch.ones(word_dim))
        self.text_encoder = nn.Sequential(nn.Dropout(DROPOUT), _head(word_dim, text_width, dim))
        self.movement_encoder = MovementEncoder(features, movement_width)
        self.motion_encoder = _head(2 * movement_width, motion_width, dim)

    def fit(self, sentences: Float[Tensor, "sentences word_dim"]) -> None:
        """Standardise with the moments of these: vectors of a text encoder have much in common."""
        self.center.copy_(sentences.mean(dim=0))
        self.deviation.copy_(sentences.std(dim=0).clamp(min=1e-6))

    def embed_text(self, sentences: Float[Tensor, "batch word_dim"]) -> Float[Tensor, "batch dim"]:
        """Vectors of sentences from those of the text encoder, in the order given."""
        return self.text_encoder((sentences - self.center) / self.deviation)

    def embed_motion(
        self, x: Float[Tensor, "batch frames features"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch dim"]:
        """Vectors of motions, in the order given; ``lengths`` count frames.

        ``x`` is normalised and padded by ``pad_motions``; frames beyond a multiple of four are not
        counted. Raises RequestError for another number of features and for motions under four
        frames.
        """
        check_motions(x, lengths, self.features)
        return self.motion_encoder(self.movement_encoder(x, lengths // STRIDE))


class MovementEncoder(nn.Module):
    """Convolutions over snippets of four frames; their mean and their largest values."""

    def __init__(self, features: int, width: int):
        super().__init__()
        self.halves = nn.ModuleList(
            nn.Conv1d(inputs, width, kernel_size=4, stride=2, padding=1)
            for inputs in (features - CONTACTS, width)
        )
        self.norms = nn.ModuleList(MaskedNorm(width) for _ in DILATIONS)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, kernel_size=5, padding=2 * dilation, dilation=dilation)
            for dilation in DILATIONS
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(
        self, x: Float[Tensor, "batch frames features"], snippets: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch both"]:
        """Both summaries side by side; what lies behind a motion's snippets is not looked at."""
        first, second = self.halves
        h = second(gelu(first(x[..., :-CONTACTS].transpose(1, 2))))
        snippets = snippets.to(h.device)[:, None]
        real = (torch.arange(h.shape[-1], device=h.device) < snippets)[:, None]
        h = h * real
        for norm, layer in zip(self.norms, self.layers, strict=True):
            h = (h + self.dropout(gelu(layer(norm(h, real))))) * real
        largest = h.masked_fill(~real, -torch.inf).amax(dim=-1)
        return torch.cat([h.sum(dim=-1) / snippets, largest], dim=-1)


class MaskedNorm(nn.Module):
    """Mean 0 and deviation 1 over the real snippets of a motion: padding changes nothing."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1))

    def forward(
        self,
        h: Float[Tensor, "batch width snippets"],
        real: Bool[Tensor, "batch one snippets"],
    ) -> Float[Tensor, "batch width snippets"]:
        """``h`` is zero where nothing is real, and so is the result."""
        count = real.sum(dim=-1, keepdim=True) * h.shape[1]
        apart = (h - h.sum(dim=(1, 2), keepdim=True) / count) * real
        variance = apart.square().sum(dim=(1, 2), keepdim=True) / count
        return (apart * (variance + 1e-5).rsqrt() * self.weight + self.bias) * real


def _head(inputs: int, width: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.LayerNorm(width),
        nn.GELU(),
        nn.Dropout(DROPOUT),
        nn.Linear(width, dim),
    )
