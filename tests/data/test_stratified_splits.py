"""Stratified splits: counts by arithmetic, independence of order, stability, bad fractions."""

import random
from collections import Counter

import pytest

from lead.core.errors import RequestError
from lead.data.splits import SMALL_STRATUM, stratified_splits

FRACTIONS = {"train": 0.8, "val": 0.05, "test": 0.15}


def _members(sizes: dict[tuple[str, ...], int]) -> dict[str, tuple[str, ...]]:
    return {
        f"{'-'.join(stratum)}-{number}": stratum
        for stratum, size in sizes.items()
        for number in range(size)
    }


@pytest.mark.parametrize("size", [SMALL_STRATUM, 7, 20, 33, 100, 1001])
def test_each_count_is_within_one_of_its_share(size: int) -> None:
    for name in ("walk", "run", "wave"):
        splits = stratified_splits(_members({("set", name): size}), FRACTIONS)
        counts = Counter(splits.values())
        assert sum(counts.values()) == size
        for split, fraction in FRACTIONS.items():
            assert abs(counts[split] - size * fraction) < 1


def test_singletons_are_split_with_their_siblings() -> None:
    sizes = {("set", content, f"style{n}"): 1 for content in ("bow", "dash") for n in range(40)}
    splits = stratified_splits(_members(sizes), FRACTIONS)
    for content in ("bow", "dash"):
        counts = Counter(split for name, split in splits.items() if f"-{content}-" in name)
        assert all(abs(counts[split] - 40 * share) < 1 for split, share in FRACTIONS.items())


def test_order_of_listing_plays_no_role() -> None:
    members = _members({("a", str(n)): n + 1 for n in range(30)})
    shuffled = list(members.items())
    random.Random(3).shuffle(shuffled)
    assert stratified_splits(dict(shuffled), FRACTIONS) == stratified_splits(members, FRACTIONS)


def test_a_new_member_moves_at_most_one_other_per_cut() -> None:
    for size in (10, 37, 80):
        members = _members({("a", "b"): size + 1})
        whole = stratified_splits(members, FRACTIONS)
        for left_out in members:
            fewer = stratified_splits(
                {name: s for name, s in members.items() if name != left_out}, FRACTIONS
            )
            moved = sum(whole[name] != split for name, split in fewer.items())
            assert moved <= len(FRACTIONS) - 1


def test_other_strata_do_not_feel_a_new_member() -> None:
    small, large = _members({("a", "b"): 30}), _members({("a", "b"): 30, ("a", "c"): 9})
    after = stratified_splits(large, FRACTIONS)
    assert all(after[name] == split for name, split in stratified_splits(small, FRACTIONS).items())


def test_the_seed_changes_the_split() -> None:
    members = _members({("a", "b"): 200})
    assert stratified_splits(members, FRACTIONS, seed=1) != stratified_splits(members, FRACTIONS)


def test_a_split_of_share_zero_stays_empty() -> None:
    splits = stratified_splits(_members({("a", "b"): 50}), {"train": 1.0, "val": 0.0})
    assert set(splits.values()) == {"train"}


@pytest.mark.parametrize(
    "bad", [{}, {"train": 0.9}, {"train": 1.2, "val": -0.2}, {"a": float("nan")}]
)
def test_bad_fractions_are_refused(bad: dict) -> None:
    with pytest.raises(RequestError, match="sum to 1"):
        stratified_splits({"x": ("a", "b")}, bad)
