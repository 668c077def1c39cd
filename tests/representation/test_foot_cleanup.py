"""Feet that slide on purpose, and where they have to be afterwards."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lead.core.errors import RequestError
from lead.representation import features_to_joints, get_skeleton, joints_to_features
from lead.representation.features import replace_joints
from lead.representation.foot_cleanup import clean_feet

FPS = 20.0
STRIDE, CYCLE = 1.2, 1.0  # metres and seconds from one step of a foot to its next
STANCE = 0.6  # share of the cycle in which a foot stands
HIP, TOE = 0.86, 0.13  # heights of hips; from ankle to toe forwards, metres
THIGH = SHIN = 0.45


def foot_place(cycles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Way along the floor and height of an ankle, after a number of cycles."""
    part = cycles % 1.0
    swing = np.clip((part - STANCE) / (1 - STANCE), 0.0, 1.0)
    ahead = STRIDE * (np.floor(cycles) + swing - np.sin(2 * np.pi * swing) / (2 * np.pi))
    return ahead, 0.08 + 0.15 * np.sin(np.pi * swing) ** 2


def walker(frames: int = 80) -> np.ndarray:
    """A stiff figure that walks along +Z on feet that stand exactly still; (frames, 22, 3)."""
    names = get_skeleton("humanml3d").joint_names
    seconds = np.arange(frames) / FPS
    joints = np.zeros((frames, 22, 3))
    joints[..., 1] = 0.95
    joints[..., 2] = (STRIDE / CYCLE * seconds)[:, None]
    for height, name in ((1.1, "spine2"), (1.3, "neck"), (1.5, "head"), (1.2, "left_wrist")):
        joints[:, names.index(name), 1] = height
    for sign, side, phase in ((0.1, "left", 0.0), (-0.1, "right", 0.5)):
        hip, knee, ankle, toe = (
            names.index(f"{side}_{part}") for part in ("hip", "knee", "ankle", "foot")
        )
        ahead, height = foot_place(seconds / CYCLE + phase)
        ahead += STRIDE * (0.5 * STANCE - phase)  # under the hip in the middle of its stand
        joints[:, hip] += [sign, HIP - 0.95, 0.0]
        joints[:, ankle] = np.stack([np.full(frames, sign), height, ahead], axis=-1)
        joints[:, toe] = joints[:, ankle] + [0.0, -0.06, TOE]
        across = joints[:, ankle] - joints[:, hip]
        far = np.linalg.norm(across, axis=-1, keepdims=True)
        normal = np.cross(across, [1.0, 0.0, 0.0]) / far
        bend = np.sqrt(THIGH**2 - far**2 / 4)
        joints[:, knee] = joints[:, hip] + across / 2 + bend * normal
    return joints


def sliding(joints: np.ndarray, velocity: tuple[float, float]) -> np.ndarray:
    """The whole figure carried along the floor, m/s."""
    seconds = np.arange(len(joints)) / FPS
    return joints + seconds[:, None, None] * np.array([velocity[0], 0.0, velocity[1]])


def toes(joints: np.ndarray) -> np.ndarray:
    return joints[:, [10, 11]]


def standing_speed(joints: np.ndarray) -> np.ndarray:
    """Speed along the floor of the toes that stand in ``walker``, m/s."""
    seconds = np.arange(len(joints) - 1) / FPS
    speeds = []
    for side, phase in ((0, 0.0), (1, 0.5)):
        first, last = (seconds / CYCLE + phase) % 1, ((seconds + 1 / FPS) / CYCLE + phase) % 1
        stands = (first < last) & (last < STANCE - 1e-9)
        step = np.diff(toes(joints)[:, side, ::2], axis=0) * FPS
        speeds.append(np.linalg.norm(step, axis=-1)[stands])
    return np.concatenate(speeds)


def bone_lengths(joints: np.ndarray, name: str = "humanml3d") -> np.ndarray:
    parents = get_skeleton(name).parents
    return np.linalg.norm(joints[:, 1:] - joints[:, list(parents[1:])], axis=-1)


def test_the_test_walks_as_it_says():
    joints = walker()
    assert standing_speed(joints).max() < 1e-9 < 1.0 < np.ptp(toes(joints)[:, 0, 2])
    thighs = np.linalg.norm(joints[:, [4, 5]] - joints[:, [1, 2]], axis=-1)
    np.testing.assert_allclose(thighs, THIGH)


def test_feet_that_stand_are_left_alone():
    joints = walker()
    cleaned, report = clean_feet(joints, FPS)
    assert report.mean_change < 1.5 and report.root_change < 2.0
    assert report.max_change < 30  # only where a foot sets off or comes to stand
    assert standing_speed(cleaned).max() < 1e-6
    assert 0.5 < report.standing < 0.75  # STANCE, and frames around it


@pytest.mark.parametrize("velocity", [(0.0, 0.5), (0.0, -0.4), (0.3, 0.3)])
def test_a_root_that_travels_too_far_is_brought_back(velocity):
    honest = walker()
    before = sliding(honest, velocity)
    speed = np.hypot(*velocity)
    assert standing_speed(before).min() == pytest.approx(speed)
    cleaned, report = clean_feet(before, FPS)
    assert standing_speed(cleaned).mean() < 0.01
    carried = speed * len(honest) / FPS
    np.testing.assert_allclose(cleaned[:, 0], honest[:, 0], atol=0.2 * carried)
    # the pose stays: relative to the root nothing moves further than a foot's leftover slide
    pose, old = cleaned - cleaned[:, :1], honest - honest[:, :1]
    assert np.linalg.norm(pose - old, axis=-1).mean() < 0.02
    changes = np.linalg.norm(cleaned - before, axis=-1) * 1000
    assert report.mean_change == pytest.approx(changes.mean(), rel=1e-3)
    assert report.max_change == pytest.approx(changes.max(), rel=1e-3)
    assert report.root_change == pytest.approx(changes[-1, 0], rel=1e-3)


def test_a_foot_that_drifts_while_it_stands_is_held():
    """The left foot alone wobbles by 2 cm at 0.13 m/s: the root stays, the knee gives way."""
    honest = walker()
    before = honest.copy()
    wobble = 0.02 * np.sin(2 * np.pi * np.arange(len(before)) / FPS)
    before[:, [7, 10], 0] += wobble[:, None]
    assert standing_speed(before).max() > 0.1
    cleaned, report = clean_feet(before, FPS)
    assert standing_speed(cleaned).max() < 0.01
    np.testing.assert_allclose(cleaned[:, 0, ::2], before[:, 0, ::2], atol=1e-9)
    np.testing.assert_allclose(bone_lengths(cleaned), bone_lengths(before), atol=1e-6)
    np.testing.assert_allclose(cleaned[:, [15, 20]][..., ::2], before[:, [15, 20]][..., ::2])
    foot, old = cleaned[:, 10] - cleaned[:, 7], before[:, 10] - before[:, 7]
    np.testing.assert_allclose(foot, old, atol=1e-9)  # its orientation
    assert report.max_change < 60


def test_a_figure_that_glides_comes_to_stand():
    statue = np.repeat(walker()[:1], 60, axis=0)
    statue[:, [5, 8, 11]] = statue[:, [4, 7, 10]] * [-1, 1, 1]
    cleaned, report = clean_feet(sliding(statue, (0.0, 1.2)), FPS)
    drift = np.ptp(cleaned[..., 2], axis=0).max()
    assert drift < 0.15 * 1.2 * 3
    assert np.abs(np.diff(toes(cleaned)[..., 2], axis=0)).max() * FPS < 0.01
    assert report.root_change == pytest.approx(1000 * 1.2 * 59 / FPS, rel=0.15)


def test_feet_in_the_air_are_left_alone():
    """A jump of both feet across half a metre: nothing stands while it is in the air."""
    joints = np.repeat(walker()[:1], 60, axis=0)
    joints[:, [5, 8, 11]] = joints[:, [4, 7, 10]] * [-1, 1, 1]
    part = np.clip((np.arange(60) - 25) / 10, 0, 1)[:, None]
    joints[..., 2] += 0.5 * part
    joints[..., 1] += 4 * 0.4 * part * (1 - part)
    cleaned, report = clean_feet(joints, FPS)
    assert report.root_change < 20 and report.max_change < 60
    np.testing.assert_allclose(cleaned[-1], joints[-1], atol=0.02)


def test_bones_keep_their_lengths(figure):
    for name in ("humanml3d", "kit"):
        before = figure(name, frames=90, seed=4)
        cleaned, _ = clean_feet(before, get_skeleton(name).fps, name)
        np.testing.assert_allclose(bone_lengths(cleaned, name), bone_lengths(before, name), 1e-6)


def test_where_the_figure_stands_and_looks_does_not_matter():
    before = sliding(walker(), (0.1, 0.4))
    turn = Rotation.from_euler("y", 0.7).as_matrix().T
    here, there = np.array([3.0, 0.0, -2.0]), before @ turn
    cleaned, report = clean_feet(before, FPS)
    again, same = clean_feet(there + here, FPS)
    np.testing.assert_allclose(again, cleaned @ turn + here, atol=1e-6)
    assert same.mean_change == pytest.approx(report.mean_change)


def test_a_figure_half_as_tall_slides_half_as_much():
    before = sliding(walker(), (0.1, 0.4))
    cleaned, report = clean_feet(before, FPS)
    small, half = clean_feet(before / 2, FPS)
    np.testing.assert_allclose(small, cleaned / 2, atol=1e-6)
    assert half.max_change == pytest.approx(report.max_change / 2)


def test_short_clips_types_and_the_input(figure):
    before = sliding(walker(), (0.0, 0.5)).astype(np.float32)
    kept = before.copy()
    cleaned, _ = clean_feet(before, FPS)
    assert cleaned.dtype == np.float32
    np.testing.assert_array_equal(before, kept)
    for frames in (1, 2, 3, 4):
        cleaned, report = clean_feet(figure()[:frames], FPS)
        assert cleaned.shape == (frames, 22, 3) and np.isfinite(cleaned).all()
        assert np.isfinite(report.mean_change)
    flat, _ = clean_feet(np.zeros((10, 22, 3)), FPS)
    assert np.isfinite(flat).all()


def test_wrong_input_is_one_clear_line(figure):
    bad = figure().copy()
    bad[3, 2, 1] = np.nan
    for joints, fps, says in (
        (figure("kit"), FPS, r"joints must be \(frames, 22, 3\)"),
        (np.zeros((0, 22, 3)), FPS, "joints must be"),
        (bad, FPS, "finite"),
        (figure(), 0.0, "fps"),
    ):
        with pytest.raises(RequestError, match=says) as error:
            clean_feet(joints, fps)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["humanml3d", "kit"])
def test_features_follow_their_edited_joints(figure, name):
    features = joints_to_features(figure(name, frames=70), name)
    joints = features_to_joints(features, name)
    unchanged = replace_joints(features, joints, name)
    size = np.abs(features).max(axis=0) + 1e-3
    assert (np.abs(unchanged - features) / size).max() < 1e-6
    moved = joints.copy()
    moved[..., 1] += 0.1
    moved[:, :, 0] += 0.2 * np.sin(np.arange(len(moved)) / 9)[:, None]
    moved[:, 5] += 0.05
    edited = replace_joints(features, moved, name)
    np.testing.assert_allclose(features_to_joints(edited, name), moved, atol=1e-6)
    np.testing.assert_array_equal(edited[:, 0], features[:, 0])
    assert replace_joints(features[:1], joints[:1], name).shape == features[:1].shape


def test_features_and_joints_of_different_clips_are_refused(figure):
    features = joints_to_features(figure())
    with pytest.raises(RequestError, match=r"joints must be \(59, 22, 3\), got \(10, 22, 3\)"):
        replace_joints(features, figure()[:10])
    with pytest.raises(RequestError, match=r"features must be \(frames, 263\)"):
        replace_joints(features[:, :5], figure())
