"""Stage 2: train the latent denoiser on cached posteriors (LEAD 4.1.2, after MLD)."""

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from lead.core.batches import LatentBatch
from lead.core.errors import RequestError
from lead.core.seeding import make_generator
from lead.diffusion.forward import add_noise
from lead.diffusion.schedules import NoiseSchedule
from lead.models.vae import sample_posterior
from lead.training.losses import check_finite
from lead.training.optimization import make_optimizer
from lead.training.randomness import step_purpose


class DiffusionStage(pl.LightningModule):
    """Noise prediction (epsilon) with mean squared error; some captions become the empty string.

    The VAE and the text encoder are not here at all: latents and embeddings come from the cache.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        schedule: NoiseSchedule,
        optimizer: dict,
        condition_dropout: float = 0.1,
        seed: int = 0,
    ):
        super().__init__()
        self.denoiser, self.schedule = denoiser, schedule
        self.optimizer_options, self.seed = optimizer, seed
        if not 0 <= condition_dropout <= 1:
            raise RequestError(f"condition_dropout is {condition_dropout}: it is a share of 0 to 1")
        self.condition_dropout = condition_dropout

    def parts(self) -> dict[str, nn.Module]:
        """What a run keeps of this stage."""
        return {"denoiser": self.denoiser}

    def training_step(self, batch: LatentBatch, _index: int) -> Tensor:
        """One optimisation step at random timesteps."""
        generator = make_generator(self.seed, "diffusion", *step_purpose(self), device=self.device)
        drop = torch.rand(len(batch.ids), generator=generator, device=self.device)
        text = torch.where(
            (drop < self.condition_dropout)[:, None, None], batch.null_text, batch.text
        )
        loss = self._loss(batch, text, generator)
        check_finite(loss, self.global_step, batch.ids)
        self.log("train/loss", loss, batch_size=len(batch.ids))
        self.log("loss", loss, prog_bar=True, logger=False, batch_size=len(batch.ids))
        return loss

    def validation_step(self, batch: LatentBatch, index: int) -> None:
        """The same loss with captions, at timesteps and noise that are equal every time."""
        generator = make_generator(self.seed, "validation", index, device=self.device)
        loss = self._loss(batch, batch.text, generator)
        check_finite(loss, self.global_step, batch.ids)
        self.log("val/loss", loss, batch_size=len(batch.ids))

    def _loss(self, batch: LatentBatch, text: Tensor, generator: torch.Generator) -> Tensor:
        clean = sample_posterior(batch.mu, batch.logvar, generator)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        timestep = torch.randint(
            self.schedule.num_train_timesteps,
            (len(clean),),
            generator=generator,
            device=clean.device,
        )
        noised = add_noise(clean, noise, timestep, self.schedule)
        return mse_loss(self.denoiser(noised, timestep, text).float(), noise)

    def configure_optimizers(self) -> dict:
        """AdamW over the denoiser."""
        return make_optimizer(self.denoiser.parameters(), **self.optimizer_options)
