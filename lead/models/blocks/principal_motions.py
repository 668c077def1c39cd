"""Principal components of whole clips: a linear auto-encoder that needs no training."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lead.core.errors import RequestError


class PrincipalMotions(nn.Module):
    """Clips stretched to ``frames`` frames, as coordinates along their principal components.

    The components are fixed: ``fit`` computes them from normalised training clips, and they are
    kept with the weights. Of all linear codes of ``size`` numbers this one loses least (Pearson
    1901), where errors count by the squares of ``weights`` (one a feature). One factor scales all
    coordinates to variance 1 on average, so that distances between codes are distances between
    clips.
    """

    weights: Tensor
    mean: Tensor
    components: Tensor
    scale: Tensor

    def __init__(self, frames: int, features: int, size: int):
        super().__init__()
        if frames < 2:
            raise RequestError(f"clips are stretched to {frames} frames: at least 2 are needed")
        self.frames, self.features, self.size = frames, features, size
        self.register_buffer("weights", torch.ones(features))
        self.register_buffer("mean", torch.zeros(frames * features))
        self.register_buffer("components", torch.zeros(size, frames * features))
        self.register_buffer("scale", torch.ones(()))

    def fit(
        self,
        clips: Iterable[Float[Tensor, "frames features"]],
        weights: Float[Tensor, " features"] | None = None,
    ) -> None:
        """Compute the components from normalised clips; RequestError for fewer than ``size``."""
        if weights is not None:
            self.weights.copy_(weights)
        rows = torch.stack(
            [
                stretch(clip[None] * self.weights, torch.tensor([len(clip)]), self.frames)[0]
                for clip in clips
            ]
        ).flatten(1)
        if len(rows) <= self.size:
            raise RequestError(
                f"{self.size} principal components need more than {self.size} training clips, "
                f"there are {len(rows)}: set model.vae.principal_frames=0 or a smaller latent"
            )
        mean = rows.mean(0)
        # The small Gram matrix has the spectrum of the large covariance matrix.
        centred = rows - mean
        gram = (centred @ centred.T).double() / len(rows)
        variances, vectors = torch.linalg.eigh(gram)
        variances = variances.flip(0)[: self.size].clamp(min=1e-12)
        vectors = vectors.flip(1)[:, : self.size]
        components = (centred.T.double() @ vectors / (variances * len(rows)).sqrt()).T
        self.mean.copy_(mean)
        self.components.copy_(components)
        self.scale.copy_(variances.mean().sqrt())

    def encode(
        self, x: Float[Tensor, "batch frames features"], mask: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch size"]:
        """Coordinates of each clip; what stands on padding does not matter."""
        rows = stretch(x * self.weights, mask.sum(1), self.frames).flatten(1)
        return (rows - self.mean) @ self.components.T / self.scale

    def decode(
        self, code: Float[Tensor, "batch size"], mask: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch frames features"]:
        """Clips of the lengths of ``mask`` with these coordinates, zero on padding."""
        rows = (code * self.scale) @ self.components + self.mean
        whole = torch.full((len(code),), self.frames, device=code.device)
        rows = rows.reshape(len(code), self.frames, self.features) / self.weights
        return stretch(rows, whole, mask.shape[1], mask.sum(1)) * mask[..., None]


def stretch(
    x: Float[Tensor, "batch frames features"],
    lengths: Tensor,
    frames: int,
    target: Tensor | None = None,
) -> Float[Tensor, "batch new_frames features"]:
    """Resample the first ``lengths`` frames of each clip by linear interpolation.

    The result has ``frames`` frames, the first ``target`` (default: all) of which span the clip;
    rows beyond repeat its last frame.
    """
    if target is None:
        target = torch.full_like(lengths, frames)
    steps = torch.arange(frames, device=x.device)
    place = steps * ((lengths - 1) / (target - 1).clamp(min=1))[:, None]
    place = torch.minimum(place, (lengths - 1)[:, None])
    before = place.floor().long()
    after = torch.minimum(before + 1, (lengths - 1)[:, None])
    share = (place - before)[..., None].to(x.dtype)

    def rows(index: Tensor) -> Tensor:
        return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))

    return rows(before).lerp(rows(after), share)
