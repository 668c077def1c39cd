"""Stage 1: train the motion VAE (LEAD 4.1.2, after MLD)."""

import pytorch_lightning as pl
import torch
from torch import Tensor

from lead.core.batches import MotionBatch
from lead.core.seeding import make_generator
from lead.models.vae import MotionVAE, sample_posterior
from lead.representation import features_to_joints, get_skeleton
from lead.representation.normalizer import Normalizer
from lead.training.losses import check_finite, gaussian_kl, masked_smooth_l1
from lead.training.optimization import make_optimizer
from lead.training.randomness import step_purpose


class VaeStage(pl.LightningModule):
    """SmoothL1 on features + SmoothL1 on joints (metres) + KL, real frames only.

    The paper writes MSE; these terms and weights are those of MLD's released VAE, which it retains.
    Beside them: ``velocities_weight`` for SmoothL1 on the joints' velocities (m/s), and
    ``threshold``, below which SmoothL1 is quadratic.
    """

    def __init__(
        self,
        vae: MotionVAE,
        normalizer: Normalizer,
        skeleton: str,
        optimizer: dict,
        joints_weight: float = 1.0,
        kl_weight: float = 1e-4,
        velocities_weight: float = 0.0,
        threshold: float = 1.0,
        seed: int = 0,
    ):
        super().__init__()
        self.vae = vae
        self.normalizer = normalizer
        self.skeleton, self.optimizer_options, self.seed = skeleton, optimizer, seed
        self.joints_weight, self.kl_weight = joints_weight, kl_weight
        self.velocities_weight, self.threshold = velocities_weight, threshold
        self.fps = get_skeleton(skeleton).fps

    def parts(self) -> dict[str, torch.nn.Module]:
        """What a run keeps of this stage."""
        return {"vae": self.vae}

    def training_step(self, batch: MotionBatch, _index: int) -> Tensor:
        """One optimisation step; the posterior is sampled."""
        generator = make_generator(self.seed, "posterior", *step_purpose(self), device=self.device)
        terms = self._terms(batch, generator)
        check_finite(terms["loss"], self.global_step, batch.ids)
        self.log_dict({f"train/{k}": v for k, v in terms.items()}, batch_size=len(batch.ids))
        self.log("loss", terms["loss"], prog_bar=True, logger=False, batch_size=len(batch.ids))
        return terms["loss"]

    def validation_step(self, batch: MotionBatch, _index: int) -> None:
        """Losses with the posterior's mean."""
        terms = self._terms(batch, None)
        check_finite(terms["loss"], self.global_step, batch.ids)
        self.log_dict(
            {f"val/{name}": value for name, value in terms.items()},
            batch_size=len(batch.ids),
            prog_bar=False,
        )

    def _terms(self, batch: MotionBatch, generator: torch.Generator | None) -> dict[str, Tensor]:
        mu, logvar = self.vae.encode(batch.x, batch.mask)
        mu, logvar = mu.float(), logvar.float()
        z = mu if generator is None else sample_posterior(mu, logvar, generator)
        rebuilt = self.vae.decode(z, batch.mask).float()
        with torch.autocast(self.device.type, enabled=False):
            joints = features_to_joints(self.normalizer.denormalize(batch.x), self.skeleton)
            guess = features_to_joints(self.normalizer.denormalize(rebuilt), self.skeleton)
            terms = {
                "features": masked_smooth_l1(rebuilt, batch.x, batch.mask, self.threshold),
                "joints": masked_smooth_l1(guess, joints, batch.mask, self.threshold),
                "kl": gaussian_kl(mu, logvar),
            }
            if self.velocities_weight:
                moved, real = (self.fps * each.diff(dim=1) for each in (guess, joints))
                terms["velocities"] = masked_smooth_l1(
                    moved, real, batch.mask[:, 1:], self.threshold
                )
        weights = {
            "features": 1.0,
            "joints": self.joints_weight,
            "kl": self.kl_weight,
            "velocities": self.velocities_weight,
        }
        return {"loss": sum(weights[name] * term for name, term in terms.items()), **terms}

    def configure_optimizers(self) -> dict:
        """AdamW over the VAE."""
        return make_optimizer(self.vae.parameters(), **self.optimizer_options)
