"""Latent consistency distillation of stage 2 (Luo et al. 2023; MotionLCM, Dai et al. 2024)."""

from copy import deepcopy
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from lead.core.batches import LatentBatch
from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.masks import real_rows
from lead.core.schema import Name
from lead.core.sizes import Dropout, GuidanceDim, Timesteps
from lead.data.packed import PackedDataset
from lead.diffusion.consistency import consistency_output
from lead.diffusion.forward import add_noise, predict_clean_from_noise
from lead.diffusion.guidance import guide
from lead.diffusion.schedules import NoiseSchedule
from lead.diffusion.timesteps import solver_timesteps
from lead.models.vae import reparameterise
from lead.training.earlier_runs import earlier_run
from lead.training.latent_inputs import LatentInputs
from lead.training.losses import moment_distance, pseudo_huber
from lead.training.optimization import Positive
from lead.training.processes import share_of_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest

Guidance = Annotated[float, Field(ge=0, le=1000)]  # w, the guidance scale less one


class DistillOptions(StageOptions):
    """Range of w, the solver's grid, the loss, and what the student has of its own."""

    w_low: Guidance = 5.0
    w_high: Guidance = 15.0
    solver_steps: Timesteps = 50
    huber_c: Positive = 0.001
    target_decay: Annotated[float, Field(ge=0, lt=1)] = 0.95
    guidance_dim: Annotated[GuidanceDim, Field(ge=1)] = 256  # guidance is an input of the student
    dropout: Dropout = 0.0
    sampling: Name | None = None  # the entry of configs/sampling that the run is made for

    @model_validator(mode="after")
    def _has_a_range(self) -> "DistillOptions":
        if self.w_low > self.w_high:
            raise ValueError(f"w is drawn from {self.w_low} to {self.w_high}: say w_low <= w_high")
        return self


class DistillStage(Stage):
    """Teach a denoiser to reach in one step where its guided teacher's DDIM path ends.

    At a timestep of the solver's grid the student's consistency function has to agree with that of
    its own moving average (the target) one DDIM step of the teacher further on. ``w`` is drawn
    anew for each row; the guidance scale is w + 1, and the student's input. Validation compares the
    student's one step from pure noise with the end of the teacher's whole path from there: the
    loss is the distance of their moments, and ``val/distance`` is that row by row. Where latents
    keep time each real one is such a row.
    """

    options_type = DistillOptions
    purpose = "distill"

    def __init__(
        self,
        denoiser: nn.Module,
        teacher: nn.Module,
        schedule: NoiseSchedule,
        options: DistillOptions,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        grid = solver_timesteps(schedule.num_train_timesteps, options.solver_steps)
        self.denoiser, self.schedule = denoiser, schedule
        self.target = freeze(deepcopy(denoiser))
        self.register_buffer("grid", torch.tensor(grid), persistent=False)
        self.skip = schedule.num_train_timesteps // options.solver_steps
        self._teacher = (teacher,)  # inside a tuple, so that no state of the trainer holds it
        self._path_ends: dict[int, Tensor] = {}

    @classmethod
    def set_up(cls, request: TrainRequest[DistillOptions], dataset: PackedDataset) -> Prepared:
        """A student that begins with the weights of the run that ``teacher`` names.

        Model, schedule and text encoder are the teacher's.
        """
        run = earlier_run(request, "teacher", dataset, "teacher=RUN, a diffusion run")
        vae_run, schedule = run.ancestor("vae"), run.build_part("schedule")
        vae = vae_run.options("vae")
        sizes = {"latent_tokens": vae["latent_tokens"], "latent_dim": vae["latent_dim"]}
        timesteps = schedule.num_train_timesteps
        teacher = freeze(run.load_part("denoiser", timesteps=timesteps, **sizes))
        if teacher.embeds_guidance:
            raise RequestError(
                f"{run.folder} is distilled already: name the run that it learned from"
            )
        inputs = LatentInputs(request, dataset, vae_run, run.record.text_encoder, like=run)
        if run.record.text_fingerprint not in (None, inputs.encoder.fingerprint):
            raise RequestError(
                f"{run.folder} was trained with another '{inputs.encoder.name}' text encoder than "
                "the one found here: put the same weights in place"
            )
        options = request.options
        changes = {"guidance_dim": options.guidance_dim}
        if "dropout" in run.options("denoiser"):
            changes["dropout"] = options.dropout
        description = {**run.description("denoiser"), **changes}
        student = build("denoiser", description, "stage")
        student.load_state_dict(teacher.state_dict(), strict=False)  # all but the guidance layer
        module = cls(student, teacher, schedule, options, request.seed)
        parts = {"denoiser": description, "schedule": run.description("schedule")}
        return inputs.prepared(module, inputs.data(), parts, run)

    def on_fit_start(self) -> None:
        """Lightning moves only what it can see."""
        super().on_fit_start()
        self._teacher[0].to(self.device)

    @torch.no_grad()
    def on_train_batch_end(self, *_: object) -> None:
        """Move the target towards the student."""
        target, student = ([*net.parameters()] for net in (self.target, self.denoiser))
        torch._foreach_lerp_(target, student, 1 - self.options.target_decay)

    def losses(self, batch: LatentBatch, index: int | None) -> dict[str, Tensor]:
        """In validation: how far one step ends from the teacher's path."""
        draws = self.draws(index)
        if index is None:
            loss = self._loss(batch, draws)
            return {"loss": loss if batch.mask is None else loss * share_of_batch(batch.mask.sum())}
        noise = draws.latents(batch)
        w = self._draw_w(noise, draws)
        if index not in self._path_ends:
            self._path_ends[index] = self._path_end(noise, batch, w)
        start = self.grid[:1].expand(len(noise))
        jumped = self._jump(self.denoiser, noise, start, batch, w)
        reached, wanted = (real_rows(z, batch.mask) for z in (jumped, self._path_ends[index]))
        apart = (reached - wanted).square().mean()
        return {"loss": moment_distance(reached, wanted), "distance": apart}

    def _loss(self, batch: LatentBatch, draws: StepDraws) -> Tensor:
        clean = reparameterise(batch.mu, batch.logvar, draws.latents(batch))
        noise = draws.latents(batch)
        place = draws.integers(len(self.grid), (len(clean),))
        w = self._draw_w(clean, draws)
        start = self.grid[place]
        z = add_noise(clean, noise, start, self.schedule)
        guess = self._jump(self.denoiser, z, start, batch, w)
        with torch.no_grad():
            earlier, following = self._solve(z, start, batch, w)
            wanted = self._jump(self.target, earlier, following, batch, w)
        return pseudo_huber(guess, wanted, self.options.huber_c, batch.mask)

    def _draw_w(self, like: Tensor, draws: StepDraws) -> Float[Tensor, " batch"]:
        low, high = self.options.w_low, self.options.w_high
        return low + (high - low) * draws.uniform((len(like),))

    def _jump(
        self, net: nn.Module, z: Tensor, timestep: Tensor, batch: LatentBatch, w: Tensor
    ) -> Tensor:
        """The consistency function of a network that takes the guidance scale."""
        noise = net(z, timestep, batch.text, guidance_scale=w + 1, **batch.masks).float()
        return consistency_output(z, noise, timestep, self.schedule)

    def _solve(
        self, z: Tensor, timestep: Tensor, batch: LatentBatch, w: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One guided DDIM step of the teacher, to the next timestep of the grid or to 0."""
        text, masks = batch.both
        twice = (torch.cat([z, z]), torch.cat([timestep, timestep]), text)
        both = self._teacher[0](*twice, **masks).float()
        noise = guide(*both.chunk(2), (w + 1)[:, None, None])
        clean = predict_clean_from_noise(z, noise, timestep, self.schedule)
        following = (timestep - self.skip).clamp(min=0)
        return add_noise(clean, noise, following, self.schedule), following

    @torch.no_grad()
    def _path_end(self, noise: Tensor, batch: LatentBatch, w: Tensor) -> Tensor:
        z = noise
        for timestep in self.grid:
            z, _ = self._solve(z, timestep.expand(len(z)), batch, w)
        return z
