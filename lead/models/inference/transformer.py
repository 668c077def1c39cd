"""Transformer layers after training: the same function as torch's, in fewer and larger steps."""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, scaled_dot_product_attention

from lead.models.blocks.quick import attend_by_products
from lead.models.blocks.skip_stack import SkipStack
from lead.models.inference.linear import PackedLinear, packed_from

ACTIVATIONS = {nn.functional.relu: "relu", nn.functional.gelu: "gelu"}


class FastEncoderLayer(nn.Module):
    """``nn.TransformerEncoderLayer`` (post-norm, batch first, no dropout) for inference.

    Queries, keys and values are one product; attention is fused; activation and residuals belong
    to the products before them. Where a sequence has one token, attention is the token's value,
    and value and output maps are one matrix.
    """

    def __init__(self, layer: nn.TransformerEncoderLayer, dtype: torch.dtype):
        super().__init__()
        self.attention = _SelfAttention(layer.self_attn, dtype)
        self.norm1, self.norm2 = _norm(layer.norm1, dtype), _norm(layer.norm2, dtype)
        self.feed_forward = _FeedForward(layer, dtype)

    def forward(
        self,
        x: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        kept: int | None = None,
    ) -> Tensor:
        """Tokens (batch, tokens, width) -> the same shape, or its first ``kept`` tokens alone."""
        _refuse(src_mask)
        rows = len(x)
        x = self.norm1(self.attention(x, src_key_padding_mask, kept))
        return self.norm2(self.feed_forward(x)).unflatten(0, (rows, -1))


class FastDecoderLayer(nn.Module):
    """``nn.TransformerDecoderLayer`` (post-norm, batch first, no dropout) for inference.

    Where there is one memory token, every query gets that token's value: the attention to it is a
    product of the memory alone.
    """

    def __init__(self, layer: nn.TransformerDecoderLayer, dtype: torch.dtype):
        super().__init__()
        self.attention = _SelfAttention(layer.self_attn, dtype)
        self.memory_attention = _MemoryAttention(layer.multihead_attn, dtype)
        self.norm1, self.norm2 = _norm(layer.norm1, dtype), _norm(layer.norm2, dtype)
        self.norm3 = _norm(layer.norm3, dtype)
        self.feed_forward = _FeedForward(layer, dtype)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        tgt_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Tokens (batch, tokens, width) and memory (batch, memory tokens, width) -> tokens."""
        if tgt_key_padding_mask is None and _all_alike(x):
            x = x[:1]  # until they read the memory
        x = self.norm1(self.attention(x, tgt_key_padding_mask, None)).view(x.shape)
        x = self.norm2(self.memory_attention(x, memory))
        return self.norm3(self.feed_forward(x))


class _SelfAttention(nn.Module):
    """x + self-attention(x), (rows, tokens, width) -> (rows times tokens, width)."""

    def __init__(self, attention: nn.MultiheadAttention, dtype: torch.dtype):
        super().__init__()
        self.heads = attention.num_heads
        self.qkv = PackedLinear(attention.in_proj_weight, attention.in_proj_bias, dtype)
        self.out = packed_from(attention.out_proj, dtype)
        self.alone = _value_map(attention, dtype)

    def forward(self, x: Tensor, padding: Tensor | None, kept: int | None) -> Tensor:
        rows, tokens, _ = x.shape
        flat = x.flatten(0, 1)  # once: every product of more axes does it and undoes it
        if tokens == 1:
            return self.alone.add_to(flat, flat)
        qkv = self.qkv(flat).view(rows, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
        if kept is not None:
            q, flat = q[:, :, :kept], x[:, :kept].flatten(0, 1)
        return self.out.add_to(flat, _attend(q, k, v, padding).flatten(0, 1))


class _MemoryAttention(nn.Module):
    """x + attention of x to the memory."""

    def __init__(self, attention: nn.MultiheadAttention, dtype: torch.dtype):
        super().__init__()
        self.heads = attention.num_heads
        width = attention.embed_dim
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        self.query = PackedLinear(weight[:width], bias[:width], dtype)
        self.key_value = PackedLinear(weight[width:], bias[width:], dtype)
        self.out = packed_from(attention.out_proj, dtype)
        self.alone = _value_map(attention, dtype)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        if memory.shape[1] == 1:
            return x + self.alone(memory)
        if len(x) < len(memory):
            x = x.expand(len(memory), -1, -1).contiguous()
        q = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.key_value(memory).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out.add_to(x, _attend(q, k, v, None))


class _FeedForward(nn.Module):
    """x + W2 activation(W1 x)."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.expand = packed_from(layer.linear1, dtype, ACTIVATIONS[layer.activation])
        self.contract = packed_from(layer.linear2, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract.add_to(x, self.expand(x))


class FastNorm(nn.Module):
    """``nn.LayerNorm`` in the dtype of its input, its own numbers in float32."""

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype):
        super().__init__()
        self.shape, self.eps = norm.normalized_shape, norm.eps
        self.weight = None if norm.weight is None else norm.weight.detach().to(dtype)
        self.bias = None if norm.bias is None else norm.bias.detach().to(dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> the same shape."""
        return layer_norm(x.to(self.dtype), self.shape, self.weight, self.bias, self.eps)


class FastSkipStack(SkipStack):
    """A ``SkipStack`` of fast layers."""

    def __init__(self, stack: SkipStack, dtype: torch.dtype):
        nn.Module.__init__(self)
        self.dtype = dtype
        for name, part in stack.named_children():
            self.add_module(name, part)

    def forward(
        self, x: Tensor, *memory: Tensor, kept: int | None = None, **masks: Tensor | None
    ) -> Tensor:
        """Tokens (batch, tokens, width) -> float32 of the same shape, or the first ``kept``."""
        x = x[:1].to(self.dtype).expand_as(x) if _all_alike(x) else x.to(self.dtype)
        return super().forward(x, *memory, kept=kept, **masks).float()


def fast_layer(layer: nn.Module, dtype: torch.dtype) -> nn.Module | None:
    """The layer for inference; None for one that differs from what is built here."""
    kinds = {
        nn.TransformerEncoderLayer: FastEncoderLayer,
        nn.TransformerDecoderLayer: FastDecoderLayer,
    }
    kind = kinds.get(type(layer))
    if kind is None or layer.norm_first or layer.activation not in ACTIVATIONS:
        return None
    return kind(layer, dtype) if layer.self_attn.batch_first else None


def _norm(norm: nn.LayerNorm, dtype: torch.dtype) -> FastNorm:
    return FastNorm(norm, dtype)


def _all_alike(x: Tensor) -> bool:
    """Whether the rows are one row, expanded: a decoder's queries before they read anything."""
    return len(x) > 1 and x.stride(0) == 0


ENOUGH, FEW = 192, 32  # rows times tokens, and tokens; measured on two cores


def _attend(q: Tensor, k: Tensor, v: Tensor, padding: Tensor | None) -> Tensor:
    """Attention (batch, heads, tokens, dim) -> (batch, tokens, width).

    ``padding`` (batch, tokens) is True, or -inf, at tokens that nobody reads.
    """
    tokens = k.shape[2]
    quick = len(k) * tokens >= ENOUGH and (tokens <= FEW or k.dtype == torch.bfloat16)
    if quick and k.device.type == "cpu":
        out = attend_by_products(q, k, v, padding)  # torch's kernel takes up to twice as long
    else:
        mask = None if padding is None else padding[:, None, None, :]
        mask = ~mask if mask is not None and mask.dtype == torch.bool else mask
        out = scaled_dot_product_attention(q, k, v, mask)
    return out.transpose(1, 2).flatten(2)


def _value_map(attention: nn.MultiheadAttention, dtype: torch.dtype) -> PackedLinear:
    """Attention to one token: out_proj(value(token)), one matrix."""
    width = attention.embed_dim
    value = attention.in_proj_weight[2 * width :].double()
    out = attention.out_proj.weight.double()
    bias = out @ attention.in_proj_bias[2 * width :].double() + attention.out_proj.bias
    return PackedLinear((out @ value).float(), bias.float(), dtype)


def _refuse(mask: Tensor | None) -> None:
    if mask is not None:
        raise NotImplementedError("attention masks between tokens: use the trained module itself")
