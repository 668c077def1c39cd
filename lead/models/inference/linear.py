"""A linear map with its weights laid out once, and what follows it done in the same pass."""

import torch
from torch import Tensor, nn

FEW = (1, 2, 4, 8, 12, 16)
"""Rows for which MKL reads float32 weights faster than oneDNN: its kernels take four at once."""


class PackedLinear(nn.Module):
    """y = following(W x + b), for inference.

    On a CPU the weights are laid out once, which a plain ``nn.Linear`` does at every call: in
    oneDNN's layout, where activation or residual are applied while the product is still in the
    cache, or for a few rows, as a single motion has, in MKL's. Elsewhere, and where torch compiles
    the network around it, the same in plain operations. Inputs and outputs have the dtype of the
    weights; other inputs are cast to it.
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
        self.few: tuple[int, Tensor | None] = (0, None)  # rows, and the layout for so many

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        x = x.to(self.dtype)
        if self._has_packed(x):
            return torch.ops.mkldnn._linear_pointwise.default(
                x, self.packed, self.bias, self.following, [], "none"
            )
        y = self._plain(x)
        return y if self.following == "none" else getattr(nn.functional, self.following)(y)

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """``residual`` (..., out) + W x + b, rounded once."""
        x, residual = x.to(self.dtype), residual.to(self.dtype)
        if self._has_packed(x):
            return torch.ops.mkldnn._linear_pointwise.binary(
                x, residual, self.packed, self.bias, "add"
            )
        return self._plain(x).add_(residual)

    def _plain(self, x: Tensor) -> Tensor:
        rows, layout = self.few
        if layout is not None and x.numel() == rows * self.in_features:
            return torch.ops.mkl._mkl_linear.default(x, layout, self.weight, self.bias, rows)
        return nn.functional.linear(x, self.weight, self.bias)

    def _has_packed(self, x: Tensor) -> bool:
        """Whether oneDNN multiplies these rows. The first call chooses the first layout.

        Where that is for few rows, the plain weights stay beside it, as MKL wants them.
        """
        if self.weight is None or torch.compiler.is_compiling():
            return self.weight is None
        rows = x.numel() // self.in_features
        few = rows in FEW and self.dtype == torch.float32
        if few and not self._was_called and not self.few[0]:
            layout = _packed_for(self.weight, rows)
            self.few = (rows if rows == 1 or layout is not None else 0, layout)
        if rows == self.few[0]:
            return False
        if not self._was_called:
            self._was_called = True
            self.packed = _packed(self.weight)
            if self.packed is not None and not self.few[0]:
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


def _packed_for(weight: Tensor, rows: int) -> Tensor | None:
    """The weights in MKL's layout for so many rows; None where there is none."""
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or rows == 1:
        return None
    try:
        return torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)
    except (AttributeError, RuntimeError):
        return None
