"""The flow transformer written straight, from its equations; the weights are those of ours.

Attention with its map, norms as they are defined, one layer after the other, and Euler's loop.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from lead.models.flow_transformer import FlowTransformer

EPSILON = 1e-6


class PlainFlow(nn.Module):
    """A copy of a flow's weights under a forward pass of its own."""

    def __init__(self, flow: FlowTransformer):
        super().__init__()
        self.own = copy.deepcopy(flow)

    def forward(
        self,
        z: Tensor,
        time: Tensor,
        text: Tensor,
        mask: Tensor,
        word_mask: Tensor,
        given: Tensor,
    ) -> Tensor:
        """Velocity (batch, tokens, joints, channels); ``given`` (batch,) says which have text."""
        own, given = self.own, given.to(z)
        condition = own.time_layers(_waves(time)) + own.text_layer(
            text[:, 0] * own.text_scale * given[:, None]
        )
        x = own.input_layer(z.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).flatten(1, 2)
        rotary = _rotary(x.shape[1], own.head_dim, own.base)
        seen = mask.repeat_interleave(own.joints // own.patch, dim=1)[:, None, None]
        words = word_mask[:, 1:].clone()
        words[:, 0] &= time <= own.sink_threshold
        weight = own.local_weight * (own.unconditional_local * (1 - given) + given)
        local = (text[:, 1:] * own.word_scale, words[:, None, None], weight[:, None, None])
        for block in own.blocks:
            x = _block(block, x, condition[:, None], rotary, seen, local)
        shift, scale = own.final_modulation(silu(condition[:, None])).chunk(2, dim=-1)
        out = own.output_layer(_rms(x, own.final_norm.weight) * (1 + scale) + shift)
        return out.reshape(z.shape)

    def guided(
        self, z: Tensor, time: Tensor, text: Tensor, mask: Tensor, words: Tensor, scale: float
    ) -> Tensor:
        """X_u + scale (X_c - X_u)."""
        given = torch.arange(2 * len(z)) >= len(z)
        twice = [torch.cat([part, part]) for part in (z, time, text, mask, words)]
        without, with_text = self(*twice, given).chunk(2)
        return without + scale * (with_text - without)

    def sample(
        self, noise: Tensor, text: Tensor, mask: Tensor, words: Tensor, scale: float, steps: int
    ) -> Tensor:
        """Latents after equal steps of Euler."""
        z = noise
        for step in range(steps):
            time = torch.full((len(z),), step / steps)
            z = z + self.guided(z, time, text, mask, words, scale) / steps
        return z


def plain_flow_step(plain: PlainFlow) -> Callable[..., None]:
    """A training step on (latents, text, mask, word_mask): the velocity's squared error."""
    plain.train()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-4)

    def step(z: Tensor, text: Tensor, mask: Tensor, words: Tensor) -> None:
        time, noise = torch.randn(len(z)).sigmoid(), torch.randn_like(z)
        at = time[:, None, None, None]
        guess = plain(at * z + (1 - at) * noise, time, text, mask, words, torch.rand(len(z)) > 0.1)
        optimizer.zero_grad()
        (guess - (z - noise))[mask].square().mean().backward()
        optimizer.step()

    return step


def _block(
    block: nn.Module, x: Tensor, condition: Tensor, rotary: tuple, seen: Tensor, local: tuple
) -> Tensor:
    """One layer: memory, what is read from words, attention, SwiGLU."""
    heads = block.attention.heads
    if (memory := block.memory) is not None:
        slots = _heads(memory.slots[None], heads)
        x = x + _attend(_rms(_heads(x, heads)), _rms(slots), slots)
    if (reader := block.text_attention) is not None:
        words, words_seen, weight = local
        q = _rms(_heads(reader.query(_rms(x)), heads), reader.q_norm.weight)
        v = _heads(reader.up(words), heads)
        read = _attend(q, _rms(v, reader.k_norm.weight), v, words_seen)
        condition = condition + weight * reader.down(read)
    parts = block.modulation(silu(condition)).chunk(6, dim=-1)
    h = _rms(x, block.norm1.weight) * (1 + parts[1]) + parts[0]
    own = block.attention
    q, k, v = (_heads(part, heads) for part in own.qkv(h).chunk(3, dim=-1))
    q = _turned(_rms(q, own.q_norm.weight), rotary)
    k = _turned(_rms(k, own.k_norm.weight), rotary)
    x = x + parts[2] * own.out(_attend(q, k, v, seen))
    h = _rms(x, block.norm2.weight) * (1 + parts[4]) + parts[3]
    gate, value = block.mlp.rise(h).chunk(2, dim=-1)
    return x + parts[5] * block.mlp.fall(silu(gate) * value)


def _rms(x: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + EPSILON).sqrt() * weight


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
    logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if seen is not None:
        logits = logits.masked_fill(~seen, -torch.inf)
    return (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)


def _rotary(tokens: int, head_dim: int, base: int) -> tuple[Tensor, Tensor]:
    rates = base ** -(torch.linspace(0, head_dim, head_dim // 2) / head_dim)
    angles = (torch.arange(tokens)[:, None] * rates).repeat(1, 2)
    return angles.cos(), angles.sin()


def _turned(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * rotary[0] + torch.cat([-second, first], dim=-1) * rotary[1]


def _waves(time: Tensor) -> Tensor:
    angles = time[:, None] * 10000.0 ** -(torch.arange(128) / 128)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
