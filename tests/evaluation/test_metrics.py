"""Measures on embeddings against numbers by hand, closed forms and slow implementations."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from lead.core.errors import RequestError
from lead.evaluation import metrics


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dim))


# Fréchet distance


def test_fid_in_one_dimension_by_hand():
    """Means 1 and 4, variances (n - 1) 2 and 8: 3² + (sqrt(8) - sqrt(2))² = 9 + 2."""
    found = metrics.frechet_distance(np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]]))
    assert found == pytest.approx(11.0, rel=1e-12)


def test_fid_of_a_shifted_copy_is_the_squared_shift():
    real = rows(40, 6)
    shift = np.array([3.0, 0, 0, 4.0, 0, 0])
    assert metrics.frechet_distance(real, real + shift) == pytest.approx(25.0, rel=1e-10)


def test_fid_of_a_scaled_copy_is_a_share_of_the_variance():
    """Of A and c A about the same mean: (1 - c)² tr S."""
    real = rows(50, 5)
    real -= real.mean(axis=0)
    trace = real.var(axis=0, ddof=1).sum()
    assert metrics.frechet_distance(real, 3 * real) == pytest.approx(4 * trace, rel=1e-10)


@pytest.mark.parametrize(("n", "m", "dim"), [(60, 90, 8), (300, 200, 24)])
def test_fid_is_the_classical_one_where_that_is_well_posed(n, m, dim):
    mix = rows(dim, dim, 1)
    real, generated = rows(n, dim, 2) @ mix, 1.3 * rows(m, dim, 3) + 0.5
    covariances = [np.cov(x, rowvar=False) for x in (real, generated)]
    gap = real.mean(axis=0) - generated.mean(axis=0)
    expected = gap @ gap + np.trace(sum(covariances)) - 2 * np.trace(sqrtm(np.dot(*covariances)))
    assert metrics.frechet_distance(real, generated) == pytest.approx(expected.real, rel=1e-9)


def test_fid_of_fewer_samples_than_dimensions():
    """Of sets that span the same plane it is what it is in that plane, whatever lies around it."""
    turn = np.linalg.qr(rows(64, 64, 4))[0][:, :2]
    real, generated = rows(12, 2, 5), 2 * rows(9, 2, 6) - 1
    plane = metrics.frechet_distance(real, generated)
    wide = metrics.frechet_distance(real @ turn.T, generated @ turn.T)
    assert wide == pytest.approx(plane, rel=1e-10)
    few = rows(10, 512, 7)
    assert 0 <= metrics.frechet_distance(few, few) < 1e-9 * few.var(axis=0).sum()


@pytest.mark.parametrize(("n", "m", "dim"), [(2, 2, 1), (2, 12, 9), (12, 5, 3), (7, 7, 7)])
def test_fid_is_symmetric_and_never_negative(n, m, dim):
    one, other = rows(n, dim, 1), rows(m, dim, 2)
    there, back = metrics.frechet_distance(one, other), metrics.frechet_distance(other, one)
    assert there == pytest.approx(back, rel=1e-8, abs=1e-10)
    assert there >= 0


def test_single_precision_and_tensors_are_computed_in_double():
    """An offset of a thousand would cost float32 moments all their digits."""
    real, generated = rows(80, 6, 8).astype(np.float32) + 1000, rows(70, 6, 9).astype(np.float32)
    generated = generated + np.float32(1000.5)
    expected = metrics.frechet_distance(real.astype(np.float64), generated.astype(np.float64))
    assert metrics.frechet_distance(torch.tensor(real), torch.tensor(generated)) == pytest.approx(
        expected, rel=1e-9
    )
    assert expected < 5


# R-precision and MM-dist


def slow_r_precision(text, motion, pool_size, top_k) -> list[float]:
    """Count, for each sentence, the motions of its pool that are nearer than its own."""
    hits, total = [0] * top_k, 0
    for start in range(0, len(text) - pool_size + 1, pool_size):
        for i in range(start, start + pool_size):
            gaps = [
                sum((a - b) ** 2 for a, b in zip(text[i], motion[j], strict=True))
                for j in range(start, start + pool_size)
            ]
            rank = sum(gap < gaps[i - start] for gap in gaps)
            total += 1
            for k in range(top_k):
                hits[k] += rank <= k
    return [count / total for count in hits]


@pytest.mark.parametrize(("count", "pool_size", "top_k"), [(96, 32, 3), (50, 16, 5), (7, 7, 7)])
def test_r_precision_is_the_slow_one(count, pool_size, top_k):
    text = rows(count, 4, 1)
    motion = text + 0.7 * rows(count, 4, 2)
    found = metrics.r_precision(text, motion, pool_size, top_k)
    assert found.shape == (top_k,)
    np.testing.assert_allclose(found, slow_r_precision(text, motion, pool_size, top_k))
    assert (np.diff(found) >= 0).all()


def test_r_precision_by_hand_sentences_are_rows():
    """Sentence 0 is nearest to its motion; 1 and 2 both are nearest to motion 0.

    Asked the other way round, motions 1 and 2 are nearest to sentence 2, motion 0 to 0.
    """
    text, motion = np.array([[0.0], [1.0], [2.0]]), np.array([[0.5], [9.0], [8.0]])
    np.testing.assert_allclose(metrics.r_precision(text, motion, 3, 3), [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(metrics.r_precision(motion, text, 3, 3), [2 / 3, 1, 1])


def test_r_precision_drops_the_rest_and_keeps_the_order():
    text = rows(40, 3)
    motion = text.copy()
    motion[32:] = rows(8, 3, 1) + 50  # the rest, all wrong
    assert metrics.r_precision(text, motion).tolist() == [1, 1, 1]
    shuffled = np.random.default_rng(2).permutation(32)
    assert metrics.r_precision(text[:32], motion[:32][shuffled])[0] < 0.2


def test_pools_do_not_see_each_other():
    """Every motion of the second pool is a copy of one of the first."""
    text = np.concatenate([rows(32, 4), rows(32, 4)])
    assert metrics.r_precision(text, text).tolist() == [1, 1, 1]
    assert metrics.r_precision(text, text, pool_size=64)[0] == 0.5


def test_among_equal_distances_the_first_motion_wins():
    same = np.zeros((4, 2))
    np.testing.assert_allclose(metrics.r_precision(same, same, 4, 3), [0.25, 0.5, 0.75])


def test_chance_is_top_k_over_pool_size():
    found = metrics.r_precision(rows(32 * 60, 8, 1), rows(32 * 60, 8, 2))
    np.testing.assert_allclose(found, np.arange(1, 4) / 32, atol=0.02)


def test_mm_dist_by_hand():
    text, motion = np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 1.0]])
    assert metrics.multimodal_distance(text, motion) == 3.0
    assert metrics.multimodal_distance(torch.tensor(text), torch.tensor(motion)) == 3.0


# Diversity and MultiModality


def test_diversity_of_two_places():
    """Half of the rows at 0, half at 5: half of the random pairs are 5 apart."""
    motion = np.zeros((2000, 3))
    motion[1000:, 0] = 5
    assert metrics.diversity(motion, 1500, generator()) == pytest.approx(2.5, abs=0.15)


def test_diversity_draws_each_row_once_a_side():
    """With all n rows on both sides, distances on a line sum to what two permutations give."""
    motion = np.array([[0.0], [1.0], [10.0]])
    possible = {0.0, 2 / 3, 20 / 3, 18 / 3, 20 / 3}
    found = {round(metrics.diversity(motion, 3, generator(seed)), 9) for seed in range(40)}
    assert found == {round(value, 9) for value in possible}


def test_multimodality_by_hand():
    """Two repeats a unit and ten units apart; two of two pairs meet, or both are crossed."""
    motion = np.array([[[0.0], [1.0]], [[0.0], [10.0]]])
    found = {metrics.multimodality(motion, 2, generator(seed)) for seed in range(20)}
    assert found == {0.0, 5.5}


def test_multimodality_compares_within_a_sentence():
    motion = 100 * np.arange(50.0)[:, None, None] + rows(50 * 30, 1).reshape(50, 30, 1)
    found = np.mean([metrics.multimodality(motion, 10, generator(seed)) for seed in range(30)])
    assert found == pytest.approx(2 / np.sqrt(np.pi) * 29 / 30, rel=0.05)
    each = metrics.multimodality_of_texts(motion, 10, generator())
    assert each.shape == (50,)
    assert each.mean() == pytest.approx(metrics.multimodality(motion, 10, generator()))


def test_a_generator_decides_the_pairs():
    motion = rows(400, 8)
    found = [metrics.diversity(motion, generator=generator(seed)) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


# What is refused

BAD = {
    "real must be (rows, dim), got (4,)": lambda: metrics.frechet_distance(np.ones(4), rows(4, 1)),
    "generated must have at least 2 rows": lambda: metrics.frechet_distance(rows(4, 2), rows(1, 2)),
    "real rows have 2 dimensions, generated ones 3": lambda: metrics.frechet_distance(
        rows(4, 2), rows(4, 3)
    ),
    "real holds a value that is not finite, first in row 2": lambda: metrics.frechet_distance(
        np.array([[0.0], [1.0], [np.nan]]), rows(3, 1)
    ),
    "31 rows fill no pool of 32": lambda: metrics.r_precision(rows(31, 2), rows(31, 2)),
    "text is (5, 2) and motion (4, 2)": lambda: metrics.multimodal_distance(rows(5, 2), rows(4, 2)),
    "top_k is 5": lambda: metrics.r_precision(rows(4, 2), rows(4, 2), 4, 5),
    "num_pairs is 300: it must lie in 1..299, the number of rows": lambda: metrics.diversity(
        rows(299, 2)
    ),
    "num_pairs is 10: it must lie in 1..9, the number of repeats": lambda: metrics.multimodality(
        np.zeros((3, 9, 2))
    ),
    "motion must be (texts, repeats, dim)": lambda: metrics.multimodality(rows(4, 2)),
}


@pytest.mark.parametrize("message", BAD)
def test_what_does_not_fit_is_one_line(message):
    with pytest.raises(RequestError) as error:
        BAD[message]()
    assert message in str(error.value) and "\n" not in str(error.value)
