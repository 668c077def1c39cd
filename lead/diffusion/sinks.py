"""How much attention sinks into few words, and guidance that corrects itself by it (MLA-Gen).

    SinkRatio = (1/L) sum_i s_i,   s_i = sum over the K largest A_ik of row i
    k_eff     = k_base (1 + alpha SinkRatio)
    E_hat     = E - k_eff sign(E),   E = X_c - X_u
    X         = X_u + w E_hat

The last two are the form without memory of sliding-mode guidance (SMC-CFG), where

    s = (E - E_prev) + lambda E_prev,   E_hat = E - k sign(s),   and E_hat becomes E_prev.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lead.core.errors import RequestError

Latents = Float[Tensor, " batch *rest"]


def sink_ratio(
    attention: Float[Tensor, "batch heads rows words"],
    top_k: int = 1,
    mask: Bool[Tensor, "batch rows"] | None = None,
) -> Float[Tensor, "batch heads"]:
    """Mean over the real rows (motion tokens) of the attention on their ``top_k`` words."""
    top = attention.topk(min(top_k, attention.shape[-1]), dim=-1).values.sum(-1)
    if mask is None:
        return top.mean(-1)
    real = mask[:, None].to(top)
    return (top * real).sum(-1) / real.sum(-1).clamp(min=1)


@dataclass
class SinkControl:
    """The correction of the guidance error E, one call per step of one sampling.

    ``soft`` takes no entry of E past zero: where |E| < k_eff the plain form flips its sign, and
    does so again at the next step. ``memory`` is lambda of the form with memory, which needs steps
    of equal length (Euler); None is MLA-Gen's. ``alpha`` 0 needs no SinkRatio.
    """

    k_base: float
    alpha: float = 0.0
    soft: bool = False
    memory: float | None = None
    previous: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        limits = {"k_base": self.k_base, "alpha": self.alpha, "memory": self.memory or 0.0}
        for name, value in limits.items():
            if not 0 <= value < float("inf"):
                raise RequestError(f"{name} of sink control is {value}: zero or more is wanted")

    def __call__(self, error: Latents, ratio: Float[Tensor, " batch"] | None = None) -> Latents:
        """E_hat of E, with the SinkRatio of each row where there is one."""
        strength = error.new_full((len(error),), self.k_base)
        if ratio is not None:
            strength = strength * (1 + self.alpha * ratio.to(error))
        strength = strength.reshape(-1, *[1] * (error.ndim - 1))
        surface = error
        if self.memory is not None:
            previous = error if self.previous is None else self.previous
            surface = (error - previous) + self.memory * previous
        if self.soft:
            strength = torch.minimum(strength, error.abs())
        corrected = error - strength * surface.sign()
        self.previous = corrected.detach()
        return corrected
