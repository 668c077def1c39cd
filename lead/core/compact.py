"""Weights in few bytes: half precision, or 8 bits a number with one scale a row.

Only matrices are made smaller: what has one dimension (biases, scales, statistics) is little and
matters most. ``restore`` gives float32 back, whatever a file holds.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from lead.core.errors import RequestError, WorkError

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


def restore(tensors: Mapping[str, Tensor], where: str = "weights") -> dict[str, Tensor]:
    """The tensors as they were before ``compact``, to rounding; half precision becomes float32.

    WorkError, with ``where``, for codes and scales that do not belong together.
    """
    whole: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        own = name.removesuffix(_CODES)
        if name.endswith(_CODES) and own + _SCALE in tensors:
            whole[own] = _matrix(tensor, tensors[own + _SCALE], f"{where}: {own}")
        elif not (name.endswith(_SCALE) and name.removesuffix(_SCALE) + _CODES in tensors):
            whole[name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return whole


def _matrix(codes: Tensor, scale: Tensor, where: str) -> Tensor:
    fits = codes.dtype == torch.int8 and codes.ndim >= 2 and scale.is_floating_point()
    if not fits or scale.shape != codes.shape[:1]:
        raise WorkError(
            f"{where} is no packed matrix ({codes.dtype} {tuple(codes.shape)} with scales "
            f"{scale.dtype} {tuple(scale.shape)}): pack it again"
        )
    return (codes.float().flatten(1) * scale[:, None]).view(codes.shape)
