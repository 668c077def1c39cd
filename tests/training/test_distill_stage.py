"""Latent consistency distillation: its objective by hand, its learning, and its run directories."""

import json
import math
import os
import signal

import pytest
import torch

from lead.cli.loading import compose_for_run
from lead.cli.train_request import train_request
from lead.core.batches import LatentBatch
from lead.core.errors import RequestError, WorkError
from lead.core.freezing import freeze
from lead.core.reading import read_tensors
from lead.core.runs import Run
from lead.core.schema import check
from lead.core.seeding import make_generator
from lead.diffusion.schedules import scaled_linear
from lead.diffusion.timesteps import solver_timesteps
from lead.generation import Sampling, load_motion_model, sample_latents
from lead.models.denoiser import MldDenoiser
from lead.training.distill_stage import DistillOptions, DistillStage
from lead.training.losses import pseudo_huber
from lead.training.randomness import StepDraws
from lead.training.stages import train_stage

SIZES = {"latent_dim": 4, "text_dim": 6, "width": 8, "layers": 3, "heads": 2, "feed_forward": 12}
LR = {"lr": 2e-3, "weight_decay": 0.0}
DROPOUT = {"dropout": 0.0}


def make_stage(**options) -> DistillStage:
    """A stage with a random teacher; the student has its weights."""
    torch.manual_seed(3)
    teacher = freeze(MldDenoiser(**SIZES))
    student = MldDenoiser(**SIZES, **DROPOUT, guidance_dim=8)
    student.load_state_dict(teacher.state_dict(), strict=False)
    return DistillStage(student, teacher, scaled_linear(), DistillOptions(optimizer=LR, **options))


def make_batch(rows: int = 5) -> LatentBatch:
    """Latents without spread, so that a posterior sample is its mean."""
    mu, text = (
        torch.randn(rows, n, d, generator=make_generator(1, n)) for n, d in ((2, 4), (1, 6))
    )
    null = torch.full((1, 1, 6), 0.3)
    return LatentBatch(mu, torch.full_like(mu, -math.inf), text, null, ["x"] * rows)


@torch.no_grad()
def test_the_loss_by_hand():
    """Written out from Luo et al. 2023, algorithm 1, row by row."""
    stage, batch = make_stage(w_low=2.0, w_high=6.0), make_batch()
    torch.nn.init.normal_(stage.denoiser.guidance_layer.weight)
    torch.nn.init.normal_(stage.target.guidance_layer.weight)
    draws = make_generator(9)
    _, noise = (torch.randn(batch.mu.shape, generator=draws) for _ in range(2))
    places = torch.randint(50, (5,), generator=draws).tolist()
    ws = (2.0 + 4.0 * torch.rand(5, generator=draws)).tolist()
    betas = torch.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000, dtype=torch.float64) ** 2
    level = torch.cumprod(1 - betas, 0).tolist()
    teacher = stage._teacher[0]

    def function(net, z, time, text, w):
        noise = net(z, torch.tensor([time]), text, guidance_scale=torch.tensor([w + 1.0]))
        clean = (z - math.sqrt(1 - level[time]) * noise) / math.sqrt(level[time])
        scaled = 10.0 * time
        skip, out = 0.25 / (scaled**2 + 0.25), scaled / math.sqrt(scaled**2 + 0.25)
        return skip * z + out * clean

    losses = []
    for row in range(5):
        time, w = 999 - 20 * places[row], ws[row]
        text, following = batch.text[row : row + 1], max(999 - 20 * places[row] - 20, 0)
        z = math.sqrt(level[time]) * batch.mu[row] + math.sqrt(1 - level[time]) * noise[row]
        z = z[None]
        conditional, null = (
            teacher(z, torch.tensor([time]), given) for given in (text, batch.null_text)
        )
        guided = conditional + w * (conditional - null)
        clean = (z - math.sqrt(1 - level[time]) * guided) / math.sqrt(level[time])
        earlier = math.sqrt(level[following]) * clean + math.sqrt(1 - level[following]) * guided
        difference = function(stage.denoiser, z, time, text, w) - function(
            stage.target, earlier, following, text, w
        )
        losses.append((difference.square() + 0.001**2).sqrt() - 0.001)
    loss = stage._loss(batch, StepDraws(make_generator(9)))
    torch.testing.assert_close(loss, torch.cat(losses).mean(), rtol=1e-4, atol=1e-5)


def test_the_robust_loss_in_closed_form():
    loss = pseudo_huber(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 0.0]]), 4.0)
    assert float(loss) == pytest.approx((5.0 - 4.0) / 2)


@torch.no_grad()
def test_a_new_student_predicts_what_the_teacher_predicts():
    stage, batch = make_stage(), make_batch()
    stage.denoiser.eval()
    for scale in (6.0, 16.0):
        got = stage.denoiser(
            batch.mu, torch.full((5,), 500), batch.text, guidance_scale=torch.full((5,), scale)
        )
        wanted = stage._teacher[0](batch.mu, torch.full((5,), 500), batch.text)
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_the_end_of_the_path_is_that_of_guided_ddim():
    stage, batch = make_stage(), make_batch()
    noise = torch.randn(batch.mu.shape, generator=make_generator(5))
    end = stage._path_end(noise, batch, torch.full((5,), 1.5))
    wanted = sample_latents(
        *(stage._teacher[0], noise, batch.text, batch.null_text),
        timesteps=solver_timesteps(1000),
        guidance_scale=2.5,
    )
    torch.testing.assert_close(end, wanted, rtol=1e-4, atol=1e-4)


def test_the_target_follows_the_student_and_the_teacher_stays():
    stage = make_stage(target_decay=0.75)
    name = "text_layer.weight"
    before = stage.target.state_dict()[name].clone()
    with torch.no_grad():
        stage.denoiser.text_layer.weight += 1.0
    stage.on_train_batch_end()
    torch.testing.assert_close(stage.target.state_dict()[name], before + 0.25)
    assert not any(parameter.requires_grad for parameter in stage.target.parameters())
    assert not any("teacher" in key for key in stage.state_dict())
    assert {key.partition(".")[0] for key in stage.state_dict()} == {"denoiser", "target"}


def test_the_student_learns_to_jump_to_the_end_of_the_path():
    stage, batch = make_stage(w_low=0.5, w_high=1.5, solver_steps=10, huber_c=0.1), make_batch(64)
    stage.denoiser.train()
    noise = torch.randn(batch.mu.shape, generator=make_generator(6))
    w = torch.ones(64)
    end = stage._path_end(noise, batch, w)

    @torch.no_grad()
    def distance() -> float:
        start = torch.full((64,), 999)
        return float((stage._jump(stage.denoiser, noise, start, batch, w) - end).square().mean())

    before = distance()
    optimizer = torch.optim.Adam(stage.denoiser.parameters(), lr=3e-3)
    for step in range(150):
        loss = stage._loss(batch, StepDraws(make_generator(7, step)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        stage.on_train_batch_end()
    assert distance() < 0.5 * before, (before, distance())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"w_low": 3.0, "w_high": 2.0}, "w is drawn from 3.0 to 2.0"),
        ({"solver_steps": 0}, "'solver_steps' takes a number greater than or equal to 1"),
        ({"guidance_dim": 0}, "'guidance_dim' takes a number greater than or equal to 1"),
    ],
)
def test_options_that_cannot_work_are_one_line(options, message):
    with pytest.raises(RequestError, match=message) as error:
        check(DistillOptions, options, "here", "say others", error=RequestError)
    assert "\n" not in str(error.value)


# Run directories


@pytest.fixture(scope="module")
def chain(train_chain):
    return train_chain("trainer.precision=fp32")


@pytest.fixture(scope="module")
def distilled(chain, make_values, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("distilled") / "run"
    values = make_values("distill", folder, f"teacher={chain['diffusion']}")
    return train_stage(train_request(values))


def test_a_distilled_run_stands_on_its_teacher(chain, distilled):
    record = distilled.contents
    assert record["stage"] == "distill" and record["status"] == "finished"
    assert record["sampling"] == "lcm1" and list(record["parents"]) == ["diffusion"]
    denoiser = Run(chain["diffusion"]).description("denoiser")
    assert record["parts"]["denoiser"] == {**denoiser, "guidance_dim": 256, "dropout": 0.0}
    assert {path.stem for path in (distilled.folder / "weights").iterdir()} == {"denoiser"}
    state = torch.load(distilled.state_path, weights_only=True)
    assert {name.partition(".")[0] for name in state["state_dict"]} == {"denoiser", "target"}
    before = read_tensors(chain["diffusion"] / "weights" / "denoiser.safetensors")
    after = distilled.tensors("denoiser")
    assert set(after) - set(before) == {"guidance_layer.weight"}
    assert after["guidance_layer.weight"].abs().max() > 0


def test_generation_takes_its_one_step_and_the_teachers_projector(chain, distilled):
    for key, folder in (("run", distilled.folder), ("diffusion", distilled.folder)):
        words = [f"{key}={folder}", "text=a"] + ([f"run={chain['projector']}"] * (key != "run"))
        assert compose_for_run("generate", words)["sampling"]["sampler"] == "lcm"
        chosen = compose_for_run("generate", [*words, "sampling=lcm4", "sampling.steps=3"])
        assert chosen["sampling"]["steps"] == 3
    assert compose_for_run("generate", [f"run={chain['projector']}"])["sampling"]["steps"] == 50
    pipeline = load_motion_model(distilled, projector_run=Run(chain["projector"]))
    calls = []
    pipeline.denoiser.register_forward_hook(lambda *_: calls.append(1))
    sampling = Sampling("lcm", steps=1)
    z = pipeline.sample(["a person walks"] * 2, [20] * 2, [1, 2], sampling, project=True)
    alone = pipeline.sample(["a person walks"], [20], [2], sampling, project=True)
    assert len(calls) == 2 and torch.isfinite(z).all()
    torch.testing.assert_close(alone[0], z[1])
    plain = load_motion_model(Run(chain["diffusion"]))
    with pytest.raises(RequestError, match="distilled for it"):
        plain.sample(["a person walks"], [20], [1], sampling, project=False)


def test_stopped_and_resumed_it_ends_in_the_same_bits(
    chain, distilled, make_values, at_step, assert_same_run, monkeypatch, tmp_path
):
    run = Run(tmp_path / "run")
    values = make_values("distill", run.folder, f"teacher={chain['diffusion']}")
    at_step(4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(WorkError, match="go on with resume=true"):
        train_stage(train_request(values))
    monkeypatch.undo()
    train_stage(train_request({**values, "resume": True}))
    assert_same_run(run.folder, distilled.folder)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (None, "name its run, teacher=RUN"),
        ("vae", "is a vae run, but teacher= needs a diffusion run"),
        ("distilled", "is a distill run, but teacher= needs"),
        ("marked", "is distilled already"),
    ],
)
def test_teachers_that_cannot_teach(chain, distilled, make_values, tmp_path, teacher, message):
    folder = {**chain, "distilled": distilled.folder, "marked": tmp_path / "marked"}
    if teacher == "marked":  # as MotionLCM's checkpoints are imported
        marked = Run(tmp_path / "marked")
        marked.save_part("denoiser", distilled.tensors("denoiser"))
        record = json.loads((distilled.folder / "run.json").read_text())
        parents = {"vae": Run(chain["vae"]).as_parent(marked.folder)}
        marked.update(**{**record, "stage": "diffusion", "parents": parents})
    words = [] if teacher is None else [f"teacher={folder[teacher]}"]
    with pytest.raises(RequestError, match=message) as error:
        train_stage(train_request(make_values("distill", tmp_path / "run", *words)))
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()
