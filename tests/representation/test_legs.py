"""Bending a leg against the geometry of triangles."""

import numpy as np
import pytest

from lead.representation import get_skeleton
from lead.representation.legs import bend_leg, leg_length, legs_of, missing_reach


def lengths(*points: np.ndarray) -> list[np.ndarray]:
    return [np.linalg.norm(b - a, axis=-1) for a, b in zip(points, points[1:], strict=False)]


@pytest.fixture
def leg() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hip, knee and ankle of legs bent every way, (200, 3) each."""
    rng = np.random.default_rng(2)
    hip = rng.normal(size=(200, 3))
    knee = hip + [0.0, -0.4, 0.05] + 0.1 * rng.normal(size=(200, 3))
    return hip, knee, knee + [0.0, -0.4, -0.05] + 0.1 * rng.normal(size=(200, 3))


@pytest.mark.parametrize(
    ("name", "joints"),
    [
        ("humanml3d", (("left", 1, 4, 7, (10,)), ("right", 2, 5, 8, (11,)))),
        ("kit", (("left", 16, 17, 18, (19, 20)), ("right", 11, 12, 13, (14, 15)))),
    ],
)
def test_the_joints_of_both_legs(name, joints):
    names = get_skeleton(name).joint_names
    for leg, (side, *places) in zip(legs_of(get_skeleton(name)), joints, strict=True):
        assert [leg.hip, leg.knee, leg.ankle, leg.foot] == places
        assert leg.toe == places[-1][-1]
        parts = [names[joint] for joint in (leg.hip, leg.knee, leg.ankle)]
        assert parts == [f"{side}_{part}" for part in ("hip", "knee", "ankle")]


def test_the_length_of_a_leg_is_that_of_its_bones():
    skeleton = get_skeleton("humanml3d")
    joints = np.zeros((3, 22, 3))
    for side in (0, 1):
        leg = legs_of(skeleton)[side]
        joints[:, leg.hip, 1], joints[:, leg.knee, 1] = 1.0, 0.6
        joints[:, leg.ankle, 1] = 0.1
    assert leg_length(joints, legs_of(skeleton)) == pytest.approx(0.9)


def test_a_leg_that_need_not_move_does_not(leg):
    hip, knee, ankle = leg
    forward = np.tile([0.0, 0.0, 1.0], (200, 1))
    new_knee, new_ankle = bend_leg(hip, knee, ankle, hip, ankle, forward)
    np.testing.assert_allclose(new_knee, knee, atol=1e-7)
    np.testing.assert_allclose(new_ankle, ankle, atol=1e-12)


def test_bones_keep_their_lengths_and_the_ankle_arrives(leg):
    hip, knee, ankle = leg
    rng = np.random.default_rng(3)
    new_hip = hip - 0.03 * rng.uniform(size=(200, 3))
    target = ankle + 0.05 * rng.normal(size=(200, 3))
    forward = np.tile([0.0, 0.0, 1.0], (200, 1))
    new_knee, new_ankle = bend_leg(hip, knee, ankle, new_hip, target, forward)
    np.testing.assert_allclose(
        lengths(new_hip, new_knee, new_ankle), lengths(hip, knee, ankle), atol=1e-9
    )
    within = np.linalg.norm(target - new_hip, axis=-1) < 0.99 * sum(lengths(hip, knee, ankle))
    assert within.sum() > 100
    np.testing.assert_allclose(new_ankle[within], target[within], atol=1e-9)
    away = new_ankle[~within] - new_hip[~within]
    towards = target[~within] - new_hip[~within]
    np.testing.assert_allclose(np.cross(away, towards), 0.0, atol=1e-9)


def test_a_right_angle_where_pythagoras_says_so():
    hip, knee, ankle = (np.array([[0.0, y, z]]) for y, z in ((0.7, 0), (0.3, 0.1), (0.0, 0.0)))
    thigh, shin = 0.4123105625617661, 0.31622776601683794
    target = np.array([[0.0, 0.7 - np.hypot(thigh, shin), 0.0]])
    new_knee, _ = bend_leg(hip, knee, ankle, hip, target, np.array([[0.0, 0.0, 1.0]]))
    assert np.dot((hip - new_knee)[0], (target - new_knee)[0]) == pytest.approx(0, abs=1e-12)
    assert new_knee[0, 2] > 0 and new_knee[0, 0] == pytest.approx(0)


def test_a_straight_leg_bends_forward():
    hip, knee, ankle = (np.array([[0.0, y, 0.0]]) for y in (0.8, 0.4, 0.0))
    target = np.array([[0.0, 0.2, 0.0]])
    new_knee, _ = bend_leg(hip, knee, ankle, hip, target, np.array([[0.3, -0.5, 0.4]]))
    sideways = new_knee[0, [0, 2]] / np.linalg.norm(new_knee[0, [0, 2]])
    np.testing.assert_allclose(sideways, [0.6, 0.8], atol=1e-9)
    assert new_knee[0, 1] == pytest.approx(0.5)


def test_a_leg_without_length_stays_finite():
    point = np.zeros((2, 3))
    knee, ankle = bend_leg(point, point, point, point, point + 0.1, point)
    assert np.isfinite(knee).all() and np.isfinite(ankle).all()


def test_how_far_a_hip_has_to_come_down():
    hip = np.array([[0.0, 1.0, 0.0]] * 4)
    target = np.array([[0.3, 0.0, 0.4], [0.0, 0.0, 0.0], [0.0, 0.2, 0.0], [2.0, 0.0, 0.0]])
    reach = np.array([np.hypot(0.5, 0.8), 0.9, 0.9, 0.9])
    np.testing.assert_allclose(missing_reach(hip, target, reach), [0.2, 0.1, 0.0, 1.0], atol=1e-12)
