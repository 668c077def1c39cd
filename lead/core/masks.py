"""Masks say which frames are real: ``True`` = real frame, everywhere in this code base."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad


def lengths_to_mask(
    lengths: Int[Tensor, " batch"], frames: int | None = None
) -> Bool[Tensor, "batch frames"]:
    """Mask of the first ``lengths[i]`` frames of each row; ``frames`` defaults to the longest."""
    frames = int(lengths.max()) if frames is None else frames
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]


def masked_mean(
    values: Float[Tensor, "batch frames *rest"], mask: Bool[Tensor, "batch frames"]
) -> Float[Tensor, ""]:
    """Mean over the real frames (and all trailing axes) of the whole batch; zero where none is.

    Values on padding do not matter, even where they are not finite.
    """
    real = mask.reshape(mask.shape + (1,) * (values.ndim - 2))
    count = mask.sum() * values.shape[2:].numel()
    return torch.where(real, values, 0.0).sum() / count.clamp(min=1)


def row_means(
    values: Float[Tensor, "batch frames *rest"], mask: Bool[Tensor, "batch frames"] | None
) -> Float[Tensor, " batch *rest"]:
    """Mean over the real frames of each row; None: all are. Values on padding do not matter."""
    if mask is None:
        return values.mean(dim=1)
    real = mask.reshape(mask.shape + (1,) * (values.ndim - 2))
    return torch.where(real, values, 0.0).sum(1) / real.sum(1).clamp(min=1)


def real_rows(values: Float[Tensor, "batch frames *rest"], mask: Tensor | None) -> Tensor:
    """Each real frame of all rows as a row of its own, (real, 1, *rest); None: rows as they are."""
    return values if mask is None else values[mask][:, None]


def group_mask(mask: Bool[Tensor, "batch frames"], size: int) -> Bool[Tensor, "batch groups"]:
    """Which groups of ``size`` neighbouring frames are real: those with a real frame among them."""
    missing = -mask.shape[1] % size
    return pad(mask, (0, missing)).unflatten(1, (-1, size)).any(-1)


def hold_last(
    x: Float[Tensor, "batch frames *rest"], mask: Bool[Tensor, "batch frames"], size: int
) -> Float[Tensor, "batch whole_groups *rest"]:
    """``x`` with the last real frame in place of padding, up to whole groups of ``size`` frames."""
    missing = -mask.shape[1] % size
    if not missing and without_padding(mask):
        return x
    mask = pad(mask, (0, missing))
    places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    held = places.masked_fill(~mask, 0).cummax(dim=1).values
    rest = x.shape[2:]
    return x.gather(1, held.reshape(*held.shape, *[1] * len(rest)).expand(-1, -1, *rest))


def without_padding(mask: Tensor) -> bool:
    """Whether a batch has no padding; asked on the CPU only, where the answer costs nothing."""
    return mask.device.type == "cpu" and bool(mask.all())
