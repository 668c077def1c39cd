"""The paper's networks written straight: attention with its weights, one layer after the other.

No fused attention, no packed weights, nothing computed once; state dictionaries are those of
``lead.models``, so that both sides compute the same numbers.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu


class PlainEncoderLayer(nn.Module):
    """Self-attention and feed-forward, each added and normalised (Vaswani et al. 2017)."""

    def __init__(self, width: int = 256, heads: int = 4, feed_forward: int = 1024):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, 0.1, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, feed_forward), nn.Linear(feed_forward, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Tokens (batch, tokens, width) -> the same shape."""
        x = self.norm1(x + self.dropout(self.self_attn(x, x, x, key_padding_mask=padding)[0]))
        hidden = self.dropout(gelu(self.linear1(x)))
        return self.norm2(x + self.dropout(self.linear2(hidden)))


class PlainDecoderLayer(PlainEncoderLayer):
    """The same with attention to a memory in between."""

    def __init__(self, width: int = 256, heads: int = 4, feed_forward: int = 1024):
        super().__init__(width, heads, feed_forward)
        self.multihead_attn = nn.MultiheadAttention(width, heads, 0.1, batch_first=True)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Tensor, padding: Tensor | None = None) -> Tensor:
        """Tokens (batch, tokens, width) and memory -> the tokens' shape."""
        x = self.norm1(x + self.dropout(self.self_attn(x, x, x, key_padding_mask=padding)[0]))
        x = self.norm2(x + self.dropout(self.multihead_attn(x, memory, memory)[0]))
        hidden = self.dropout(gelu(self.linear1(x)))
        return self.norm3(x + self.dropout(self.linear2(hidden)))


class PlainStack(nn.Module):
    """Nine layers with long skips."""

    def __init__(self, make_layer: Callable[[], nn.Module], width: int = 256):
        super().__init__()
        self.input_blocks = nn.ModuleList(make_layer() for _ in range(4))
        self.middle_block = make_layer()
        self.output_blocks = nn.ModuleList(make_layer() for _ in range(4))
        self.linear_blocks = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(4))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, *rest: Tensor | None) -> Tensor:
        """Tokens (batch, tokens, width) -> the same shape."""
        skips = []
        for block in self.input_blocks:
            x = block(x, *rest)
            skips.append(x)
        x = self.middle_block(x, *rest)
        for block, join in zip(self.output_blocks, self.linear_blocks, strict=True):
            x = block(join(torch.cat([x, skips.pop()], dim=-1)), *rest)
        return self.norm(x)


class _Positions(nn.Module):
    def __init__(self, width: int = 256):
        super().__init__()
        self.pe = nn.Parameter(torch.zeros(500, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe[: x.shape[1]]


class PlainVae(nn.Module):
    """MLD's VAE of one token of 256."""

    def __init__(self, features: int = 263, width: int = 256):
        super().__init__()
        self.encoder, self.decoder = PlainStack(PlainEncoderLayer), PlainStack(PlainDecoderLayer)
        self.input_layer = nn.Linear(features, width)
        self.output_layer = nn.Linear(width, features)
        self.encoder_positions, self.decoder_positions = _Positions(), _Positions()
        self.distribution_tokens = nn.Parameter(torch.zeros(2, width))

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, each (batch, 1, width)."""
        tokens = self.distribution_tokens.expand(len(x), -1, -1)
        padding = torch.cat([mask.new_zeros(len(x), 2), ~mask], dim=1)
        sequence = torch.cat([tokens, self.input_layer(x)], dim=1)
        return self.encoder(self.encoder_positions(sequence), padding)[:, :2].chunk(2, dim=1)

    def decode(self, z: Tensor, mask: Tensor) -> Tensor:
        """Normalised features (batch, frames, features), zero on padding."""
        queries = self.decoder_positions(z.new_zeros(*mask.shape, z.shape[-1]))
        return self.output_layer(self.decoder(queries, z, ~mask)) * mask[..., None]


class PlainDenoiser(nn.Module):
    """MLD's denoiser: latent, time and text tokens through a stack."""

    def __init__(self, text_dim: int = 768, width: int = 256):
        super().__init__()
        self.text_dim = text_dim
        self.time_embedding = nn.Sequential(
            nn.Linear(text_dim, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.text_layer, self.positions = nn.Linear(text_dim, width), _Positions()
        self.encoder = PlainStack(PlainEncoderLayer)

    def forward(self, z_t: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """Predicted noise (batch, 1, width)."""
        half = self.text_dim // 2
        steps = torch.arange(half, device=z_t.device)
        angle = timestep[:, None].float() * torch.exp(-math.log(10000.0) * steps / half)
        time = self.time_embedding(torch.cat([angle.cos(), angle.sin()], dim=-1))
        words = self.text_layer(torch.relu(text))
        sequence = torch.cat([z_t, time[:, None], words], dim=1)
        return self.encoder(self.positions(sequence))[:, : z_t.shape[1]]


class PlainProjector(nn.Module):
    """LEAD's transformer projector: to the text encoder's space and back."""

    def __init__(self, text_dim: int = 768, width: int = 256):
        super().__init__()
        self.encoder, self.decoder = _body(width, text_dim), _body(text_dim, width)

    def forward(self, z: Tensor) -> Tensor:
        """Latents (batch, 1, width) -> the same shape."""
        return self.decoder(self.encoder(z))


class _FixedPositions(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        steps = torch.arange(half, device=x.device)
        angle = torch.arange(x.shape[1], device=x.device)[:, None] * torch.exp(
            -math.log(10000.0) * steps / half
        )
        return x + torch.cat([angle.cos(), angle.sin()], dim=-1)


def _body(inputs: int, outputs: int, width: int = 256) -> nn.Module:
    layers = [PlainEncoderLayer() for _ in range(9)]
    ends = (nn.Linear(inputs, width), nn.Linear(width, outputs))
    return nn.Sequential(ends[0], _FixedPositions(), *layers, nn.LayerNorm(width), ends[1])
