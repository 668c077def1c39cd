"""How far groups lie apart, and vectors on a plane: against closed forms and plain loops."""

import sys

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.evaluation.planes import choose_method, principal_plane, to_plane
from lead.evaluation.separation import neighbour_hits, silhouettes


def test_a_silhouette_by_hand():
    # On a line: a at 0 and 2, b at 10. For 0: a = 2, b = 10, 0.8. For 2: a = 2, b = 8, 0.75.
    points = np.array([[0.0], [2.0], [10.0]])
    np.testing.assert_allclose(silhouettes(points, np.array(["a", "a", "b"])), [0.8, 0.75, 0.0])


def test_silhouettes_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(40, 5)), rng.integers(0, 4, 40)
    found = silhouettes(points, labels)
    for row in range(40):
        apart = {
            label: [
                np.sqrt(((points[row] - points[other]) ** 2).sum())
                for other in range(40)
                if labels[other] == label and other != row
            ]
            for label in range(4)
        }
        within = np.mean(apart[labels[row]])
        between = min(np.mean(apart[label]) for label in range(4) if label != labels[row])
        assert found[row] == pytest.approx((between - within) / max(between, within))


def test_equal_points_say_nothing():
    labels = np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(silhouettes(np.zeros((4, 2)), labels), np.zeros(4))


def test_neighbours_vote_without_the_clip_itself():
    # Two clusters; one clip of b stands among the a's, so all its neighbours vote a.
    points = np.array([[0, 0.1, 0.2, 0.3, 0.05, 10, 10.1, 10.2, 10.3]]).T
    labels = np.array(["a", "a", "a", "a", "b", "b", "b", "b", "b"])
    hits = neighbour_hits(points, labels, neighbours=3)
    np.testing.assert_array_equal(hits, [1, 1, 1, 1, 0, 1, 1, 1, 1])


def test_of_equal_votes_the_nearest_wins():
    points = np.array([[0.0], [1.0], [-2.0], [50.0]])
    hits = neighbour_hits(points, np.array(["a", "a", "b", "b"]), neighbours=2)
    assert hits[0] == 1  # one vote each, the a is nearer
    assert neighbour_hits(points, np.array(["b", "a", "b", "b"]), neighbours=2)[0] == 0


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (np.zeros((3, 2)), np.array([1, 1, 1]), "two different labels"),
        (np.zeros((3, 2)), np.array([1, 2]), "a label each"),
        (np.zeros(3), np.array([1, 2, 1]), "a label each"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(points, labels, message):
    with pytest.raises(RequestError, match=message):
        silhouettes(points, labels)
    with pytest.raises(RequestError, match=message):
        neighbour_hits(points, labels, 1)


def test_more_neighbours_than_rows_are_refused():
    with pytest.raises(RequestError, match="5 neighbours of 4 rows"):
        neighbour_hits(np.zeros((4, 2)), np.array([0, 0, 1, 1]))


def test_the_plane_holds_the_two_widest_directions():
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    scaled = rng.normal(size=(500, 6)) * [9, 4, 0.1, 0.1, 0.1, 0.1]
    plane = principal_plane(scaled @ rotation + 7)
    centred = scaled[:, :2] - scaled[:, :2].mean(axis=0)
    for axis in range(2):
        alike = np.corrcoef(plane[:, axis], centred[:, axis])[0, 1]
        assert abs(alike) > 0.999
    np.testing.assert_allclose(plane.mean(axis=0), 0, atol=1e-9)
    flipped = principal_plane(-(scaled @ rotation))  # the sign does not come from the data's
    assert np.abs(np.corrcoef(flipped[:, 0], plane[:, 0])[0, 1]) > 0.999


def test_one_dimension_becomes_a_line():
    plane = to_plane(np.arange(5.0)[:, None], "pca", seed=0)
    assert plane.shape == (5, 2)
    np.testing.assert_allclose(plane[:, 1], 0)


def test_without_scikit_learn_it_is_principal_components(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert choose_method("auto") == "pca"
    with pytest.raises(RequestError, match="extra `analysis`"):
        choose_method("tsne")
    with pytest.raises(RequestError, match="did you mean 'tsne'"):
        choose_method("tsn")


def test_t_sne_keeps_clusters_apart():
    pytest.importorskip("sklearn", reason="needs the extra analysis")
    rng = np.random.default_rng(2)
    centres = np.repeat(np.eye(3, 20) * 30, 15, axis=0)
    plane = to_plane(centres + rng.normal(size=(45, 20)), "tsne", seed=3)
    assert choose_method("auto") == "tsne"
    assert neighbour_hits(plane, np.repeat([0, 1, 2], 15)).mean() == 1
