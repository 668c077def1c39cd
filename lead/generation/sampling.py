"""From a text embedding to a motion latent."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.diffusion.guidance import (
    Denoiser,
    PredictNoise,
    classifier_free,
    embedded_guidance,
)
from lead.diffusion.noise import noise_from
from lead.diffusion.samplers import default_timesteps, find_sampler
from lead.diffusion.schedules import NoiseSchedule, scaled_linear
from lead.diffusion.timesteps import check_timesteps


def visited_timesteps(
    sampler: str, steps: int, timesteps: Sequence[int] | None, schedule: NoiseSchedule
) -> list[int]:
    """The timesteps that a sampler visits; RequestError where it cannot, as in sample_latents."""
    find_sampler(sampler)
    if timesteps is None:
        timesteps = default_timesteps(sampler, schedule.num_train_timesteps, steps)
    return check_timesteps(timesteps, schedule.num_train_timesteps)


def sample_latents(
    denoiser: Denoiser,
    noise: Float[Tensor, "batch tokens dim"],
    text_embedding: Float[Tensor, "text_batch words text_dim"],
    null_embedding: Float[Tensor, "null_batch null_words null_dim"] | None,
    *,
    sampler: str = "ddim",
    steps: int = 50,
    guidance_scale: float = 7.5,
    timesteps: Sequence[int] | None = None,
    schedule: NoiseSchedule | None = None,
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
    eta: float = 0.0,
    mask: Bool[Tensor, "batch tokens"] | None = None,
    word_mask: Bool[Tensor, "batch words"] | None = None,
    null_mask: Bool[Tensor, "null_batch null_words"] | None = None,
) -> Float[Tensor, "batch tokens dim"]:
    """Denoise ``noise`` into one latent per text; a row's result is independent of its batch.

    ``denoiser(z_t, timestep (batch,), text_embedding, guidance_scale=None)`` predicts the noise.
    ``null_embedding`` is the encoded empty sentence, one row for all or one per text, for
    classifier-free guidance; None is for a denoiser distilled with the guidance inside, which then
    gets ``guidance_scale`` as a tensor (batch,). ``timesteps`` overrides ``steps``, e.g. [799].
    ``schedule`` defaults to MLD's. ``generator`` feeds the stochastic samplers (ddpm, lcm, or ddim
    with ``eta`` above 0); give one per row to keep the rows independent there too. A denoiser from
    ``lead.models.inference.prepare`` computes what does not change between steps once.

    ``mask`` says which latents are real, where motions have more or fewer; ``word_mask`` and
    ``null_mask`` which words are. A denoiser gets them as ``mask`` and ``word_mask`` where they are
    given; what comes back is zero on padding.

    Gradients flow: wrap the call in ``torch.no_grad()`` where none are wanted. Raises RequestError
    for an unknown sampler, wrong steps, timesteps or eta, and embeddings that do not fit.
    """
    if len(text_embedding) != len(noise):
        raise RequestError(
            f"{len(text_embedding)} text embeddings for {len(noise)} rows of noise: give one each"
        )
    sample = find_sampler(sampler)
    schedule = schedule or scaled_linear()
    timesteps = visited_timesteps(sampler, steps, timesteps, schedule)
    bind = getattr(denoiser, "bind", None)  # denoisers that were prepared for inference
    noise_like = noise_from(generator)
    if mask is not None:
        noise_like = noise_from(generator, mask.sum(1).tolist())
        bind = partial(_masked, denoiser, mask, word_mask, null_mask)
    elif bind is not None:
        bind = partial(bind, timesteps=timesteps, tokens=noise.shape[1])
    if null_embedding is not None:
        predict_noise = classifier_free(
            *(denoiser, text_embedding, null_embedding, guidance_scale), bind=bind
        )
    elif bind is not None:
        predict_noise = bind(text_embedding, guidance_scale=guidance_scale)
    else:
        predict_noise = embedded_guidance(denoiser, text_embedding, guidance_scale)
    z = sample(predict_noise, noise, timesteps, schedule, noise_like=noise_like, eta=eta)
    return z if mask is None else z.masked_fill(~mask[..., None], 0)


def _masked(
    denoiser: Denoiser,
    mask: Tensor,
    word_mask: Tensor | None,
    null_mask: Tensor | None,
    text: Tensor,
    guidance_scale: float | None = None,
) -> PredictNoise:
    """Noise prediction with masks; ``text`` may have the null texts before those of the rows."""
    twice = len(text) // len(mask)
    scale = None if guidance_scale is None else text.new_full((len(mask),), guidance_scale)
    if word_mask is not None and twice == 2:
        null = torch.ones_like(word_mask) if null_mask is None else null_mask.expand_as(word_mask)
        word_mask = torch.cat([null, word_mask])
    both = torch.cat([mask] * twice)

    def predict_noise(z_t: Tensor, timestep: Tensor) -> Tensor:
        return denoiser(z_t, timestep, text, scale, mask=both, word_mask=word_mask)

    return predict_noise
