"""The network of the classifier: convolutions over time, a pool, one linear head per kind of label.

It sees what a viewer sees, root motion and joint positions, and none of the features that repeat
them (rotations, velocities, contacts), which a generated motion may contradict.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from lead.core.errors import RequestError

KERNEL = 5
STRIDE = 2  # frames a step: hands wave two or three times a second


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
        features: int,
        classes: Mapping[str, Sequence[str]],
        width: int = 96,
        layers: int = 3,
        dropout: float = 0.3,
        noise: float = 0.1,
    ):
        super().__init__()
        if not classes or not all(classes.values()):
            raise RequestError("a classifier needs at least one kind of label with classes")
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
