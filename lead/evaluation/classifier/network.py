"""The network of the classifier: convolutions over time, a pool, one linear head per kind of label.

It sees what a viewer sees, root motion and joint positions, and none of the features that repeat
them (rotations, velocities, contacts), which a generated motion may contradict.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import gelu

from lead.core.sizes import Dropout, Layers, Size

KERNEL = 5
STRIDE = 2  # frames a step: hands wave two or three times a second


def _is_kind(name: str) -> str:
    if not name.isidentifier() or hasattr(nn.ModuleDict, name):
        raise ValueError(f"'{name:.60}' cannot be a kind of label: take a plain word")
    return name


Kind = Annotated[str, AfterValidator(_is_kind)]
Classes = Annotated[Sequence[str], Field(min_length=1)]


class ClipNetwork(nn.Module):
    """Normalised features of a clip to logits of each kind of label.

    ``classes`` holds the names behind the logits, by kind: ``{"style": (...), "content": (...)}``.
    ``features`` is the width of the motion representation, 12 J - 1 for J joints, of which the
    first 3 J + 1 are read. ``noise`` (in standard deviations) is added to them in training, so that
    classes are not told apart by a tremor that generated motions lack or add. A row's logits do not
    depend on its padding.
    """

    def __init__(
        self,
        features: Annotated[Size, Field(ge=11)],
        classes: Annotated[Mapping[Kind, Classes], Field(min_length=1)],
        width: Size = 96,
        layers: Layers = 3,
        dropout: Dropout = 0.3,
        noise: Annotated[float, Field(ge=0, le=100)] = 0.1,
    ):
        super().__init__()
        self.features, self.noise = features, noise
        self.read = 3 * ((features + 1) // 12) + 1
        self.classes = {kind: tuple(names) for kind, names in classes.items()}
        self.enter = nn.Conv1d(self.read, width, KERNEL, STRIDE, padding=KERNEL // 2)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2) for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict(
            {kind: nn.Linear(2 * width, len(names)) for kind, names in self.classes.items()}
        )

    def forward(
        self, x: Float[Tensor, "batch frames features"], mask: Bool[Tensor, "batch frames"]
    ) -> dict[str, Tensor]:
        """Logits (batch, classes) by kind of label."""
        x = x[..., : self.read]
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        kept = mask[:, None, ::STRIDE].to(x)
        hidden = self.enter((x * mask[..., None]).transpose(1, 2)) * kept
        for layer in self.layers:
            hidden = hidden + gelu(layer(hidden)) * kept
        mean = hidden.sum(dim=-1) / kept.sum(dim=-1)
        highest = hidden.masked_fill(kept == 0, -torch.inf).amax(dim=-1)
        pooled = self.dropout(torch.cat([mean, highest], dim=1))
        return {kind: head(pooled) for kind, head in self.heads.items()}
