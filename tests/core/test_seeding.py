"""Seeds named by their purpose are the same on every machine."""

import pytest
import torch

from lead.core.seeding import derive_seed, make_generator

# int(sha256("\x1f".join(words)).hexdigest()[:16], 16) // 2, by coreutils' sha256sum.
GOLDEN = [
    ((0,), 3_456_079_177_858_693_020),
    ((0, "noise"), 7_958_856_190_608_717_080),
    ((1234, "noise", 7), 229_085_055_932_514_629),
    ((-1, "split", "walk_élan", 0.5), 8_750_291_665_414_315_789),
]


@pytest.mark.parametrize(("words", "seed"), GOLDEN)
def test_seeds_equal_the_recorded_ones(words, seed):
    assert derive_seed(*words) == seed


def test_seeds_fit_a_generator():
    seeds = [derive_seed(base, "x", step) for base in range(20) for step in range(20)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == 400
    assert max(seeds) > 2**62  # the whole range is used


def test_words_do_not_run_into_each_other():
    assert (
        len({derive_seed(1, 23), derive_seed(12, 3), derive_seed(1, 2, 3), derive_seed(123)}) == 4
    )


def test_a_generator_repeats_its_numbers_whatever_is_drawn_elsewhere():
    first = torch.rand(4, generator=make_generator(3, "noise", 1))
    torch.rand(100)
    assert torch.equal(first, torch.rand(4, generator=make_generator(3, "noise", 1)))
    assert not torch.equal(first, torch.rand(4, generator=make_generator(3, "noise", 2)))
    assert make_generator(0, "noise").initial_seed() == GOLDEN[1][1]


def test_making_a_generator_leaves_the_global_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make_generator(3, "noise")
    assert torch.equal(torch.rand(3), expected)
