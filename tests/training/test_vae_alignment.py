"""Alignment with captions inside the VAE: its term by hand, its captions, and a run with it."""

import csv
import json

import numpy as np
import pytest
import torch

from lead.cli.train_request import train_request
from lead.core.batches import MotionBatch
from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.models.vae import MotionVAE
from lead.representation.normalizer import Normalizer
from lead.training.clip_captions import ClipCaptions
from lead.training.stages import train_stage
from lead.training.vae_stage import VaeOptions, VaeStage

TEXTS = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
ROWS = {"a": [0, 1, 2], "b": [3], "c": [4, 0]}
WEIGHT = 0.25


def make_stage(captions: ClipCaptions | None = None, **options) -> VaeStage:
    torch.manual_seed(1)
    sizes = {"latent_tokens": 2, "latent_dim": 4, "width": 8, "heads": 2, "layers": 3}
    vae = MotionVAE(**sizes, feed_forward=12, dropout=0.0)
    normalizer = Normalizer(np.zeros(263), np.ones(263))
    options = VaeOptions(optimizer={"lr": 1e-2, "weight_decay": 0.0}, **options)
    return VaeStage(vae, normalizer, "humanml3d", options, captions)


def make_batch() -> MotionBatch:
    x = torch.randn(3, 6, 263, generator=torch.Generator().manual_seed(2))
    return MotionBatch(x, lengths_to_mask(torch.tensor([6, 5, 6])), ["a", "b", "c"])


@torch.no_grad()
def test_the_term_is_one_minus_the_cosine_of_mapped_mean_and_caption():
    stage = make_stage(align_weight=WEIGHT, captions=ClipCaptions(TEXTS, ROWS))
    batch = make_batch()
    terms = stage._terms(batch, None)
    mu, _ = stage.vae.encode(batch.x, batch.mask)
    layer = stage.text_layer
    mapped = mu.mean(dim=1).double() @ layer.weight.double().T + layer.bias.double()
    text = stage.captions.draw(batch.ids, 0).double()
    cosines = (mapped * text).sum(1) / mapped.norm(dim=1) / text.norm(dim=1)
    assert terms["align"].item() == pytest.approx(1 - cosines.mean().item(), abs=1e-5)
    plain = make_stage()._terms(batch, None)
    assert "align" not in plain
    more = terms["loss"] - plain["loss"]
    assert more.item() == pytest.approx(WEIGHT * terms["align"].item(), abs=1e-5)


def test_it_moves_the_encoder_and_not_the_decoder():
    stage, batch = make_stage(align_weight=1.0, captions=ClipCaptions(TEXTS, ROWS)), make_batch()
    stage._terms(batch, None)["align"].backward()
    assert stage.vae.distribution_tokens.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in stage.vae.decoder.parameters())


def test_its_map_is_trained_and_not_kept():
    stage = make_stage(align_weight=1.0, captions=ClipCaptions(TEXTS, ROWS))
    trained = [*stage.configure_optimizers()["optimizer"].param_groups[0]["params"]]
    assert sum(p is stage.text_layer.weight for p in trained) == 1
    assert len(trained) == len([*stage.vae.parameters()]) + 2
    assert list(stage.parts()) == ["vae"]


def test_every_caption_of_a_clip_and_no_other_is_drawn():
    captions = ClipCaptions(TEXTS, ROWS, seed=3)
    for name, rows in ROWS.items():
        drawn = torch.cat([captions.draw([name], step) for step in range(60)])
        found = {int((one == TEXTS).all(1).nonzero()) for one in drawn}
        assert found == set(rows)


def test_a_draw_depends_on_step_and_clip_alone():
    captions = ClipCaptions(TEXTS, ROWS)
    for step in range(10):
        together = captions.draw(["b", "a", "c"], step)
        assert torch.equal(together[1:2], captions.draw(["a"], step))


def test_weight_without_captions_is_refused():
    with pytest.raises(RequestError, match="there are no captions"):
        make_stage(align_weight=1.0)


def test_a_run_with_alignment(make_values, tmp_path):
    folder = tmp_path / "aligned"
    train_stage(train_request(make_values("vae", folder, "stage.module.align_weight=0.5")))
    assert {path.stem for path in (folder / "weights").iterdir()} == {"vae", "normalizer"}
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "finished" and record["text_encoder"]["name"] == "hash"
    with (folder / "metrics.csv").open() as file:
        values = {row["name"]: float(row["value"]) for row in csv.DictReader(file)}
    assert 0 < values["train/align"] < 2 and 0 < values["val/align"] < 2


def test_a_size_may_set_the_weight(make_values, tmp_path):
    values = make_values("vae", tmp_path / "aligned")
    values["stages"]["vae"]["module"] = {"align_weight": 0.5}
    assert "text_encoder" in train_stage(train_request(values)).contents
