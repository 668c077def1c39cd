"""Dropout and attention that cost less in training on a processor; no weight is renamed."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

LEVELS = 1 << 8


class QuickDropout(nn.Module):
    """Dropout by 8 random bits an element: the share is ``p`` over many calls, the mean exact.

    torch draws one Bernoulli number an element on a CPU, a fifth of a training step of the paper's
    VAE; eight elements share one 64-bit draw here.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, some entries zero, the others larger; unchanged in evaluation."""
        return quick_dropout(x, self.p) if self.training else x


def quick_dropout(x: Tensor, p: float) -> Tensor:
    """Zero a share of the entries and magnify the others by what that share asks for.

    The share is one of the two multiples of 1/256 beside ``p``, at random, and ``p`` on average.
    """
    if p == 0:
        return x
    dropped = min(int(p * LEVELS + torch.rand((), device="cpu").item()), LEVELS - 1)
    if dropped == 0:
        return x
    draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
    bits = draws.random_(-(2**63), None).view(torch.uint8)[: x.numel()].view(x.shape)
    # Comparisons and selections are slow on a CPU; integer arithmetic in place is not.
    kept = bits.clamp_(dropped - 1, dropped).sub_(dropped - 1).to(x.dtype)
    return x * kept * (LEVELS / (LEVELS - dropped))


def attend_by_products(
    q: Tensor, k: Tensor, v: Tensor, padding: Tensor | None, dropout: float = 0.0
) -> Tensor:
    """softmax(q kᵀ / sqrt(dim)) v of (batch, heads, tokens, dim); ``padding`` is (batch, tokens).

    It is True, or -inf, where keys are padding. ``dropout`` is a share of the weights.
    """
    shape = q.shape
    q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    scores = torch.baddbmm(q.new_zeros(1), q, k.mT, beta=0, alpha=shape[-1] ** -0.5)
    if padding is not None:
        every, padding = scores.unflatten(0, shape[:2]), padding[:, None, None]
        if padding.dtype == torch.bool:
            every = every.masked_fill(padding, -torch.inf)
        else:
            every = every + padding
        scores = every.flatten(0, 1)
    weights = quick_dropout(scores.softmax(-1), dropout)
    return torch.bmm(weights.to(v.dtype), v).view(shape)


class QuickAttention(nn.MultiheadAttention):
    """Attention as two batched products, and attention to one token as that token's value.

    The forms that torch chooses from on a CPU take up to two and a half times as long in training:
    they draw a Bernoulli number for every weight, and copy queries, keys and values apart.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        **options: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Tokens (batch, tokens, width) and None; what is neither of the two goes to torch.

        ``key_padding_mask`` (batch, tokens) is True, or -inf, at padding.
        """
        if key is value and query.ndim == 3 and not need_weights and attn_mask is None:
            if key.shape[1] == 1 and key_padding_mask is None:
                return self._to_one(query, key), None
            return self._by_products(query, key, key_padding_mask), None
        return super().forward(
            query, key, value, key_padding_mask, need_weights, attn_mask, **options
        )

    def _by_products(self, x: Tensor, memory: Tensor, padding: Tensor | None) -> Tensor:
        width, heads = x.shape[-1], self.num_heads
        weight, bias = self.in_proj_weight, self.in_proj_bias
        if x is memory:
            packed = linear(x, weight, bias).unflatten(-1, (3, heads, -1))
            q, k, v = packed.permute(2, 0, 3, 1, 4).contiguous()
        else:
            of_x, of_memory = (None, None) if bias is None else (bias[:width], bias[width:])
            q = linear(x, weight[:width], of_x).unflatten(-1, (heads, -1)).transpose(1, 2)
            packed = linear(memory, weight[width:], of_memory).unflatten(-1, (2, heads, -1))
            k, v = packed.permute(2, 0, 3, 1, 4).contiguous()
        out = attend_by_products(q, k, v, padding, self.dropout if self.training else 0.0)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def _to_one(self, x: Tensor, memory: Tensor) -> Tensor:
        """Every weight is 1, whatever the query."""
        batch, tokens, width = x.shape
        bias = None if self.in_proj_bias is None else self.in_proj_bias[2 * width :]
        value = linear(memory, self.in_proj_weight[2 * width :], bias)
        if not (self.training and self.dropout):
            return self.out_proj(value).expand(-1, tokens, -1)
        ones = torch.ones(batch, tokens, self.num_heads, 1, device=value.device)
        weights = quick_dropout(ones, self.dropout)  # in 32 bits: 1 / (1 - p) is not rounded
        return self.out_proj((weights * value.unflatten(-1, (self.num_heads, -1))).flatten(2))


def quicken(module: nn.Module) -> None:
    """Put the quick forms in the place of every ``nn.Dropout`` and attention inside."""
    for name, child in module.named_children():
        if type(child) is nn.Dropout and child.p < 1:
            setattr(module, name, QuickDropout(child.p).train(child.training))
            continue
        if type(child) is nn.MultiheadAttention and _is_packed(child):
            child.__class__ = QuickAttention  # the same weights under the same names
        quicken(child)


def _is_packed(attention: nn.MultiheadAttention) -> bool:
    """Whether queries, keys and values share one weight and nothing is added to them."""
    one = attention.in_proj_weight is not None and attention.batch_first
    return one and attention.bias_k is None and not attention.add_zero_attn
