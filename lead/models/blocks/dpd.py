"""MoTe's blocks: a transformer layer for motion, one for text, and what passes between the two."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from lead.models.blocks.flow_layers import FlowBlock, GatedMlp, TextAttention, modulate
from lead.models.blocks.rms_norm import RmsNorm

Both = tuple[Tensor, Tensor]
"""Of motion and of text."""


class InContext(nn.Module):
    """One layer over the tokens of both, as one sequence."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.layer = FlowBlock(width, heads)
        self.silent = self.layer.silent

    def forward(self, x: Tensor, y: Tensor, common: Tensor, places: Both, seen: tuple) -> Both:
        """Tokens (batch, tokens, width) of motion and of text, and which of either are read."""
        both, own = None, (torch.ones_like(of[:, None, None, :, 0], dtype=bool) for of in (x, y))
        if any(one is not None for one in seen):
            both = torch.cat(
                [mine if one is None else one for one, mine in zip(seen, own, strict=True)], dim=-1
            )
        out = self.layer(torch.cat([x, y], dim=1), common, torch.cat(places, dim=1), both, ())
        return out[:, : x.shape[1]], out[:, x.shape[1] :]


class CrossAttention(nn.Module):
    """Either reads the other's tokens as they were."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.of_motion, self.of_text = (TextAttention(width, heads, width) for _ in range(2))
        self.silent = [self.of_motion.down, self.of_text.down]
        self.norm_x, self.norm_y = RmsNorm(width), RmsNorm(width)

    def forward(self, x: Tensor, y: Tensor, common: Tensor, places: Both, seen: tuple) -> Both:  # noqa: ARG002
        """As ``InContext``."""
        seen_x, seen_y = (None if one is None else one[:, 0, 0] for one in seen)
        of_x, of_y = self.norm_x(x), self.norm_y(y)
        return x + self.of_motion(x, of_y, seen_y), y + self.of_text(y, of_x, seen_x)


class AdaLn(nn.Module):
    """Either goes through SwiGLU that is shifted, scaled and gated by the mean of the other."""

    def __init__(self, width: int, heads: int):  # noqa: ARG002
        super().__init__()
        self.to_motion, self.to_text = (nn.Linear(width, 3 * width) for _ in range(2))
        self.silent = [self.to_motion, self.to_text]
        self.norm_x, self.norm_y = RmsNorm(width), RmsNorm(width)
        self.mlp_x, self.mlp_y = GatedMlp(width), GatedMlp(width)

    def forward(self, x: Tensor, y: Tensor, common: Tensor, places: Both, seen: tuple) -> Both:  # noqa: ARG002
        """As ``InContext``."""
        mean_x, mean_y = (
            _mean(norm(of), one)
            for norm, of, one in zip((self.norm_x, self.norm_y), (x, y), seen, strict=True)
        )
        changed = []
        for of, norm, mlp, layer, other in (
            (x, self.norm_x, self.mlp_x, self.to_motion, mean_y),
            (y, self.norm_y, self.mlp_y, self.to_text, mean_x),
        ):
            shift, scale, gate = layer(silu(common + other)).chunk(3, dim=-1)
            changed.append(of + gate * mlp(modulate(norm(of), shift, scale)))
        return changed[0], changed[1]


INTERACTIONS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "in_context": InContext,
    "cross_attention": CrossAttention,
    "adaln": AdaLn,
}


class DpdBlock(nn.Module):
    """A layer of motion, which may read words, a layer of text, and their interaction."""

    def __init__(self, width: int, heads: int, interaction: str, text_dim: int = 0):
        super().__init__()
        self.motion = FlowBlock(width, heads, text_dim=text_dim)
        self.text = FlowBlock(width, heads)
        self.interaction = INTERACTIONS[interaction](width, heads)
        self.silent = [*self.motion.silent, *self.text.silent, *self.interaction.silent]

    def forward(
        self, x: Tensor, y: Tensor, conditions: Both, places: Both, seen: tuple, local: tuple
    ) -> Both:
        """Tokens of motion and of text; ``seen`` says which of either are read, None for all."""
        x = self.motion(x, conditions[0], places[0], seen[0], local)
        y = self.text(y, conditions[1], places[1], seen[1], ())
        return self.interaction(x, y, conditions[1], places, seen)


def _mean(x: Tensor, seen: Tensor | None) -> Float[Tensor, "batch one width"]:
    """Of the tokens that are seen."""
    if seen is None:
        return x.mean(dim=1, keepdim=True)
    real = seen[:, 0, 0, :, None].to(x.dtype)
    return (x * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
