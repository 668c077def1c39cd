"""Weights in few bytes: half precision, or 8 bits a number with one scale a row.

Only matrices are made smaller: what has one dimension (biases, scales, statistics) is little and
matters most. ``restore`` gives float32 back, whatever a file holds.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from lead.core.errors import RequestError

BITS = (16, 8)
_CODES, _SCALE = ".int8", ".row_scale"
_LARGEST = 65504.0  # of half precision


def compact(tensors: Mapping[str, Tensor], bits: int = 16) -> dict[str, Tensor]:
    """The tensors with matrices of ``bits`` a number; RequestError for other bits than 16 and 8.

    16 keeps 11 significant bits. 8 rounds to 1/127 of the largest entry of a row, all dimensions
    but the first taken together. A matrix that does not fit into half precision stays as it is.
    """
    if bits not in BITS:
        raise RequestError(f"bits={bits}: weights are kept with 16 or 8 bits")
    small: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        fits = tensor.numel() > 0 and bool(tensor.abs().amax() <= _LARGEST)
        if tensor.ndim < 2 or not tensor.is_floating_point() or not fits:
            small[name] = tensor
        elif bits == 16:
            small[name] = tensor.half()
        else:
            rows = tensor.float().flatten(1)
            scale = (rows.abs().amax(dim=1, keepdim=True) / 127).clamp(min=1e-12)
            small[name + _CODES] = (rows / scale).round().to(torch.int8).view(tensor.shape)
            small[name + _SCALE] = scale[:, 0]
    return small


def restore(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as they were before ``compact``, to rounding; half precision becomes float32."""
    whole: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(_CODES):
            own = name.removesuffix(_CODES)
            scale = tensors.get(own + _SCALE)
            if scale is not None:
                rows = tensor.float().flatten(1) * scale[:, None]
                whole[own] = rows.view(tensor.shape)
                continue
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) + _CODES in tensors:
            continue
        whole[name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return whole
