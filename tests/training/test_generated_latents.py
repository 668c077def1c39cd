"""Stage 3 on what the diffusion makes of noised latents."""

import json

import pytest
import torch

from lead.cli.train_request import train_request
from lead.core.batches import LatentBatch
from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.data.latents import LatentDataset
from lead.data.packed import open_dataset
from lead.models.projector import Projector
from lead.training.generated_latents import Regeneration
from lead.training.projector_stage import ProjectorOptions, ProjectorStage
from lead.training.randomness import StepDraws
from lead.training.stages import train_stage


@pytest.fixture(scope="module")
def chain(train_chain):
    return train_chain("trainer.precision=fp32")


@pytest.fixture
def dataset(micro_dataset):
    return open_dataset(micro_dataset)


@pytest.fixture
def latents(dataset) -> LatentDataset:
    split = dataset.split("train")
    torch.manual_seed(4)
    posterior = torch.randn(len(split), 1, 8), torch.full((len(split), 1, 8), -9.0)
    texts = sorted({text for captions in split.captions for text in captions})
    rows = {text: row for row, text in enumerate(["", *texts])}
    return LatentDataset(split, posterior, torch.randn(len(rows), 1, 12), rows)


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).square().mean().sqrt())


def test_the_less_noise_the_nearer_to_the_latent(chain, dataset, latents):
    run = Run(chain["diffusion"])
    made = [Regeneration(run, t, 2.0, 7)(dataset, "train", latents) for t in (1, 300, 999)]
    far = [distance(z, latents.mu) for z in made]
    assert far[0] < 0.1 < far[1] < far[2], far
    assert all(z.shape == latents.mu.shape and torch.isfinite(z).all() for z in made)


def test_guidance_and_seed_change_it_and_the_cache_knows(chain, dataset, latents, monkeypatch):
    run, calls = Run(chain["diffusion"]), []
    make = Regeneration._make
    monkeypatch.setattr(Regeneration, "_make", lambda *given: calls.append(1) or make(*given))
    first = Regeneration(run, 500, 3.0, 7)(dataset, "train", latents)
    assert torch.equal(Regeneration(run, 500, 3.0, 7)(dataset, "train", latents), first)
    assert len(calls) == 1
    for other in (Regeneration(run, 500, 1.0, 7), Regeneration(run, 500, 3.0, 8)):
        assert distance(other(dataset, "train", latents), first) > 1e-3
    assert len(calls) == 3


def test_it_reads_the_generated_and_rebuilds_the_posterior():
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 3, "heads": 2, "feed_forward": 24, "dropout": 0.0}
    projector = Projector(kind="mlp", latent_dim=8, text_dim=12, **sizes)
    stage = ProjectorStage(projector, ProjectorOptions(latent="mean"))
    mu, generated, text = (torch.randn(5, 1, dim) for dim in (8, 8, 12))
    batch = LatentBatch(mu, mu, text, torch.zeros(1, 1, 12), ["x"] * 5, generated)
    draws = StepDraws(torch.Generator())
    terms = stage.eval()._terms(batch, draws, ("validation", 0))
    with torch.no_grad():
        coded = projector.encode(generated)
        expected = (projector.decode(coded) - mu).square().sum((1, 2)).mean()
        cosine = torch.nn.functional.cosine_similarity(coded[:, 0], text[:, 0])
    assert terms["rec"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms["align"].item() == pytest.approx(1 - cosine.mean().item(), abs=1e-5)


def test_a_run_on_generated_latents(chain, make_values, tmp_path):
    words = [f"diffusion={chain['diffusion']}", "stage.latents=generated"]
    values = make_values("projector", tmp_path / "run", *words, "stage.generated.timestep=200")
    train_stage(train_request(values))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["values"]["stage"]["generated"] == {"timestep": 200, "guidance_scale": 7.5}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["diffusion", "stage.latents=gen"],
            "'latents': unknown 'gen', known: generated",
        ),
        (["vae", "stage.latents=generated"], "needs a diffusion run: diffusion=RUN"),
        (
            ["diffusion", "stage.latents=generated", "stage.generated.timestep=0"],
            "stage.generated.timestep is 0: it starts at 1",
        ),
    ],
)
def test_what_cannot_be_generated(chain, make_values, tmp_path, words, message):
    stage, *options = words
    named = f"{stage}={chain[stage]}"
    with pytest.raises(RequestError, match=message) as error:
        train_stage(train_request(make_values("projector", tmp_path / "run", named, *options)))
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()
