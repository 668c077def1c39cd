"""Where attention goes: the maps of a network's layers, for those who ask, at no cost otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

TO_WORDS = "text_attention.attend"
"""How the names of modules end in which motion tokens attend to words."""


class WatchedAttention(nn.Module):
    """Scaled dot-product attention whose map a watcher can have. It has no weights.

    Where gradients are wanted on a processor it is two products: torch's form of the backward pass
    takes many times as long there for sequences as short as motions and sentences.
    """

    def __init__(self) -> None:
        super().__init__()
        self.watchers: tuple[list[Tensor], ...] = ()  # where the maps go while somebody watches

    def forward(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
        """Queries (batch, heads, rows, dim) over keys and values (batch, heads, keys, dim).

        ``seen`` (batch, 1, rows or 1, keys) is True where a key may be read, at least one a row.
        """
        if not self.watchers and not (q.requires_grad and q.device.type == "cpu"):
            return scaled_dot_product_attention(q, k, v, attn_mask=seen)
        logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if seen is not None:
            logits = logits.masked_fill(~seen, -torch.inf)
        weights = logits.softmax(-1)
        for maps in self.watchers:
            maps.append(weights.detach())
        return weights.to(v.dtype) @ v


def attends_to_words(network: nn.Module) -> bool:
    """Whether some layer of a network reads a sentence word by word."""
    return any(name.endswith(TO_WORDS) for name, _ in network.named_modules())


@contextmanager
def watch_attention(network: nn.Module, part: str = "") -> Iterator[list[Tensor]]:
    """Collect the attention maps (batch, heads, rows, keys) of each forward pass, layer by layer.

    ``part`` is how the names of the modules end that are meant, such as "text_attention.attend".
    The list grows by one map a layer and pass. Several may watch at once.
    """
    watched = [
        module
        for name, module in network.named_modules()
        if isinstance(module, WatchedAttention) and name.endswith(part)
    ]
    before = [module.watchers for module in watched]
    maps: list[Tensor] = []
    for module in watched:
        module.watchers = (*module.watchers, maps)
    try:
        yield maps
    finally:
        for module, others in zip(watched, before, strict=True):
            module.watchers = others
