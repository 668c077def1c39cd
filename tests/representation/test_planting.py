"""Feet planted: closed forms of gliding, standing, stepping and hanging figures."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from lead.data.sources.cmu_open import CmuOpenSource
from lead.representation import features_to_joints, get_skeleton
from lead.representation.planting import _over_time, plant_feet

LEFT, RIGHT = (7, 10), (8, 11)  # ankle, toe
ANKLE = 0.06


def figure(frames: int, speed: float = 0.0, skeleton: str = "humanml3d") -> np.ndarray:
    """Features of the rest pose, toes on the floor, that glides along +z at so many m/s."""
    shape = get_skeleton(skeleton)
    rest = np.zeros((shape.joints, 3))
    offsets = shape.reference_offsets().numpy()
    for joint, parent in enumerate(shape.parents):
        rest[joint] = offsets[joint] + (rest[parent] if parent >= 0 else 0)
    rest[:, 1] -= rest[:, 1].min()
    features = np.zeros((frames, shape.features))
    features[:, 2] = speed / shape.fps
    features[:, 3] = rest[0, 1]
    features[:, 4 : 4 + 3 * (shape.joints - 1)] = (rest[1:] - rest[0] * [1, 0, 1]).ravel()
    features[:, :3] /= shape.metres_per_unit
    features[:, 3 : 4 + 3 * (shape.joints - 1)] /= shape.metres_per_unit
    return features


def root_speeds(features: np.ndarray, skeleton: str = "humanml3d") -> np.ndarray:
    """Speed of the root in m/s, frame to frame."""
    shape = get_skeleton(skeleton)
    path = features_to_joints(features, skeleton)[:, 0][:, [0, 2]]
    return np.linalg.norm(np.diff(path, axis=0), axis=1) * shape.fps


def stepping(frames: int, legs: float, root: float) -> np.ndarray:
    """Feet that stand in turns if the root goes at ``legs`` m/s, where it goes at ``root``."""
    features = figure(frames, root)
    local = features[:, 4:67].reshape(frames, 21, 3)
    for (ankle, toe), phase in ((LEFT, 0.0), (RIGHT, 0.5)):
        cycle = (np.arange(frames) / 20 + phase) % 1.0
        swings = cycle >= 0.5
        back = np.where(swings, -0.25 + (cycle - 0.5), 0.25 - cycle) * legs
        lift = np.where(swings, 0.15 * np.sin(2 * np.pi * (cycle - 0.5)), 0)
        local[:, ankle - 1, 1:] = np.stack([ANKLE + lift, back - 0.1], axis=-1)
        local[:, toe - 1, 1:] = np.stack([lift, back], axis=-1)
    features[:, 4:67] = local.reshape(frames, 63)
    return features


@pytest.mark.parametrize("skeleton", ["humanml3d", "kit"])
@pytest.mark.parametrize("speed", [0.1, 0.5, 2.0])
def test_of_a_glide_on_four_standing_joints_the_share_is_that_of_the_formula(speed, skeleton):
    """Every joint weighs one: u is the speed, but for a weight of 0.05 that nobody has."""
    given = figure(60, speed, skeleton)
    left = root_speeds(plant_feet(given, skeleton), skeleton)
    share = speed**4 / (speed**4 + 0.5**4)
    assert left == pytest.approx(np.full(59, speed * (1 - share)), abs=0.05 * speed)


def test_a_root_that_runs_ahead_of_the_legs_is_slowed_to_their_speed():
    given = stepping(120, legs=1.0, root=2.2)
    planted = plant_feet(given)
    assert root_speeds(given) == pytest.approx(2.2)
    assert root_speeds(planted)[10:-10].mean() == pytest.approx(1.0, abs=0.12)
    low = given[:, 4:67].reshape(-1, 21, 3)[:, [9, 10], 1] < 0.005  # toes, as the figure was made
    toes = features_to_joints(planted)[:, [10, 11]]
    speeds = np.linalg.norm(np.diff(toes, axis=0)[..., [0, 2]], axis=-1) * 20
    stands = low[1:] & low[:-1]
    stands[:10] = stands[-10:] = False
    assert np.median(speeds[stands]) < 0.25  # 1.2 before


@pytest.mark.parametrize("height", [-0.03, 0.04, 0.4])
@pytest.mark.parametrize("skeleton", ["humanml3d", "kit"])
def test_a_clip_is_set_on_the_floor_whole(height, skeleton):
    """Its lowest joint reaches below the floor in one frame of twenty, by the rule of three."""
    shape = get_skeleton(skeleton)
    given = figure(21, 0.0, skeleton)
    lift = np.linspace(0, 0.1, 21) + height
    given[:, 3] += lift / shape.metres_per_unit
    given[:, 5 : 4 + 3 * (shape.joints - 1) : 3] += lift[:, None] / shape.metres_per_unit
    lowest = features_to_joints(plant_feet(given, skeleton), skeleton)[..., 1].min(axis=1)
    assert lowest == pytest.approx(np.linspace(0, 0.1, 21) - 0.005, abs=1e-5)


def test_poses_and_turns_stay():
    given = stepping(80, legs=0.8, root=-1.5)
    given[:, 0] = 0.02
    planted = plant_feet(given)
    assert np.abs(planted[:, 1:3] - given[:, 1:3]).max() > 0.02
    assert planted[:, 0] == pytest.approx(given[:, 0])
    assert planted[:, 3:67] == pytest.approx(given[:, 3:67], abs=1e-6)


def test_steps_that_stand_already_keep_their_path():
    given = stepping(120, legs=1.0, root=1.0)
    moved = features_to_joints(plant_feet(given))[:, 0] - features_to_joints(given)[:, 0]
    assert np.abs(moved).max() < 0.03  # of six metres


def test_nobody_stands_in_the_air():
    given = figure(80, 2.0)
    given[6:, 3] += 0.5
    given[6:, 5:67:3] += 0.5
    assert root_speeds(plant_feet(given))[30:] == pytest.approx(2.0, abs=1e-5)


def test_people_stay_where_they_are():
    """Recorded clips: the path ends a few centimetres elsewhere, of metres."""
    moved, way = [], []
    source = CmuOpenSource(clips=24)
    for clip in source.load(source.list_items()):
        given, planted = clip.features, plant_feet(clip.features)
        path, new = (features_to_joints(one)[:, 0] for one in (given, planted))
        moved.append(np.linalg.norm(new[-1] - path[-1]))
        way.append(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    assert np.mean(moved) < 0.05 * np.mean(way)


def test_one_frame_and_the_input_stay_as_they_are():
    given = figure(1, 1.0)
    assert (plant_feet(given) == given).all()
    given = figure(30, 2.0)
    before = given.copy()
    plant_feet(given)
    assert (given == before).all()


def test_means_over_time_are_scipys():
    values = np.random.default_rng(0).normal(size=(37, 3))
    for deviation in (3.125, 5.0):
        wanted = gaussian_filter1d(values, deviation, axis=0, mode="nearest")
        assert _over_time(values, deviation) == pytest.approx(wanted, abs=1e-12)
