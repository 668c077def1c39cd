"""Sizes that a network can have, checked where it is built."""

from collections.abc import Mapping

from lead.core.errors import RequestError


def check_sizes(sizes: Mapping[str, int], dropout: float) -> None:
    """Raise RequestError unless every size is at least 1 and ``dropout`` is in [0, 1)."""
    for name, size in sizes.items():
        if size < 1:
            raise RequestError(f"{name} is {size}: it must be at least 1")
    if not 0 <= dropout < 1:
        raise RequestError(f"dropout is {dropout}: it must be in [0, 1)")
