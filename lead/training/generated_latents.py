"""What the diffusion makes of noised latents: another input for stage 3."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.data.cache import cached_generated
from lead.data.latents import LatentDataset
from lead.data.packed import PackedDataset
from lead.diffusion.forward import add_noise
from lead.diffusion.timesteps import leading_timesteps
from lead.generation.sampling import sample_latents

STEPS = 50  # of DDIM from pure noise; a way that begins later has fewer
BATCH_SIZE = 512


@dataclass(frozen=True)
class Regeneration:
    """Latents noised to ``timestep`` and sampled back by guided DDIM with a caption of their clip.

    Each result carries the sampler's errors and stays paired with the latent it comes from; a
    later ``timestep`` leaves less of that latent. ``run`` is a diffusion run, not a distilled one.
    """

    run: Run
    timestep: int
    guidance_scale: float
    seed: int

    def __call__(self, dataset: PackedDataset, split: str, latents: LatentDataset) -> Tensor:
        """Generated latents (clips, tokens, dim) of a split, from the cache where it has them."""
        keys = (self.run.weights_hash("denoiser"), self.timestep, self.guidance_scale, self.seed)
        return cached_generated(dataset, split, keys, latents.mu, lambda: self._make(latents))

    @torch.no_grad()
    def _make(self, latents: LatentDataset) -> Tensor:
        schedule = self.run.build_part("schedule")
        sizes = {"latent_tokens": latents.mu.shape[1], "latent_dim": latents.mu.shape[2]}
        sizes["timesteps"] = schedule.num_train_timesteps
        denoiser = freeze(self.run.load_part("denoiser", **sizes))
        if denoiser.embeds_guidance:
            raise RequestError(
                f"{self.run.folder} is distilled: stage.latents=generated needs the run that it "
                "learned from"
            )
        grid = leading_timesteps(schedule.num_train_timesteps, STEPS)
        visited = [timestep for timestep in grid if timestep <= self.timestep]
        if not visited:
            raise RequestError(
                f"stage.generated.timestep is {self.timestep}: it starts at {grid[-1]}"
            )
        noise = torch.randn(latents.mu.shape, generator=make_generator(self.seed, "regeneration"))
        text, null = latents.first_texts(), latents.null_text()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        denoiser.to(device)
        made = []
        for start in range(0, len(noise), BATCH_SIZE):
            rows = slice(start, start + BATCH_SIZE)
            z = add_noise(latents.mu[rows], noise[rows], visited[0], schedule)
            given = [part.to(device) for part in (z, text[rows], null)]
            options = {"timesteps": visited, "guidance_scale": self.guidance_scale}
            made.append(sample_latents(denoiser, *given, schedule=schedule, **options).cpu())
        return torch.cat(made)
