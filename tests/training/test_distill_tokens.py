"""MotionLCM's second version: several latent tokens between linear maps, distilled at ten steps."""

import torch

from lead.cli.config import compose
from lead.cli.loading import request
from lead.cli.train_request import train_request
from lead.core.building import build
from lead.core.runs import Run
from lead.generation import load_motion_model
from lead.generation.loading import ModelRequest
from lead.training.stages import train_stage

TOKENS = ("model.vae.latent_tokens=3", "model.denoiser.relu_before_text=false")


def test_the_size_has_the_published_numbers():
    values = compose("train", ["size=mldpp", "stage=distill"])
    vae = build("vae", values["model"]["vae"], features=263)
    denoiser = build("denoiser", values["model"]["denoiser"], text_dim=768, guidance_dim=256)
    assert (vae.latent_tokens, vae.latent_dim) == (16, 32)
    for layer, shape in (
        (vae.to_latent, (32, 256)),
        (vae.from_latent, (256, 32)),
        (denoiser.input_layer, (256, 32)),
        (denoiser.output_layer, (32, 256)),
        (denoiser.guidance_layer, (768, 256)),
    ):
        assert tuple(layer.weight.shape) == shape
    assert not denoiser.relu_before_text
    stages, module = values["stages"], values["stage"]["module"]
    options = {**module, **stages["distill"]["module"]}
    assert (options["w_low"], options["w_high"], options["target_decay"]) == (5.0, 15.0, 0.95)
    assert (options["solver_steps"], options["huber_c"]) == (10, 0.5)
    batches = [stages[name]["batch_size"] for name in ("vae", "diffusion", "distill")]
    rates = [stages[name]["optimizer"]["lr"] for name in ("vae", "diffusion", "distill")]
    assert (batches, rates) == ([128, 64, 128], [2e-4, 1e-4, 2e-4])
    assert all(stages[n]["optimizer"]["weight_decay"] == 0 for n in ("vae", "diffusion", "distill"))


def test_few_steps_visit_timesteps_that_were_distilled():
    """The grids are 99, 199, ..., 999 with ten steps and 19, 39, ..., 999 with fifty."""
    for name in ("lcm1_skip100", "lcm2_skip100", "lcm4_skip100", "lcm1_guidance3"):
        assert all((t + 1) % 100 == 0 for t in timesteps(name))
    for name in ("lcm2_guidance3", "lcm4_guidance3"):
        assert all((t + 1) % 100 == 0 for t in timesteps(name)) and timesteps(name)[0] == 999


def timesteps(name: str) -> list[int]:
    return compose("generate", [f"sampling={name}"])["sampling"]["timesteps"]


def test_several_tokens_from_stage_1_to_one_step(train_chain, make_values, tmp_path):
    chain = train_chain(*TOKENS, stages=["projector"])
    options = ("stage.module.solver_steps=10", "stage.module.huber_c=0.5")
    words = (f"teacher={chain['diffusion']}", "stage.sampling=lcm1_skip100", *TOKENS, *options)
    run = train_stage(train_request(make_values("distill", tmp_path / "run", *words)))
    pipeline = load_motion_model(run, projector_run=Run(chain["projector"]))
    for steps in (1, 2, 4):
        sampling = request(
            ModelRequest, compose("generate", [f"sampling=lcm{steps}_skip100"])
        ).sampling
        z = pipeline.sample(["a person walks"], [20], [3], sampling, project=True)
        assert z.shape == (1, 3, 8) and torch.isfinite(z).all()
    assert run.record.sampling == "lcm1_skip100"
