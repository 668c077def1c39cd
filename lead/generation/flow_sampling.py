"""From a text embedding to joint latents, by a flow."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.diffusion.flow_times import flow_times
from lead.diffusion.samplers import find_solver
from lead.diffusion.sinks import SinkControl, sink_ratio
from lead.models.blocks.watching import watch_attention

LOCAL = "text_attention.attend"
"""How the names of modules end in which motion tokens attend to words."""


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

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale):
            raise RequestError(f"guidance_scale is {self.scale}: it must be a finite number")


def sample_flow(
    flow: Callable[..., Tensor],
    noise: Float[Tensor, "batch tokens joints channels"],
    text_embedding: Float[Tensor, "batch words text_dim"],
    *,
    mask: Bool[Tensor, "batch tokens"] | None = None,
    word_mask: Bool[Tensor, "batch words"] | None = None,
    sampler: str = "euler",
    steps: int = 16,
    shift: float = 1.0,
    guidance: FlowGuidance | None = None,
) -> Float[Tensor, "batch tokens joints channels"]:
    """Carry ``noise`` along the flow into one latent motion per text, zero on padding.

    ``sampler`` is a solver of ``lead.diffusion.samplers``; the adaptive one takes its own steps and
    tries the first of ``steps`` first. A row's result is independent of its batch. Gradients flow.
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
    if mask is not None:
        noise = noise.masked_fill(~mask[..., None, None], 0)
    velocity = guided_velocity(flow, text_embedding, mask, word_mask, guidance)
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

    if guidance.scale == 1 and control is None:
        return plain
    needs_maps = control is not None and control.alpha > 0
    conditional = torch.arange(2 * rows, device=text_embedding.device) >= rows
    texts, masks, word_masks = (_twice(each) for each in (text_embedding, mask, word_mask))

    def velocity(z: Tensor, time: Tensor) -> Tensor:
        with watch_attention(flow, LOCAL) if needs_maps else nullcontext([]) as maps:
            both = flow(_twice(z), _twice(time), texts, masks, word_masks, conditional)
        without, given = both.chunk(2)
        on = (time >= guidance.start).reshape(-1, *[1] * (z.ndim - 1))
        error = given - without
        if control is not None and on.any():
            ratio = _ratio([each[rows:] for each in maps], guidance.top_k, mask, z)
            error = torch.where(on, control(error, ratio), error)
        guided = without + torch.where(on, guidance.scale, 1.0).to(z) * error
        return guided if still is None else guided.masked_fill(still, 0)

    if needs_maps and not reads_words(flow):
        raise RequestError(
            "sink control by SinkRatio needs a flow with local conditioning: alpha=0 goes without"
        )
    return velocity


@contextmanager
def watch_sinks(flow: nn.Module, top_k: int = 1) -> Iterator[list[Tensor]]:
    """Collect the SinkRatio of the conditional rows at each call of a flow, over layers and heads.

    The list grows by one (rows,) a call; no map is kept.
    """
    ratios: list[Tensor] = []

    def look(_flow: nn.Module, inputs: tuple, _velocity: Tensor) -> None:
        z, _, _, mask, _, *conditional = inputs
        ratio = _ratio(maps, top_k, mask, z)
        maps.clear()
        ratios.append(ratio[conditional[0]] if conditional else ratio)

    with watch_attention(flow, LOCAL) as maps:
        hook = flow.register_forward_hook(look)
        try:
            yield ratios
        finally:
            hook.remove()


def reads_words(flow: nn.Module) -> bool:
    """Whether motion tokens attend to words, so that there is a SinkRatio."""
    return any(name.endswith(LOCAL) for name, _ in flow.named_modules())


def _twice(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else torch.cat([tensor, tensor])


def _ratio(maps: list[Tensor], top_k: int, mask: Tensor | None, z: Tensor) -> Tensor | None:
    """SinkRatio of each row (batch,), over all layers and heads."""
    if not maps:
        return None
    rows = maps[0].shape[2] // z.shape[1]  # patches of a latent frame
    real = None if mask is None else mask.repeat_interleave(rows, dim=1)
    return torch.stack([sink_ratio(each, top_k, real) for each in maps]).mean((0, 2))
