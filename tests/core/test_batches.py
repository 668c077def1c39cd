"""Batches carry their tensors and ids to a device."""

import torch

from lead.core.batches import LatentBatch, MotionBatch


def test_a_motion_batch_moves_as_a_whole():
    mask = torch.tensor([[True, True, False]])
    moved = MotionBatch(torch.ones(1, 3, 5), mask, ["walk"]).to("meta")
    assert (moved.x.device.type, moved.mask.device.type, moved.ids) == ("meta", "meta", ["walk"])
    assert moved.x.shape == (1, 3, 5)


def test_a_latent_batch_moves_as_a_whole():
    shapes = ((2, 1, 4), (2, 1, 4), (2, 3, 6), (1, 3, 6))
    batch = LatentBatch(*(torch.zeros(shape) for shape in shapes), ["a", "b"]).to("meta")
    tensors = (batch.mu, batch.logvar, batch.text, batch.null_text)
    assert [tensor.device.type for tensor in tensors] == ["meta"] * 4
    assert tuple(tuple(tensor.shape) for tensor in tensors) == shapes
    assert batch.ids == ["a", "b"]
