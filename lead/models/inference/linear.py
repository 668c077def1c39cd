"""A linear map with its weights laid out once, and what follows it done in the same pass."""

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """y = following(W x + b), for inference.

    On a CPU the weights are put into oneDNN's own layout once, which a plain ``nn.Linear`` does at
    every call, and activation or residual are applied while the product is still in the cache.
    Elsewhere, and where torch compiles the network around it, the same in plain operations. Inputs
    and outputs have the dtype of the weights; other inputs are cast to it.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        dtype: torch.dtype = torch.float32,
        following: str = "none",
    ):
        super().__init__()
        self.following, self.dtype = following, dtype
        self.in_features, self.out_features = weight.shape[1], weight.shape[0]
        self.weight = weight.detach().to(dtype).contiguous()
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.packed, self._was_called = None, False

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        x = x.to(self.dtype)
        if self._has_packed():
            return torch.ops.mkldnn._linear_pointwise(
                x, self.packed, self.bias, self.following, [], "none"
            )
        y = nn.functional.linear(x, self.weight, self.bias)
        return y if self.following == "none" else getattr(nn.functional, self.following)(y)

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """``residual`` (..., out) + W x + b, rounded once."""
        x, residual = x.to(self.dtype), residual.to(self.dtype)
        if self._has_packed():
            return torch.ops.mkldnn._linear_pointwise.binary(
                x, residual, self.packed, self.bias, "add"
            )
        return residual + nn.functional.linear(x, self.weight, self.bias)

    def _has_packed(self) -> bool:
        """Whether the weights are in oneDNN's layout, into which they are put at the first call."""
        if not self._was_called and not torch.compiler.is_compiling():
            self._was_called = True
            self.packed = _packed(self.weight)
            if self.packed is not None:
                self.weight = None
        return self.packed is not None


def packed_from(layer: nn.Linear, dtype: torch.dtype, following: str = "none") -> PackedLinear:
    """The same map as a trained layer."""
    return PackedLinear(layer.weight, layer.bias, dtype, following)


def _packed(weight: Tensor) -> Tensor | None:
    """The weights in oneDNN's layout; None where this torch, processor or device has none."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return None
    try:
        return torch.ops.mkldnn._reorder_linear_weight(weight)
    except (AttributeError, RuntimeError):
        return None
