"""From a text embedding to joint latents, by a flow."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.diffusion.flow_times import flow_times
from lead.diffusion.samplers import find_solver
from lead.diffusion.sinks import SinkControl, sink_ratio
from lead.generation.timeline import Windows
from lead.models.blocks.watching import TO_WORDS, attends_to_words, watch_attention


@dataclass(frozen=True)
class FlowGuidance:
    """How the text steers a flow: X = X_u + scale (X_c - X_u) at times of at least ``start``.

    Before ``start`` the conditional velocity is taken as it is. ``control`` corrects the error
    X_c - X_u (sink-ctrl), by the attention on the ``top_k`` words where its alpha is not zero.
    """

    scale: float = 3.0
    start: float = 0.0
    control: SinkControl | None = None
    top_k: int = 1

    @property
    def passes(self) -> int:
        """Rows of the network for each text: with and without it, or with it alone."""
        return 1 if self.scale == 1 and self.control is None else 2

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale):
            raise RequestError(f"guidance_scale is {self.scale}: it must be a finite number")


def sample_flow(
    flow: Callable[..., Tensor],
    noise: Float[Tensor, "batch tokens joints channels"],
    text_embedding: Float[Tensor, "rows words text_dim"],
    *,
    mask: Bool[Tensor, "rows seen"] | None = None,
    word_mask: Bool[Tensor, "rows words"] | None = None,
    sampler: str = "euler",
    steps: int = 16,
    shift: float = 1.0,
    guidance: FlowGuidance | None = None,
    windows: Windows | None = None,
) -> Float[Tensor, "batch tokens joints channels"]:
    """Carry ``noise`` along the flow into one latent motion per text, zero on padding.

    ``sampler`` is a solver of ``lead.diffusion.samplers``; the adaptive one takes its own steps and
    tries the first of ``steps`` first. A row's result is independent of its batch. Gradients flow.
    With ``windows`` there is one motion, and texts and masks are those of its windows.
    Raises RequestError for an unknown sampler, wrong steps, and control that the flow or the
    sampler cannot have.
    """
    guidance = guidance or FlowGuidance()
    control = guidance.control
    integrate, times = find_solver(sampler), flow_times(steps, shift)
    if control is not None:
        if control.memory is not None and (sampler != "euler" or shift != 1):
            raise RequestError("sink control with memory needs equal steps: sampler=euler, shift=1")
        control.previous = None
    velocity = guided_velocity(flow, text_embedding, mask, word_mask, guidance)
    if windows is not None:
        velocity = windows.blend(velocity)
    elif mask is not None:
        noise = noise.masked_fill(~mask[..., None, None], 0)
    return integrate(velocity, noise, times)


def guided_velocity(
    flow: Callable[..., Tensor],
    text_embedding: Float[Tensor, "batch words text_dim"],
    mask: Bool[Tensor, "batch tokens"] | None,
    word_mask: Bool[Tensor, "batch words"] | None,
    guidance: FlowGuidance,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Make velocity(z, time) of a flow, its text and guidance; nothing moves on padding.

    Each call runs the flow once, on a batch of twice the size: unconditional, then conditional
    rows. A scale of 1 without control is plain conditional prediction and needs no such half.
    """
    control, rows = guidance.control, len(text_embedding)
    still = None if mask is None else ~mask[..., None, None]

    def plain(z: Tensor, time: Tensor) -> Tensor:
        velocity = flow(z, time, text_embedding, mask, word_mask)
        return velocity if still is None else velocity.masked_fill(still, 0)

    if guidance.passes == 1:
        return plain
    needs_maps = control is not None and control.alpha > 0
    conditional = torch.arange(2 * rows, device=text_embedding.device) >= rows
    texts, masks, word_masks = (_twice(each) for each in (text_embedding, mask, word_mask))

    def velocity(z: Tensor, time: Tensor) -> Tensor:
        with watch_attention(flow, TO_WORDS) if needs_maps else nullcontext([]) as maps:
            both = flow(_twice(z), _twice(time), texts, masks, word_masks, conditional)
        without, given = both.chunk(2)
        on = (time >= guidance.start).reshape(-1, *[1] * (z.ndim - 1))
        error = given - without
        if control is not None and on.any():
            ratio = _ratio([each[rows:] for each in maps], guidance.top_k, mask, z)
            error = torch.where(on, control(error, ratio), error)
        guided = without + torch.where(on, guidance.scale, 1.0).to(z) * error
        return guided if still is None else guided.masked_fill(still, 0)

    if needs_maps and not attends_to_words(flow):
        raise RequestError(
            "sink control by SinkRatio needs a flow with local conditioning: alpha=0 goes without"
        )
    return velocity


def _twice(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else torch.cat([tensor, tensor])


def _ratio(maps: list[Tensor], top_k: int, mask: Tensor | None, z: Tensor) -> Tensor | None:
    """SinkRatio of each row (batch,), over all layers and heads."""
    if not maps:
        return None
    rows = maps[0].shape[2] // z.shape[1]  # patches of a latent frame
    real = None if mask is None else mask.repeat_interleave(rows, dim=1)
    return torch.stack([sink_ratio(each, top_k, real) for each in maps]).mean((0, 2))
