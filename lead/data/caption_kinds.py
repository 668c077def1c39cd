"""How many clips, sentences and hours a data set has of each kind of captions, split by split.

The kind is what the label ``captions`` of a clip says; clips without that label are not counted.
The label ``lead`` says how many of the clip's last captions are not of that kind but lead's own:
they are a kind beside it, of the same motion.
"""

from collections.abc import Iterable, Mapping

from lead.data.packed import PackedDataset

KIND, OWN = "captions", "lead"
BY_PEOPLE = ("humanml3d", "kit_ml")
"""The kinds whose sentences people wrote who saw the motion."""

Counts = Mapping[str, Mapping[str, Mapping[str, float | int]]]
"""kind -> split -> clips, sentences, hours."""


def count_kinds(clips: Iterable[tuple[Mapping[str, str], str, int, float]]) -> Counts:
    """Counts of clips given as (labels, split, sentences, seconds)."""
    counts: dict[str, dict[str, dict[str, float | int]]] = {}
    for labels, split, sentences, seconds in clips:
        own = min(sentences, own_captions(labels))
        shares = {labels[KIND]: sentences - own} | ({OWN: own} if own else {})
        for kind, share in shares.items():
            row = counts.setdefault(kind, {}).setdefault(
                split, {"clips": 0, "sentences": 0, "hours": 0.0}
            )
            row["clips"] += 1
            row["sentences"] += share
            row["hours"] += seconds / 3600
    return counts


def own_captions(labels: Mapping[str, str]) -> int:
    """How many of a clip's last captions were written for lead."""
    count = labels.get(OWN, "")
    return int(count) if count.isascii() and count.isdecimal() else 0


def count_dataset(dataset: PackedDataset) -> Counts:
    """Counts of a packed data set, from its index."""
    clips = []
    for name in dataset.manifest.clips:
        split = dataset.split(name)
        for place, labels in enumerate(split.labels):
            if KIND in labels:
                seconds = float(split.frames[place] / dataset.fps)
                clips.append((labels, name, len(split.captions[place]), seconds))
    return count_kinds(clips)


def table_lines(counts: Counts) -> list[str]:
    """A table for people, with a line for each kind and split, and one for all.

    Clips and hours with lead's captions have another kind too: in all they count once.
    """
    rows = [
        (kind, split, row["clips"], row["sentences"], row["hours"])
        for kind, splits in sorted(counts.items())
        for split, row in sorted(splits.items())
    ]
    if not rows:
        return []
    once = [row for row in rows if row[0] != OWN]
    clips, hours = (sum(row[column] for row in once) for column in (2, 4))
    rows.append(("all", "", clips, sum(row[3] for row in rows), hours))
    head = f"{'captions':12} {'split':10} {'clips':>6} {'sentences':>10} {'hours':>7}"
    return [head, *(f"{k:12} {s:10} {c:6} {n:10} {h:7.3f}" for k, s, c, n, h in rows)]
