"""Several processes that train on one batch: the loss is that of the whole batch.

Each process has the same number of neighbouring rows. Gradients are averaged over processes, so a
loss that is a mean over rows needs nothing more. Two other kinds do: means over frames, of which
processes have more or fewer, and losses that compare rows with one another.
"""

import torch
from torch import Tensor, distributed
from torch.nn.functional import pad


def world_size() -> int:
    """How many processes train together."""
    ready = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if ready else 1


def share_of_batch(counts: Tensor) -> Tensor:
    """By what a mean over so many own values is multiplied, so that the processes' mean is right.

    That is own / (average over the processes), and exactly 1 for a process alone.
    """
    if world_size() == 1:
        return torch.ones_like(counts, dtype=torch.float32)
    everywhere = counts.float()
    distributed.all_reduce(everywhere)
    return counts * world_size() / everywhere.clamp(min=1)


def in_whole_batch(terms: dict[str, Tensor], of: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each term such that its mean over processes is its mean over what all of them have.

    ``of`` holds the mask that a term is a mean over, by its name; others are means over rows.
    """
    shares = share_of_batch(torch.stack([mask.sum() for mask in of.values()]))
    return terms | {name: terms[name] * share for name, share in zip(of, shares, strict=True)}


def rows_of_batch(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The rows of all processes, in their order; gradients flow back to each process's own."""
    if world_size() == 1:
        return tensors
    return tuple(_AllRows.apply(tensor) for tensor in tensors)


def longest_rows(tensor: Tensor, longest: int) -> Tensor:
    """Rows (batch, tokens, ...) as long as the longest of all processes, zeros behind."""
    missing = longest - tensor.shape[1] if world_size() > 1 else 0
    return pad(tensor, (0, 0) * (tensor.ndim - 2) + (0, missing)) if missing else tensor


class _AllRows(torch.autograd.Function):
    """Every process then has the loss of the whole batch, and its gradients with respect to all.

    The sum over processes counts each gradient once a process, which their later mean undoes.
    """

    @staticmethod
    def forward(ctx, own: Tensor) -> Tensor:  # noqa: ARG004
        rows = [torch.empty_like(own) for _ in range(world_size())]
        distributed.all_gather(rows, own.contiguous())
        return torch.cat(rows)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # noqa: ARG004
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient.chunk(world_size())[distributed.get_rank()]
