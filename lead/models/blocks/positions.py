"""Positional encodings of token sequences."""

import math

import torch
from torch import Tensor, nn

from lead.core.errors import RequestError


class LearnedPositions(nn.Module):
    """One learned vector per position, added to the tokens (MLD's choice).

    They start as sinusoids, not at random as MLD's do, so that neighbouring frames are alike from
    the first step on.
    """

    def __init__(self, width: int, max_tokens: int = 500):
        super().__init__()
        self.pe = nn.Parameter(sinusoid(torch.arange(max_tokens), width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, tokens, width) -> the same shape."""
        if x.shape[1] > len(self.pe):
            raise RequestError(
                f"{x.shape[1]} tokens, but positions were learned for {len(self.pe)}: shorten"
            )
        return x + self.pe[: x.shape[1]]


class SinusoidalPositions(nn.Module):
    """Fixed sines and cosines, added to the tokens (Vaswani et al. 2017)."""

    table: Tensor

    def __init__(self, width: int, max_tokens: int = 500):
        super().__init__()
        self.register_buffer("table", sinusoid(torch.arange(max_tokens), width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, tokens, width) -> the same shape."""
        return x + self.table[: x.shape[1]].to(x.dtype)


def sinusoid(position: Tensor, width: int) -> Tensor:
    """Cosines then sines of each position at ``width / 2`` frequencies from 1 to 1/10000.

    An odd ``width`` gets a zero at the end.
    """
    half = width // 2
    frequency = torch.exp(
        -math.log(10000.0) * torch.arange(half, device=position.device, dtype=torch.float32) / half
    )
    angle = position.to(torch.float32)[..., None] * frequency
    waves = torch.cat([angle.cos(), angle.sin()], dim=-1)
    return nn.functional.pad(waves, (0, width % 2))
