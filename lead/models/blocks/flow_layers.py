"""The layers of flow transformers: ACMDM's (AdaLN-zero, RMSNorm, rotary, SwiGLU) and MLA-Gen's."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import silu

from lead.core.errors import RequestError
from lead.models.blocks.rms_norm import RmsNorm, unit_rms
from lead.models.blocks.skip_stack import check_heads
from lead.models.blocks.watching import WatchedAttention

Tokens = Float[Tensor, "batch tokens width"]
Condition = Float[Tensor, "batch one_or_tokens width"]
Waves = Float[Tensor, "2 tokens head_dim"]


def check_rotary_heads(width: int, heads: int) -> None:
    """RequestError where heads cannot share ``width`` evenly, or have no pairs to turn."""
    check_heads(width, heads)
    if width // heads % 2:
        raise RequestError(
            f"width {width} makes {heads} heads of {width // heads} numbers, which have no pairs "
            "for rotary positions to turn: an even number is wanted"
        )


def start_silent(
    network: nn.Module, time_layers: Iterable[nn.Linear], silent: Iterable[nn.Linear]
) -> None:
    """Xavier for all matrices, small ones for times; ``silent`` layers, gates and outputs, zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for layer in time_layers:
        nn.init.normal_(layer.weight, std=0.02)
    for layer in silent:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def rotary_base(tokens: int) -> int:
    """ACMDM's base for sequences of up to so many tokens: 200 for 49, 1400 for 49 x 11."""
    return (int(8 * tokens / math.pi) // 100 + 1) * 100


def rotary_waves(tokens: int, head_dim: int, base: int, device: torch.device) -> Waves:
    """Cosines and sines by which ``rotate`` turns the pairs of a head at each place.

    Frequencies fall from 1 to 1 / base, both included (not the usual base^(-2i/d)).
    """
    exponent = torch.linspace(0, head_dim, head_dim // 2, device=device) / head_dim
    places = torch.arange(tokens, device=device, dtype=torch.float32)
    angles = (places[:, None] * (1.0 / base**exponent)).repeat(1, 2)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Float[Tensor, "batch heads tokens head_dim"], waves: Waves) -> Tensor:
    """Turn entry i and entry i + head_dim/2 of each place by its angle (Su et al. 2021)."""
    first, second = x.chunk(2, dim=-1)
    turned = x * waves[0] + torch.cat([-second, first], dim=-1) * waves[1]
    return turned.to(x.dtype)


class SelfAttention(nn.Module):
    """Attention among tokens, queries and keys normalised per head and turned by their place."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm, self.k_norm = RmsNorm(width // heads), RmsNorm(width // heads)
        self.attend = WatchedAttention()
        self.out = nn.Linear(width, width)

    def forward(self, x: Tokens, waves: Waves, seen: Tensor | None) -> Tokens:
        """``seen`` (batch, 1, 1, tokens) is True where a token may be read; None reads all."""
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        q, k = rotate(self.q_norm(q), waves), rotate(self.k_norm(k), waves)
        return self.out(join_heads(self.attend(q, k, v, seen)))


class GatedMlp(nn.Module):
    """SwiGLU (Shazeer 2020): (SiLU(W1 x) * W2 x) W3, hidden two thirds of four times the width."""

    def __init__(self, width: int):
        super().__init__()
        hidden = int(2 / 3 * 4 * width)
        self.rise = nn.Linear(width, 2 * hidden)
        self.fall = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> the same shape."""
        gate, value = self.rise(x).chunk(2, dim=-1)
        return self.fall(silu(gate) * value)


class MemorySlots(nn.Module):
    """MLA-Gen's global motion priors: h + Attn(Q = h, K = M, V = M) over learned slots M.

    As the paper writes it, without projections. Queries and keys are normalised per head, as
    everywhere in this backbone: the residual stream's size is no measure of how sharp to look.
    """

    def __init__(self, slots: int, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.slots = nn.Parameter(0.02 * torch.randn(slots, width))
        self.attend = WatchedAttention()

    def forward(self, h: Tokens) -> Tokens:
        """The tokens with what they read from the slots added."""
        q = unit_rms(split_heads(h, self.heads))
        memory = split_heads(self.slots[None], self.heads).expand(len(h), -1, -1, -1)
        k = unit_rms(memory).to(h.dtype)
        return h + join_heads(self.attend(q, k, memory.to(h.dtype)))


class TextAttention(nn.Module):
    """MLA-Gen's local conditioning: W_down Attn(Q = z, K = W_up T, V = W_up T) per motion token.

    Keys and values share W_up, as the paper has it. Queries have a matrix of their own (the paper
    writes none, but z and W_up T live in different spaces), queries and keys are normalised per
    head, and W_down starts at zero: the network starts as one without local conditioning.
    """

    def __init__(self, width: int, heads: int, text_dim: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.up = nn.Linear(text_dim, width, bias=False)
        self.q_norm, self.k_norm = RmsNorm(width // heads), RmsNorm(width // heads)
        self.attend = WatchedAttention()
        self.down = nn.Linear(width, width, bias=False)

    def forward(
        self,
        z: Tokens,
        words: Float[Tensor, "batch words text_dim"],
        seen: Bool[Tensor, "batch words"] | None,
    ) -> Tokens:
        """What each motion token reads from the words that are ``seen``; nothing where none is."""
        q = self.q_norm(split_heads(self.query(unit_rms(z)), self.heads))
        values = split_heads(self.up(words), self.heads)
        if seen is None:
            return self.down(join_heads(self.attend(q, self.k_norm(values), values)))
        some = seen.any(-1)[:, None, None]
        read = (seen | ~some[:, 0])[:, None, None]
        out = join_heads(self.attend(q, self.k_norm(values), values, read))
        return self.down(out) * some


class FlowBlock(nn.Module):
    """Attention and SwiGLU, each shifted, scaled and gated by the condition (AdaLN-zero, DiT).

    ``silent`` are the layers that start at zero.
    With ``slots`` the tokens read from memory first; with ``text_dim`` each token's condition is
    C = C_g + lambda C_l, where C_l is what it reads from the words (MLA-Gen).
    """

    def __init__(self, width: int, heads: int, slots: int = 0, text_dim: int = 0):
        super().__init__()
        self.memory = MemorySlots(slots, width, heads) if slots else None
        self.text_attention = TextAttention(width, heads, text_dim) if text_dim else None
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.attention = SelfAttention(width, heads)
        self.mlp = GatedMlp(width)
        self.modulation = nn.Linear(width, 6 * width)
        self.silent = [self.modulation, *([self.text_attention.down] if text_dim else [])]

    def forward(
        self, x: Tokens, condition: Condition, waves: Waves, seen: Tensor | None, local: tuple
    ) -> Tokens:
        """``local`` is (words, which are seen, lambda per row (batch, 1, 1)) of the text."""
        if self.memory is not None:
            x = self.memory(x)
        if self.text_attention is not None:
            words, words_seen, weight = local
            condition = condition + weight * self.text_attention(x, words, words_seen)
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(silu(condition)).chunk(6, -1)
        x = x + gate * self.attention(modulate(self.norm1(x), shift, scale), waves, seen)
        return x + gate2 * self.mlp(modulate(self.norm2(x), shift2, scale2))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift."""
    return x * (1 + scale) + shift


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, tokens, width) -> (batch, heads, tokens, width / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(batch, heads, tokens, head_dim) -> (batch, tokens, width)."""
    return x.transpose(1, 2).flatten(2)
