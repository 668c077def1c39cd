"""RMSNorm in few passes over memory, forwards and back: a twentieth of a flow's training step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EPSILON = 1e-6


class RmsNorm(nn.Module):
    """x / sqrt(mean(x^2) + 1e-6) times a weight per channel; in float32, or double where x is."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> the same shape and dtype."""
        return unit_rms(x, self.weight)


def unit_rms(
    x: Float[Tensor, "*shape width"], weight: Float[Tensor, " width"] | None = None
) -> Float[Tensor, "*shape width"]:
    """``x`` with mean square one along the last axis, times ``weight``; computed in float32."""
    if torch.is_grad_enabled() and x.requires_grad:
        return _UnitRms.apply(x, weight)
    unit = _unit(x)[0]
    return (unit if weight is None else unit * weight).to(x.dtype)


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """x / rms at least in float32, and 1 / rms."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    factor = torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPSILON)
    return (wide * factor if wide is x else wide.mul_(factor)), factor


class _UnitRms(torch.autograd.Function):
    """With u = x / rms and h = gradient times weight: (h - u mean(h u)) / rms is that of x."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor | None) -> Tensor:
        unit, factor = _unit(x)
        ctx.save_for_backward(unit, factor, weight)
        return (unit if weight is None else unit * weight).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        unit, factor, weight = ctx.saved_tensors
        wide, of_weight = gradient.to(unit.dtype), None
        if weight is not None:
            of_weight = (wide * unit).flatten(0, -2).sum(0)
            wide = wide * weight
        along = (wide * unit).mean(-1, keepdim=True)
        return torch.addcmul(wide, unit, along, value=-1).mul_(factor).to(gradient.dtype), of_weight
