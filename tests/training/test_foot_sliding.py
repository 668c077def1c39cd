"""The sliding loss against hand-computed toes, and the decoder's seams against NumPy."""

import numpy as np
import pytest
import torch

from lead.core.batches import MotionBatch
from lead.core.masks import lengths_to_mask
from lead.models.vae import MotionVAE, _smooth
from lead.representation.normalizer import Normalizer
from lead.training.losses import foot_sliding
from lead.training.randomness import StepDraws
from lead.training.vae_stage import VaeOptions, VaeStage


def walk(height: float, metres: float) -> torch.Tensor:
    """Two toes at a height; the first moves along z by so many metres a frame, and up and down."""
    joints = torch.zeros(1, 4, 2, 3)
    joints[..., 1] = height
    joints[0, :, 0, 2] = metres * torch.arange(4)
    return joints


@pytest.mark.parametrize(("height", "contact"), [(0.04, 0.7311), (0.0, 0.9933), (0.2, 0.0)])
def test_speed_beyond_what_is_allowed_counts_on_the_floor(height, contact):
    mask = torch.ones(1, 4, dtype=torch.bool)
    loss = foot_sliding(walk(height, 0.05), mask, 0.3, (0, 1), fps=20.0)
    assert loss.item() == pytest.approx(contact * (1.0 - 0.3) / 2, abs=1e-4)  # one toe of two
    slow = foot_sliding(walk(height, 0.01), mask, 0.3, (0, 1), fps=20.0)
    assert slow.item() == 0


def test_a_toe_that_leaves_the_floor_within_a_move_is_not_on_it():
    joints, mask = walk(0.0, 0.05), torch.ones(1, 4, dtype=torch.bool)
    joints[0, 2, :, 1] = 0.3  # moves 1 and 2 touch this frame, move 0 does not
    loss = foot_sliding(joints, mask, 0.0, (0,), fps=20.0)
    assert loss.item() == pytest.approx(0.9933 / 3, abs=1e-4)


def test_gradients_stop_the_toe_but_do_not_lift_it_and_padding_is_nothing():
    joints = torch.cat([walk(0.02, 0.05), walk(0.02, 0.05)]).requires_grad_()
    mask = lengths_to_mask(torch.tensor([4, 2]))
    foot_sliding(joints, mask, 0.3, (0, 1), fps=20.0).backward()
    assert joints.grad[..., 1].abs().sum() == 0
    assert joints.grad[0, -1, 0, 2] > 0
    assert joints.grad[1, 2:].abs().sum() == 0


def test_both_sliding_terms_reach_the_decoder_and_only_training_decodes_between():
    torch.manual_seed(0)
    vae = MotionVAE(latent_dim=4, width=8, heads=1, layers=1, feed_forward=8, dropout=0.0)
    normalizer = Normalizer(np.full(263, -0.1), np.full(263, 0.2))
    with torch.no_grad():
        vae.output_layer.weight.mul_(5)  # so that its toes move
    stage = VaeStage(vae, normalizer, "humanml3d", VaeOptions(sliding_weight=3.0))
    batch = MotionBatch(torch.randn(3, 8, 263), lengths_to_mask(torch.tensor([8, 6, 8])), ["a"] * 3)
    assert "sliding_between" not in stage._terms(batch, None)
    terms = stage._terms(batch, StepDraws(torch.Generator().manual_seed(0)))
    rest = terms["features"] + terms["joints"] + 1e-4 * terms["kl"]
    sliding = 3 * terms["sliding"] + 6 * terms["sliding_between"]
    assert terms["loss"].item() == pytest.approx((rest + sliding).item(), rel=1e-5)
    assert terms["sliding_between"] > 0, terms
    (terms["sliding"] + terms["sliding_between"]).backward()
    reached = vae.output_layer.weight.grad.abs().sum(dim=1)
    assert (reached[:3] == 0).all()  # the path: to stand still is no way out
    assert reached[[31, 33, 34, 36]].min() > 0  # x and z of the two toes


def test_patches_are_averaged_over_real_frames_only():
    x = torch.randn(2, 7, 3)
    mask = lengths_to_mask(torch.tensor([7, 4]))
    smooth = _smooth(x, mask)
    for row, length in enumerate((7, 4)):
        for channel in range(3):
            values = x[row, :length, channel].double().numpy()
            sums = np.convolve(values, [0.25, 0.5, 0.25], mode="same")
            sums /= np.convolve(np.ones(length), [0.25, 0.5, 0.25], mode="same")
            np.testing.assert_allclose(smooth[row, :length, channel], sums, atol=1e-5)
