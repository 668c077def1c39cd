"""How many clips, sentences and hours a data set has of each kind of captions, split by split.

The kind is what the label ``captions`` of a clip says; clips without that label are not counted.
"""

from collections.abc import Iterable, Mapping

from lead.data.packed import PackedDataset

KIND = "captions"
Counts = Mapping[str, Mapping[str, Mapping[str, float | int]]]
"""kind -> split -> clips, sentences, hours."""


def count_kinds(clips: Iterable[tuple[str, str, int, float]]) -> Counts:
    """Counts of clips given as (kind, split, sentences, seconds)."""
    counts: dict[str, dict[str, dict[str, float | int]]] = {}
    for kind, split, sentences, seconds in clips:
        row = counts.setdefault(kind, {}).setdefault(
            split, {"clips": 0, "sentences": 0, "hours": 0.0}
        )
        row["clips"] += 1
        row["sentences"] += sentences
        row["hours"] += seconds / 3600
    return counts


def count_dataset(dataset: PackedDataset) -> Counts:
    """Counts of a packed data set, from its index."""
    clips = []
    for name in dataset.manifest.clips:
        split = dataset.split(name)
        for place, labels in enumerate(split.labels):
            if KIND in labels:
                seconds = float(split.frames[place] / dataset.fps)
                clips.append((labels[KIND], name, len(split.captions[place]), seconds))
    return count_kinds(clips)


def table_lines(counts: Counts) -> list[str]:
    """A table for people, with a line for each kind and split, and one for all."""
    rows = [
        (kind, split, row["clips"], row["sentences"], row["hours"])
        for kind, splits in sorted(counts.items())
        for split, row in sorted(splits.items())
    ]
    if not rows:
        return []
    rows.append(("all", "", *(sum(row[column] for row in rows) for column in (2, 3, 4))))
    head = f"{'captions':12} {'split':10} {'clips':>6} {'sentences':>10} {'hours':>7}"
    return [head, *(f"{k:12} {s:10} {c:6} {n:10} {h:7.3f}" for k, s, c, n, h in rows)]
