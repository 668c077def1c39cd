"""Standardisation, and the statistics as HumanML3D takes them."""

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.representation import get_skeleton
from lead.representation.normalizer import Normalizer, feature_statistics

# (start, end) of the parts: yaw, planar velocity, height, positions, rotations, velocities, feet.
PARTS = {
    "humanml3d": ((0, 1), (1, 3), (3, 4), (4, 67), (67, 193), (193, 259), (259, 263)),
    "kit": ((0, 1), (1, 3), (3, 4), (4, 64), (64, 184), (184, 247), (247, 251)),
}


@pytest.mark.parametrize("name", PARTS)
def test_statistics_equal_the_direct_formula(name):
    rng = np.random.default_rng(0)
    width = get_skeleton(name).features
    features = (rng.normal(size=(50, width)) * rng.uniform(0.1, 9, width) + 5).astype(np.float32)
    mean, std = feature_statistics(features, get_skeleton(name))
    assert mean.dtype == std.dtype == np.float32
    columns = features.astype(float).T
    expected = [sum(column) / 50 for column in columns]
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    deviations = [
        (sum((value - m) ** 2 for value in column) / 50) ** 0.5
        for column, m in zip(columns, expected, strict=True)
    ]
    for start, end in PARTS[name]:
        average = sum(deviations[start:end]) / (end - start)
        np.testing.assert_allclose(std[start:end], average, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "file"), [("humanml3d", "humanml3d/Std.npy"), ("kit", "evaluator/kit_std.npy")]
)
def test_published_deviations_have_the_same_parts(name, file, sample_data):
    std = np.load(sample_data / file, allow_pickle=False)
    edges = [0, *(np.flatnonzero(np.abs(np.diff(std)) > 1e-7) + 1), len(std)]
    assert list(zip(edges[:-1], edges[1:], strict=True)) == list(PARTS[name])


def test_a_part_that_never_changes_is_divided_by_one():
    features = np.random.default_rng(0).normal(size=(20, 263))
    features[:, 259:] = 1.0
    mean, std = feature_statistics(features, get_skeleton("humanml3d"))
    assert (std[259:] == 1).all()
    assert (std > 0).all()
    x = Normalizer(mean, std).normalize(torch.tensor(features))
    assert x[:, 259:].abs().max() == 0


def test_means_far_from_zero_do_not_spoil_the_deviation():
    """Millimetres of a figure that stands still for long: single precision would lose it."""
    rng = np.random.default_rng(0)
    features = (1001.3 + 0.01 * rng.normal(size=(40_000, 251))).astype(np.float32)
    mean, std = feature_statistics(features, get_skeleton("kit"))
    np.testing.assert_allclose(mean, 1001.3, atol=1e-3)
    np.testing.assert_allclose(std, 0.01, rtol=0.01)


def test_normalising_and_back():
    mean, std = np.array([1.0, -2.0, 0.0]), np.array([0.5, 4.0, 1.0])
    normalizer = Normalizer(mean, std)
    features = torch.randn(2, 5, 3)
    x = normalizer.normalize(features)
    np.testing.assert_allclose(x.numpy(), (features.numpy() - mean) / std, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(normalizer.denormalize(x), features)
    torch.testing.assert_close(normalizer.denormalize(torch.zeros(3)), torch.tensor(mean).float())


def test_statistics_travel_with_the_model_but_are_not_trained():
    normalizer = Normalizer([0.0], [2.0])
    assert set(normalizer.state_dict()) == {"mean", "std"}
    assert not list(normalizer.parameters())
    assert normalizer.double().std.dtype == torch.float64


@pytest.mark.parametrize(
    ("mean", "std", "word"),
    [
        ([0.0, 0.0], [1.0], "equal"),
        ([[0.0]], [[1.0]], "vectors"),
        ([0.0, 0.0], [1.0, 0.0], "positive"),
        ([0.0, 0.0], [1.0, -1.0], "positive"),
        ([0.0, float("nan")], [1.0, 1.0], "finite"),
        ([0.0, 0.0], [1.0, float("inf")], "finite"),
        ([0.0, 0.0], [1.0, 1e-60], "positive"),  # zero in single precision
    ],
)
def test_impossible_statistics_are_refused_in_one_line(mean, std, word):
    with pytest.raises(RequestError, match=word) as error:
        Normalizer(mean, std)
    assert "\n" not in str(error.value)
