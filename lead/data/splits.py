"""Stratified splits that stay put when a collection grows."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping

from lead.core.errors import RequestError
from lead.core.seeding import derive_seed

HELD_OUT = "heldout"
"""The split of clips that no training sees, kept for inversion."""

SPLIT = re.compile(r"\w[\w-]*")
"""How a split, and so its files, are called."""

SHARES = {"train": 0.8, "val": 0.05, "test": 0.15}
"""Of the clips of a collection that has no splits of its own."""

SMALL_STRATUM = 5
"""Strata with fewer members are split together with their siblings (the stratum one level up)."""


def stratified_splits(
    strata: Mapping[str, tuple[str, ...]], fractions: Mapping[str, float], *, seed: int = 0
) -> dict[str, str]:
    """Assign each id to a split so that every stratum has about the given fractions.

    ``strata`` maps an id to its stratum, from coarse to fine, e.g. (set, content, style).
    Systematic sampling: the n members of a stratum, in the order of a hash of their ids, stand at
    (rank + u) / n on the unit interval, u a hash of the stratum, and the interval is cut at the
    cumulated fractions. So each split's count is within 1 of n times its fraction, the order of
    listing plays no role, and one new id moves only the neighbours of a cut. Raises RequestError
    where the fractions are not shares that sum to 1.
    """
    check_fractions(fractions)
    sizes: dict[tuple[str, ...], int] = defaultdict(int)
    for stratum in strata.values():
        sizes[stratum] += 1
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, stratum in strata.items():
        groups[stratum if sizes[stratum] >= SMALL_STRATUM else stratum[:-1]].append(name)
    assigned = {}
    for group, names in groups.items():
        names.sort(key=lambda name: (derive_seed(seed, "split", name), name))
        offset = derive_seed(seed, "split offset", *group) / 2.0**63
        for rank, name in enumerate(names):
            assigned[name] = _split_at((rank + offset) / len(names), fractions)
    return {name: assigned[name] for name in strata}


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raise RequestError unless the fractions are shares from 0 to 1 that sum to 1."""
    for name in fractions:
        if not SPLIT.fullmatch(str(name)):
            raise RequestError(f"splits: '{name:.40}' is no name like train")
    values = list(fractions.values())
    shares = all(isinstance(value, (int, float)) and 0 <= value <= 1 for value in values)
    if not values or not shares or not math.isclose(sum(values), 1.0, abs_tol=1e-6):
        raise RequestError(
            f"split fractions {dict(fractions)} have to be shares from 0 to 1 that sum to 1"
        )


def check_fractions_beside_held_out(fractions: Mapping[str, float]) -> None:
    """``check_fractions``, for a source that keeps some clips out under a name of its own."""
    check_fractions(fractions)
    if HELD_OUT in fractions:
        raise RequestError(f"splits: '{HELD_OUT}' is the split of held_out, choose another")


def check_frame_limits(min_frames: int, max_frames: int) -> None:
    """Raise RequestError where no length of a clip lies between the limits."""
    if not 1 <= min_frames <= max_frames:
        raise RequestError(
            f"min_frames={min_frames} max_frames={max_frames}: "
            "1 <= min_frames <= max_frames is needed"
        )


def _split_at(position: float, fractions: Mapping[str, float]) -> str:
    edge = 0.0
    for name, fraction in fractions.items():
        edge += fraction
        if position < edge:
            return name
    return next(name for name in reversed(fractions) if fractions[name] > 0)
