"""How large a network may be, and how many numbers it has, judged before it takes any memory."""

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from lead.core.errors import RequestError

if TYPE_CHECKING:
    from torch import nn

NUMBERS_MOST = 700_000_000  # weights and buffers of one network; ACMDM-XL has 596 million
SIZE_MOST = 16_384  # of one dimension
Size = Annotated[int, Field(ge=1, le=SIZE_MOST)]
Layers = Annotated[int, Field(ge=1, le=99)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Some = Annotated[int, Field(ge=1, le=65_536)]  # rows at once, words of a sentence
Scale = Annotated[float, Field(gt=0, le=1000)]  # what an input is multiplied by
Timesteps = Annotated[int, Field(ge=1, le=100_000)]  # of a noise schedule


def _has_a_range(width: int) -> int:
    if width in (1, 2, 3):
        raise ValueError(f"{width} is too few, one frequency has no range: 0 (none), or at least 4")
    return width


SizeOrNone = Annotated[int, Field(ge=0, le=SIZE_MOST)]  # 0 where there is none
GuidanceDim = Annotated[SizeOrNone, AfterValidator(_has_a_range)]


def check_numbers(make: "Callable[[], nn.Module]", where: str) -> None:
    """RequestError where the network that ``make`` builds has more than ``NUMBERS_MOST`` numbers.

    It is built once with tensors that have a shape and no memory; no random number is drawn.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    factories = (torch.empty, torch.zeros, torch.ones, torch.randn)
    fillers = (
        torch.Tensor.normal_,
        torch.Tensor.uniform_,
        torch.Tensor.mul_,
    )  # slow without memory

    class WithoutMemory(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # noqa: ARG002
            if func in fillers or getattr(func, "__module__", "") == "torch.nn.init":
                return args[0] if args else None
            if func is torch.Tensor.mul and args[0].is_meta and isinstance(args[1], float | int):
                return args[0]  # it would load all of torch's compiler
            if func in factories:
                return torch.empty(*args, device="meta")
            return func(*args, **(kwargs or {}))

    with WithoutMemory():
        network = make()
    check_count(sum(x.numel() for x in chain(network.parameters(), network.buffers())), where)


def check_count(numbers: int, where: str) -> None:
    """RequestError for more than ``NUMBERS_MOST`` numbers."""
    if numbers > NUMBERS_MOST:
        raise RequestError(
            f"{where} would have {numbers:.3g} numbers, {NUMBERS_MOST} are the most: "
            "choose smaller sizes"
        )
