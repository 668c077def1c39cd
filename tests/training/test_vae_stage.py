"""The terms of stage 1's loss against sums written out in NumPy."""

import numpy as np
import pytest
import torch

from lead.core.batches import MotionBatch
from lead.core.masks import lengths_to_mask
from lead.models.vae import MotionVAE
from lead.representation import features_to_joints
from lead.representation.normalizer import Normalizer
from lead.training.vae_stage import VaeOptions, VaeStage

LENGTHS = (6, 4)


class WrongByAConstant(MotionVAE):
    """Stands in for the VAE: what it rebuilds drifts away from the input."""

    def __init__(self):
        super().__init__(latent_dim=2, width=2, heads=1, layers=1, feed_forward=2)

    def encode(self, x, mask):
        self.x = x
        return torch.zeros(len(mask), 1, 2), torch.zeros(len(mask), 1, 2)

    def decode(self, z, mask):
        return (self.x + 0.3) * mask[..., None]


def huber(gap: np.ndarray, threshold: float) -> np.ndarray:
    gap = np.abs(gap)
    return np.where(gap < threshold, 0.5 * gap**2 / threshold, gap - 0.5 * threshold)


@pytest.mark.parametrize("threshold", [1.0, 0.05])
def test_joints_are_metres_over_real_frames(threshold):
    normalizer = Normalizer(np.zeros(263), np.full(263, 0.2))
    options = VaeOptions(joints_weight=2.0, threshold=threshold)
    stage = VaeStage(WrongByAConstant(), normalizer, "humanml3d", options)
    x = torch.randn(2, 6, 263)
    mask = lengths_to_mask(torch.tensor(LENGTHS))
    terms = stage._terms(MotionBatch(x, mask, ["a", "b"]), None)
    gaps = []
    for row, length in enumerate(LENGTHS):
        real, rebuilt = (
            features_to_joints(0.2 * features[row, :length]).double().numpy()
            for features in (x, x + 0.3)
        )
        gaps.append(huber(rebuilt - real, threshold))
    expected = np.concatenate(gaps).mean()
    assert terms["joints"].item() == pytest.approx(expected, rel=1e-4)
    whole = terms["features"] + 2 * terms["joints"] + 1e-4 * terms["kl"]
    assert terms["loss"].item() == pytest.approx(whole.item(), rel=1e-5)
