"""Where a stochastic sampler takes its fresh noise from."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lead.core.errors import RequestError

NoiseLike = Callable[[Tensor], Tensor]


def noise_from(
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
    lengths: Sequence[int] | None = None,
) -> NoiseLike:
    """Make the function that draws standard normal noise in the shape of a tensor (batch ...).

    With one generator per row, a row's noise does not depend on the other rows of its batch. One
    generator serves the whole batch in order; none means torch's global one. Noise is drawn on the
    generator's device and then moved, so that a CPU generator gives the same noise everywhere.
    With ``lengths`` a row has noise in its first so many entries, zeros behind: its noise does not
    depend on its padding.
    """
    if generator is None:
        return torch.randn_like
    if isinstance(generator, torch.Generator):
        return lambda like: _draw(generator, like)
    generators = list(generator)

    def noise_by_row(like: Tensor) -> Tensor:
        if len(like) != len(generators):
            raise RequestError(
                f"{len(generators)} generators for {len(like)} rows: give one per row, or a single"
            )
        drawn = torch.zeros_like(like)
        for place, (one, row) in enumerate(zip(generators, like, strict=True)):
            own = ... if lengths is None else slice(lengths[place])
            drawn[place][own] = _draw(one, row[own])
        return drawn

    return noise_by_row


def _draw(generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=generator.device).to(like)
