"""Per-dimension standardisation of features."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.runs import Run, fill
from lead.representation.skeletons import Skeleton


class Normalizer(nn.Module):
    """Subtract the mean, divide by the standard deviation; both (features,)."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean, std):
        super().__init__()
        mean = torch.as_tensor(np.asarray(mean), dtype=torch.float32)
        std = torch.as_tensor(np.asarray(std), dtype=torch.float32)
        if mean.shape != std.shape or mean.ndim != 1:
            raise RequestError(
                f"mean {tuple(mean.shape)} and std {tuple(std.shape)} must be two equal vectors"
            )
        if not (torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
            raise RequestError("mean and std must be finite, and std positive in every dimension")
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def normalize(self, features: Float[Tensor, "*shape features"]) -> Tensor:
        """Un-normalised features -> zero mean, unit variance."""
        return (features - self.mean) / self.std

    def denormalize(self, x: Float[Tensor, "*shape features"]) -> Tensor:
        """The inverse of normalize."""
        return x * self.std + self.mean


def load_normalizer(run: Run, features: int, name: str = "normalizer") -> Normalizer:
    """The standardisation that a run was trained with; WorkError where it is not whole."""
    statistics = run.tensors(name)
    blank = Normalizer(np.zeros(features), np.ones(features))
    fill(blank, statistics, f"{run.folder} ({name})")
    return Normalizer(statistics["mean"], statistics["std"])


def feature_statistics(features: np.ndarray, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of un-normalised features (frames, F), as HumanML3D takes them.

    The deviation is averaged within each part of the layout (yaw velocity, planar velocity, height,
    local positions, rotations, velocities, contacts), so that no dimension of a part is blown up.
    A part that never changes gets deviation one.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    std = features.std(axis=0, dtype=np.float64)
    joints = skeleton.joints
    widths = (1, 2, 1, 3 * (joints - 1), 6 * (joints - 1), 3 * joints, 4)
    for start, width in zip(np.cumsum((0, *widths[:-1])), widths, strict=True):
        part = slice(start, start + width)
        average = std[part].mean()
        std[part] = average if average > 1e-6 else 1.0
    return mean.astype(np.float32), std.astype(np.float32)
