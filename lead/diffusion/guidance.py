"""How a text condition steers the denoiser: from a conditional network to ``predict_noise``."""

import math
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import RequestError

Denoiser = Callable[..., Tensor]
PredictNoise = Callable[[Tensor, Tensor], Tensor]
Bind = Callable[[Tensor], PredictNoise]


def guide(
    unconditional: Float[Tensor, " batch *rest"],
    conditional: Float[Tensor, " batch *rest"],
    scale: float | Float[Tensor, " batch *ones"],
) -> Float[Tensor, " batch *rest"]:
    """Extrapolate from the unconditional through the conditional prediction (LEAD eq. 8)."""
    return unconditional + scale * (conditional - unconditional)


def classifier_free(
    denoiser: Denoiser,
    text_embedding: Float[Tensor, "batch words dim"],
    null_embedding: Float[Tensor, "null_batch null_words null_dim"],
    scale: float,
    bind: Bind | None = None,
) -> PredictNoise:
    """Make ``predict_noise`` by classifier-free guidance (Ho and Salimans 2022).

    Each call runs the denoiser once, on a batch of twice the size: the null half, then the
    conditional half. A scale of 1 is plain conditional prediction and needs no null half.
    ``null_embedding`` has one row for all, or one per text. ``bind`` makes noise prediction from
    embeddings in another way than by calling the denoiser, for one that prepares its run. Raises
    RequestError where the embeddings do not fit each other, and where the scale is not finite.
    """
    _check_scale(scale)
    batch, *shape = text_embedding.shape
    if list(null_embedding.shape[1:]) != shape or null_embedding.shape[0] not in (1, batch):
        raise RequestError(
            f"null_embedding has shape {tuple(null_embedding.shape)}: "
            f"it must be {(1, *shape)} or {(batch, *shape)}, like text_embedding"
        )
    bind = bind or partial(_bind, denoiser)
    if scale == 1:
        return bind(text_embedding)
    both = bind(torch.cat([null_embedding.expand_as(text_embedding), text_embedding]))

    def predict_noise(z_t: Tensor, timestep: Tensor) -> Tensor:
        noise = both(torch.cat([z_t, z_t]), torch.cat([timestep, timestep]))
        return guide(*noise.chunk(2), scale)

    return predict_noise


def _bind(denoiser: Denoiser, text_embedding: Tensor) -> PredictNoise:
    return lambda z_t, timestep: denoiser(z_t, timestep, text_embedding)


def embedded_guidance(
    denoiser: Denoiser, text_embedding: Float[Tensor, "batch words dim"], scale: float
) -> PredictNoise:
    """Make ``predict_noise`` from a denoiser that was distilled with the scale as an input.

    The denoiser gets the scale as asked for, (batch,), in ``guidance_scale``; nothing is doubled.
    """
    _check_scale(scale)

    def predict_noise(z_t: Tensor, timestep: Tensor) -> Tensor:
        scales = z_t.new_full((len(z_t),), scale)
        return denoiser(z_t, timestep, text_embedding, guidance_scale=scales)

    return predict_noise


def _check_scale(scale: float) -> None:
    if not math.isfinite(scale):
        raise RequestError(f"guidance_scale is {scale}: it must be a finite number")
