"""Stage 2: train the latent denoiser on cached posteriors (LEAD 4.1.2, after MLD)."""

from typing import Annotated

import pytorch_lightning as pl
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from lead.core.batches import LatentBatch
from lead.diffusion.forward import add_noise
from lead.diffusion.schedules import NoiseSchedule
from lead.models.vae import reparameterise
from lead.training.losses import check_finite
from lead.training.optimization import Share, make_optimizer
from lead.training.randomness import StepDraws, step_draws, validation_draws


class DiffusionStage(pl.LightningModule):
    """Noise prediction (epsilon) with mean squared error; some captions become the empty string.

    The VAE and the text encoder are not here at all: latents and embeddings come from the cache.
    ``text_noise`` moves every text vector by a random one, on average so long as a share of its own
    length: sentences in other words lie beside the captions, and few captions are learned by heart.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        schedule: NoiseSchedule,
        optimizer: dict,
        condition_dropout: Share = 0.1,
        text_noise: Annotated[float, Field(ge=0, le=1000)] = 0.0,
        seed: int = 0,
    ):
        super().__init__()
        self.denoiser, self.schedule = denoiser, schedule
        self.optimizer_options, self.seed = optimizer, seed
        self.condition_dropout, self.text_noise = condition_dropout, text_noise

    def parts(self) -> dict[str, nn.Module]:
        """What a run keeps of this stage."""
        return {"denoiser": self.denoiser}

    def on_fit_start(self) -> None:
        """Lightning moves only what it can see."""
        self.schedule = self.schedule.beside(self.device)

    def training_step(self, batch: LatentBatch, _index: int) -> Tensor:
        """One optimisation step at random timesteps."""
        draws = step_draws(self, "diffusion")
        drop = draws.uniform((len(batch.ids),))
        text = torch.where(
            (drop < self.condition_dropout)[:, None, None], batch.null_text, batch.text
        )
        loss = self._loss(batch, self._moved(text, draws), draws)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids), sync_dist=True)
        return loss

    def validation_step(self, batch: LatentBatch, index: int) -> None:
        """The same loss with captions, at timesteps and noise that are equal every time."""
        loss = self._loss(batch, batch.text, validation_draws(self, index))
        check_finite(loss, self.global_step, batch.ids)
        self.log("val/loss", loss, batch_size=len(batch.ids))

    def _moved(self, text: Tensor, draws: StepDraws) -> Tensor:
        """Text vectors, each with noise of a length from 0 to twice ``text_noise`` of its own."""
        if not self.text_noise:
            return text
        share = 2 * self.text_noise * draws.uniform((len(text), 1, 1))
        step = draws.normal(text.shape) / text.shape[-1] ** 0.5
        return text + share * text.norm(dim=-1, keepdim=True) * step

    def _loss(self, batch: LatentBatch, text: Tensor, draws: StepDraws) -> Tensor:
        clean = reparameterise(batch.mu, batch.logvar, draws.normal(batch.mu.shape))
        noise = draws.normal(clean.shape)
        timestep = draws.integers(self.schedule.num_train_timesteps, (len(clean),))
        noised = add_noise(clean, noise, timestep, self.schedule)
        return mse_loss(self.denoiser(noised, timestep, text).float(), noise)

    def configure_optimizers(self) -> dict:
        """AdamW over the denoiser."""
        return make_optimizer(self.denoiser.parameters(), **self.optimizer_options)
