"""A stack of transformer layers with long skips, as in a U-Net (MLD, Chen et al. 2023)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lead.core.errors import RequestError


class SkipStack(nn.Module):
    """First half, middle, second half; each layer of the second half sees its mirror in the first.

    The pair is joined by concatenation and a linear map back to ``width``. A final LayerNorm
    follows. ``make_layer`` returns a fresh layer; extra arguments of forward reach every layer.
    """

    def __init__(self, make_layer: Callable[[], nn.Module], layers: int, width: int):
        super().__init__()
        if layers < 1 or layers % 2 == 0:
            raise RequestError(
                f"a stack with long skips needs an odd number of layers, not {layers}"
            )
        half = layers // 2
        self.input_blocks = nn.ModuleList(make_layer() for _ in range(half))
        self.middle_block = make_layer()
        self.output_blocks = nn.ModuleList(make_layer() for _ in range(half))
        self.linear_blocks = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(half))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, *memory: Tensor, kept: int | None = None, **masks: Tensor | None
    ) -> Tensor:
        """Tokens (batch, tokens, width) -> the same shape, or an encoder's first ``kept`` tokens.

        Those are the same either way; the last layer then computes no others.
        """
        skips = []
        for block in self.input_blocks:
            x = block(x, *memory, **masks)
            skips.append(x)
        last = len(self.output_blocks)
        for place, block in enumerate([self.middle_block, *self.output_blocks]):
            if place > 0:
                x = self.linear_blocks[place - 1](torch.cat([x, skips.pop()], dim=-1))
            if kept is None or place < last:
                x = block(x, *memory, **masks)
            elif isinstance(block, nn.TransformerEncoderLayer):
                x = first_tokens(block, x, kept, **masks)
            else:
                x = block(x, kept=kept, **masks)
        return self.norm(x)


def first_tokens(
    layer: nn.TransformerEncoderLayer,
    x: Tensor,
    kept: int,
    src_key_padding_mask: Tensor | None = None,
) -> Tensor:
    """What the layer (norm after, batch first) makes of the first ``kept`` tokens, by them alone.

    They attend to all tokens (batch, tokens, width); the mask (batch, tokens) is True at padding.
    """
    own = x[:, :kept]
    attended, _ = layer.self_attn(
        own, x, x, key_padding_mask=src_key_padding_mask, need_weights=False
    )
    own = layer.norm1(own + layer.dropout1(attended))
    hidden = layer.dropout(layer.activation(layer.linear1(own)))
    return layer.norm2(own + layer.dropout2(layer.linear2(hidden)))


def check_heads(width: int, heads: int) -> None:
    """Raise RequestError where attention heads cannot share ``width`` evenly."""
    if heads < 1 or width % heads:
        raise RequestError(
            f"width {width} cannot be shared by {heads} heads: it must be a multiple"
        )


def check_text(text: Tensor, dim: int, who: str) -> None:
    """RequestError for text (batch, words, dim) of another width than ``who`` was trained with."""
    if text.shape[-1] != dim:
        raise RequestError(
            f"text embeddings are {text.shape[-1]} wide, the {who} was trained with {dim}: use the "
            "text encoder of its run"
        )


def xavier_init(module: nn.Module) -> None:
    """Xavier-uniform for every weight matrix, as MLD initialises its transformers."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
