"""Stage 2: train the latent denoiser on cached posteriors (LEAD 4.1.2, after MLD)."""

import torch
from torch import Tensor, nn

from lead.core.batches import LatentBatch
from lead.core.building import build, check_fit, full_options, read_description
from lead.core.errors import RequestError
from lead.core.schema import Name
from lead.data.packed import PackedDataset
from lead.diffusion.forward import add_noise
from lead.diffusion.schedules import NoiseSchedule
from lead.models.vae import reparameterise
from lead.training.earlier_runs import earlier_run
from lead.training.latent_inputs import LatentInputs
from lead.training.losses import mean_square
from lead.training.optimization import Share
from lead.training.processes import share_of_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Description, Prepared, Stage, StageOptions, TrainRequest


class DiffusionOptions(StageOptions):
    """Noise on the condition, and the entry of configs/sampling that the run is made for."""

    condition_dropout: Share = 0.1
    sampling: Name | None = None


class DiffusionStage(Stage):
    """Noise prediction (epsilon) with mean squared error; some captions become the empty string.

    Where latents keep time the error is that of the real ones of each motion.

    The VAE and the text encoder are not here at all: latents and embeddings come from the cache.
    """

    options_type = DiffusionOptions
    purpose = "diffusion"

    def __init__(
        self,
        denoiser: nn.Module,
        schedule: NoiseSchedule,
        options: DiffusionOptions,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        self.denoiser, self.schedule = denoiser, schedule

    @classmethod
    def set_up(cls, request: TrainRequest[DiffusionOptions], dataset: PackedDataset) -> Prepared:
        """A denoiser for the latents of the run that ``vae`` names."""
        vae_run = earlier_run(request, "vae", dataset, "vae=RUN")
        inputs = LatentInputs(request, dataset, vae_run)
        vae = vae_run.options("vae")
        description = {
            **request.models["denoiser"],
            "latent_dim": vae["latent_dim"],
            "text_dim": inputs.encoder.dim,
        }
        _check_kind(description, inputs)
        with torch.random.fork_rng():  # filling a cache draws random numbers
            data = inputs.data()
            description |= inputs.scales
        schedule = build("schedule", request.models["schedule"], "model.schedule")
        check_fit(
            *(full_options("denoiser", description, "model.denoiser"), "model.denoiser"),
            **{"latent_tokens": vae["latent_tokens"], "timesteps": schedule.num_train_timesteps},
        )
        denoiser = build("denoiser", description, "model.denoiser")
        parts = {"denoiser": description, "schedule": request.models["schedule"]}
        module = cls(denoiser, schedule, request.options, request.seed)
        return inputs.prepared(module, data, parts, vae_run)

    def losses(self, batch: LatentBatch, index: int | None) -> dict[str, Tensor]:
        """At random timesteps; only in training some captions are dropped."""
        draws = self.draws(index)
        if index is not None:
            return {"loss": self._loss(batch, draws)}
        drop = draws.uniform((len(batch.ids),))
        batch = batch.without_captions(drop < self.options.condition_dropout)
        loss = self._loss(batch, draws)
        return {"loss": loss if batch.mask is None else loss * share_of_batch(batch.mask.sum())}

    def _loss(self, batch: LatentBatch, draws: StepDraws) -> Tensor:
        clean = reparameterise(batch.mu, batch.logvar, draws.latents(batch))
        noise = draws.latents(batch)
        timestep = draws.integers(self.schedule.num_train_timesteps, (len(clean),))
        noised = add_noise(clean, noise, timestep, self.schedule)
        guess = self.denoiser(noised, timestep, batch.text, **batch.masks).float()
        return mean_square(guess, noise, batch.mask)


def _check_kind(description: Description, inputs: LatentInputs) -> None:
    """RequestError for a denoiser of the other kind of latents."""
    kind, _ = read_description("denoiser", description, "model.denoiser")
    if kind.keeps_time != inputs.timed:
        held, wanted = ("that keep time", "timed") if inputs.timed else ("of whole clips", "mld")
        raise RequestError(
            f"{inputs.run.folder} has latents {held}, this denoiser is made for others: take "
            f"model/denoiser={wanted}"
        )
