"""The control that aligns each motion with the sentence of another."""

import pytest
import torch

from lead.core.batches import LatentBatch
from lead.models.projector import Projector
from lead.training.losses import alignment_loss
from lead.training.projector_stage import ProjectorOptions, ProjectorStage, derangement
from lead.training.randomness import validation_draws

DIM, TEXT, COUNT = 8, 12, 6


def terms(stage: ProjectorStage, batch: LatentBatch, index: int) -> dict[str, torch.Tensor]:
    return stage._terms(batch, validation_draws(stage, index), ("validation", index))


@pytest.mark.parametrize("count", [2, 3, 17])
def test_nobody_keeps_its_place_and_everybody_moves(count):
    found = [derangement(count, torch.Generator().manual_seed(seed)) for seed in range(50)]
    for order in found:
        assert sorted(order.tolist()) == list(range(count))
        assert (order != torch.arange(count)).all()
    assert len({tuple(order.tolist()) for order in found}) == {2: 1, 3: 2, 17: 50}[count]


def test_one_place_stays():
    assert derangement(1, torch.Generator()).tolist() == [0]


def make_stage(seed: int = 0, **options) -> ProjectorStage:
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 3, "heads": 2, "feed_forward": 24, "dropout": 0.0}
    projector = Projector(kind="mlp", latent_dim=DIM, text_dim=TEXT, **sizes)
    return ProjectorStage(projector, ProjectorOptions(latent="mean", **options), seed)


def make_batch() -> LatentBatch:
    torch.manual_seed(1)
    mu, text = torch.randn(COUNT, 1, DIM), torch.randn(COUNT, 1, TEXT)
    ids = [str(place) for place in range(COUNT)]
    return LatentBatch(mu, torch.zeros_like(mu), text, torch.zeros(1, 1, TEXT), ids)


def test_shuffled_texts_change_the_alignment_and_nothing_else():
    plain, shuffled = make_stage(), make_stage(shuffle_text=True, seed=5)
    batch = make_batch()
    before, after = (terms(stage, batch, 0) for stage in (plain, shuffled))
    assert torch.equal(before["rec"], after["rec"]) and torch.equal(before["var"], after["var"])
    projected, text = plain.projector.encode(batch.mu), batch.text[:, 0]
    torch.testing.assert_close(before["align"], alignment_loss(projected, text))
    orders = {
        tuple(order)
        for seed in range(3000)
        for order in [derangement(COUNT, torch.Generator().manual_seed(seed)).tolist()]
    }
    possible = torch.stack([alignment_loss(projected, text[list(order)]) for order in orders])
    assert (possible - after["align"]).abs().min() < 1e-5
    assert (possible - before["align"]).abs().min() > 1e-4


def test_the_shuffle_depends_on_the_step_alone():
    stage, batch = make_stage(shuffle_text=True), make_batch()
    losses = [terms(stage, batch, step)["align"] for step in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
