"""Joint rotations fitted to positions, against figures moved by known rotations."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lead.core.errors import RequestError
from lead.representation import Skeleton, features_to_joints, get_skeleton
from lead.representation.joint_rotations import JointRotations, fit_joint_rotations
from lead.representation.rest_pose import t_pose_directions
from lead.representation.rotations import rotation_between_sets

SMPL = get_skeleton("humanml3d")
FPS = 20.0


def t_pose(skeleton: Skeleton) -> np.ndarray:
    """Offsets of a figure with the reference bone lengths."""
    lengths = np.asarray(skeleton.bone_lengths)
    return t_pose_directions(skeleton).numpy() * lengths[:, None]


def posed(skeleton: Skeleton, turns: dict[str, Rotation], frames: int, root=None) -> np.ndarray:
    """Joints (frames, J, 3) of the T-pose with some joints turned in their parents' frames."""
    offsets = t_pose(skeleton)
    still = Rotation.identity(frames)
    places = np.zeros((frames, skeleton.joints, 3))
    places[:, 0] = 0.0 if root is None else root
    world = {}
    for joint, parent in enumerate(skeleton.parents):
        above = world.get(parent, still)
        world[joint] = above * turns.get(skeleton.joint_names[joint], still)
        if parent >= 0:
            places[:, joint] = places[:, parent] + above.apply(offsets[joint])
    return places


def wandering(skeleton: Skeleton, frames: int, seed: int, size: float = 0.5) -> np.ndarray:
    """A figure whose every joint turns smoothly, at random."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(frames)[:, None] / FPS
    turns = {}
    for name in skeleton.joint_names:
        waves = np.sin(seconds * rng.uniform(0.5, 4, 3) + rng.uniform(0, 6, 3))
        turns[name] = Rotation.from_rotvec(size * waves * rng.normal(size=3))
    return posed(skeleton, turns, frames, root=np.sin(seconds * rng.uniform(0.5, 1, 3)) + [0, 1, 0])


def local(fit: JointRotations, name: str) -> Rotation:
    """The rotations found for one joint."""
    index = fit.skeleton.joint_names.index(name)
    return Rotation.from_quat(fit.rotations[:, index], scalar_first=True)


def degrees(rotation: Rotation) -> np.ndarray:
    return np.degrees(rotation.magnitude())


def about(axis: str, angles: np.ndarray) -> Rotation:
    return Rotation.from_euler(axis, np.asarray(angles)[:, None], degrees=True)


def steps(fit: JointRotations) -> np.ndarray:
    """Angle (degrees) from each frame's local rotations to the next one's."""
    found = fit.rotations
    turns = [Rotation.from_quat(found[:, j], scalar_first=True) for j in range(found.shape[1])]
    return np.stack([degrees(turn[1:] * turn[:-1].inv()) for turn in turns], axis=1)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_best_rotation_between_sets_is_scipys(count):
    rng = np.random.default_rng(count)
    start, end = rng.normal(size=(2, 20, count, 3))
    found = rotation_between_sets(torch.from_numpy(start), torch.from_numpy(end))
    for a, b, quaternion in zip(start, end, found.numpy(), strict=True):
        expected = Rotation.align_vectors(b, a)[0]
        turned = Rotation.from_quat(quaternion, scalar_first=True)
        assert (turned * expected.inv()).magnitude() < 1e-6


@pytest.mark.parametrize("name", ["humanml3d", "kit"])
@pytest.mark.parametrize("seed", range(3))
def test_a_figure_of_constant_bones_is_met_exactly(name, seed):
    joints = wandering(get_skeleton(name), 60, seed)
    fit = fit_joint_rotations(joints, name, FPS)
    np.testing.assert_allclose(fit.positions, joints, atol=1e-9)
    assert fit.errors.max() < 1e-9
    np.testing.assert_allclose(np.linalg.norm(fit.rotations, axis=-1), 1, atol=1e-12)


@pytest.mark.parametrize("name", ["humanml3d", "kit"])
def test_the_t_pose_needs_no_rotation_and_keeps_its_offsets(name):
    skeleton = get_skeleton(name)
    fit = fit_joint_rotations(posed(skeleton, {}, 4), name, FPS)
    np.testing.assert_allclose(
        fit.rotations, np.tile([1, 0, 0, 0], (4, skeleton.joints, 1)), atol=1e-9
    )
    np.testing.assert_allclose(fit.offsets, t_pose(skeleton), atol=1e-12)
    left = [n for n in skeleton.joint_names if n.startswith("left")]
    places = fit.positions[0]
    assert all(places[skeleton.joint_names.index(n), 0] > 0 for n in left)
    wrist, shoulder = (skeleton.joint_names.index(f"left_{n}") for n in ("wrist", "shoulder"))
    assert places[wrist, 1] == pytest.approx(places[shoulder, 1])


def test_positions_follow_from_offsets_and_rotations():
    fit = fit_joint_rotations(wandering(SMPL, 20, 7), "humanml3d", FPS)
    world = {}
    for joint, parent in enumerate(SMPL.parents):
        turn = Rotation.from_quat(fit.rotations[:, joint], scalar_first=True)
        world[joint] = turn if parent < 0 else world[parent] * turn
        if parent >= 0:
            bone = fit.positions[:, joint] - fit.positions[:, parent]
            np.testing.assert_allclose(
                bone, world[parent].apply(fit.offsets[joint]), rtol=0, atol=1e-12
            )


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_thigh_turns_with_the_plane_of_the_knee(side):
    frames = 80
    twist = about("y", np.linspace(-35, 35, frames))
    swing = Rotation.from_euler(
        "xz", np.stack([np.linspace(-80, 10, frames)] * 2, -1) / [1, 8], True
    )
    turns = {f"{side}_hip": swing * twist, f"{side}_knee": about("x", np.full(frames, 70.0))}
    fit = fit_joint_rotations(posed(SMPL, turns, frames), "humanml3d", FPS)
    for joint, truth in turns.items():
        assert degrees(local(fit, joint) * truth.inv()).max() < 3


@pytest.mark.parametrize(("side", "sign"), [("left", -1.0), ("right", 1.0)])
def test_an_upper_arm_turns_with_the_plane_of_the_elbow(side, sign):
    frames = 80
    twist = about("x", np.linspace(-50, 50, frames))
    down = about("z", sign * np.linspace(80, 10, frames))
    turns = {
        f"{side}_shoulder": down * twist,
        f"{side}_elbow": about("y", np.full(frames, sign * 60)),  # forwards
    }
    fit = fit_joint_rotations(posed(SMPL, turns, frames), "humanml3d", FPS)
    for joint, truth in turns.items():
        assert degrees(local(fit, joint) * truth.inv()).max() < 3


def test_a_straight_or_overstretched_knee_does_not_flip_the_thigh():
    frames = 100
    bend = 30 + 38 * np.cos(np.linspace(0, 4 * np.pi, frames))  # from 68 through 0 to -8 degrees
    bend += np.random.default_rng(0).normal(0, 2, frames)
    turns = {"left_hip": about("y", np.full(frames, 20.0)), "left_knee": about("x", bend)}
    fit = fit_joint_rotations(posed(SMPL, turns, frames), "humanml3d", FPS)
    hip = SMPL.joint_names.index("left_hip")
    assert degrees(local(fit, "left_hip") * turns["left_hip"].inv()).max() < 20
    assert steps(fit)[:, hip].max() < 8


def test_a_straight_leg_turns_half_way_to_where_its_toes_point():
    turns = {"left_hip": about("y", np.full(5, 40.0))}
    fit = fit_joint_rotations(posed(SMPL, turns, 5), "humanml3d", FPS)
    np.testing.assert_allclose(degrees(local(fit, "left_hip")), 20, atol=3)


def test_the_turn_of_the_chest_is_shared_along_the_spine():
    turns = {name: about("y", np.linspace(-20, 20, 30)) for name in ("spine1", "spine2", "spine3")}
    fit = fit_joint_rotations(posed(SMPL, turns, 30), "humanml3d", FPS)
    for name, truth in turns.items():
        assert degrees(local(fit, name) * truth.inv()).max() < 3


def test_where_a_figure_stands_and_faces_is_the_root_s_matter_alone():
    joints = wandering(SMPL, 30, 2)
    turn = Rotation.from_euler("yxz", [130, 40, 20], degrees=True)
    fit = fit_joint_rotations(joints, "humanml3d", FPS)
    moved = fit_joint_rotations(
        turn.apply(joints.reshape(-1, 3)).reshape(joints.shape) + 3.0, "humanml3d", FPS
    )
    same = np.abs((fit.rotations * moved.rotations).sum(-1))
    np.testing.assert_allclose(same[:, 1:], 1, atol=1e-9)
    assert (degrees(local(moved, "pelvis") * local(fit, "pelvis").inv()) > 1).all()


def test_rotations_and_signs_are_continuous_while_the_body_spins():
    frames = 200
    turns = {"pelvis": about("y", np.linspace(0, 1000, frames))}
    fit = fit_joint_rotations(posed(SMPL, turns, frames), "humanml3d", FPS)
    assert (fit.rotations[1:] * fit.rotations[:-1]).sum(-1).min() > 0.99
    np.testing.assert_allclose(steps(fit)[:, 0], 1000 / (frames - 1), atol=1e-6)


def test_an_arm_that_passes_the_opposite_of_its_rest_does_not_spin():
    """There the shortest rotation from rest jumps by up to a turn; what is carried over may not."""
    angle = np.linspace(100, 260, 80)
    turns = {"left_shoulder": about("z", angle) * about("y", np.full(80, 2.0))}
    fit = fit_joint_rotations(posed(SMPL, turns, 80), "humanml3d", FPS)
    assert fit.errors.max() < 1e-9
    assert steps(fit).max() < 12


def test_bones_that_change_length_leave_the_error_that_is_reported():
    joints = wandering(SMPL, 40, 4, size=0.2)
    shaken = joints + np.random.default_rng(1).normal(0, 0.004, joints.shape)
    fit = fit_joint_rotations(shaken, "humanml3d", FPS)
    np.testing.assert_allclose(fit.errors, np.linalg.norm(fit.positions - shaken, axis=-1))
    assert 0.001 < fit.errors.mean() < 0.006
    lengths = np.linalg.norm(shaken[:, 18] - shaken[:, 16], axis=-1)
    assert np.linalg.norm(fit.offsets[18]) == pytest.approx(np.sort(lengths)[19], abs=1e-9)


@pytest.mark.parametrize("clip", ["012314", "000612"])
def test_a_recorded_clip_is_met_within_a_tenth_of_a_millimetre(sample_data, clip):
    features = np.load(sample_data / "humanml3d" / "new_joint_vecs" / f"{clip}.npy")
    fit = fit_joint_rotations(features_to_joints(features), "humanml3d", FPS)
    assert fit.errors.max() < 1e-4
    assert steps(fit).max() < 60


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_nothing_breaks_on_a_figure_without_size_or_sense(frames):
    points = np.zeros((frames, 22, 3))
    for joints in (points, np.random.default_rng(0).normal(size=points.shape)):
        fit = fit_joint_rotations(joints, "humanml3d", FPS)
        assert np.isfinite(fit.rotations).all()
        assert np.isfinite(fit.positions).all()


def test_an_unknown_skeleton_is_refused():
    with pytest.raises(RequestError, match="unknown skeleton"):
        fit_joint_rotations(np.zeros((2, 22, 3)), "smplx", FPS)
