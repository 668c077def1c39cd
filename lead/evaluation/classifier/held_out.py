"""Held-out styles in two halves: one the classifier learns from, one it never sees."""

from lead.data.packed import PackedDataset, PackedSplit
from lead.data.splits import stratified_splits

HELD_OUT = "heldout"
"""The split of styles that no model is trained on."""

TAUGHT, KEPT = "taught", "kept"
HALVES = {TAUGHT: 0.5, KEPT: 0.5}


def divide_held_out(dataset: PackedDataset) -> dict[str, list[int]]:
    """Places of split ``heldout``: those the classifier is taught with, and those kept from it.

    The kept ones are the exemplars that words are learned from, and real clips that tell how often
    the classifier is right. The cut is even within every set, style and content, and depends on the
    ids alone. Both lists are empty for a data set without such a split.
    """
    if HELD_OUT not in dataset.manifest.clips:
        return {name: [] for name in HALVES}
    split = dataset.split(HELD_OUT)
    half = stratified_splits(
        {name: _stratum(split, place) for place, name in enumerate(split.ids)}, HALVES
    )
    return {
        name: [place for place, clip in enumerate(split.ids) if half[clip] == name]
        for name in HALVES
    }


def _stratum(split: PackedSplit, place: int) -> tuple[str, ...]:
    return tuple(split.labels[place].get(key, "") for key in ("set", "style", "content"))
