"""The first line of a table: who judged, and whether the judge sees reality as published."""

from collections.abc import Mapping

from lead.evaluation.estimate import Estimate
from lead.evaluation.protocol import COLUMNS, Protocol
from lead.evaluation.real_clips import RealClips

FITS = "the Real row lies in the published intervals of {}"
UNCHECKED = "no Real row is known from its tables, so nothing checks data and captions"


def headline(
    protocol: Protocol,
    judge_name: str,
    fingerprint: str,
    real: RealClips,
    real_row: Mapping[str, Estimate],
    dimensions: int = 0,
) -> str:
    """One line that says what the numbers of a table may be compared with.

    Where the published judge looked at the published data, the measured interval of every measure
    of the Real row has to meet the published one; else the line names the judge and says so. It
    says too where there are fewer clips than ``dimensions`` of the judge's vectors.
    """
    doubts = _doubts(protocol, real)
    if 0 < len(real) <= dimensions:  # the covariance of n rows has rank n - 1
        doubts.append(
            f"FID of {len(real)} clips in {dimensions} dimensions is too high: it compares only "
            "with that of as many clips"
        )
    judge = f"judge {judge_name} ({fingerprint[:12]})"
    published = protocol.published.get(real.dataset)
    if published is None or published["judge"] != judge_name:
        doubts.append("numbers compare only with those of the same judge")
        return f"{judge}: {'; '.join(doubts)}"
    if published.keys() == {"judge"}:
        return f"{judge}: {'; '.join([UNCHECKED, *doubts])}"
    outside = real_row_outside(published, real_row)
    if outside:
        return (
            f"REAL IS NOT AS PUBLISHED: {'; '.join([*outside, *doubts])} | {judge}: "
            "no row below compares with published tables"
        )
    fits = FITS.format(real.dataset)
    return f"{judge}: {'; '.join([fits, *doubts])}"


def real_row_outside(published: Mapping, real_row: Mapping[str, Estimate]) -> list[str]:
    """The measures whose interval does not meet the published one, each as a few words."""
    outside = []
    for column in COLUMNS:
        wanted, found = published.get(column.key), real_row.get(column.key)
        if wanted is None or found is None:
            continue
        if abs(found.mean - wanted["mean"]) > wanted["margin"] + (found.margin or 0.0):
            expected = Estimate(wanted["mean"], wanted["margin"], 0)
            outside.append(
                f"{column.title} {column.show(found)}, published {column.show(expected)}"
            )
    return outside


def _doubts(protocol: Protocol, real: RealClips) -> list[str]:
    """In what the data are not those of the protocol."""
    doubts = []
    if real.dataset not in protocol.datasets:
        doubts.append(
            f"{real.dataset} is no data set of protocol {protocol.name} "
            f"({', '.join(protocol.datasets)})"
        )
    if real.split != protocol.split:
        doubts.append(f"split {real.split}, not the protocol's {protocol.split}")
    if not real.whole:
        doubts.append(f"{len(real)} clips, a part of the split")
    return doubts
