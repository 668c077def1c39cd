"""Features computed by hand, closed forms, invariances, and what is refused."""

import warnings

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from lead.core.errors import RequestError
from lead.representation import (
    Skeleton,
    features_to_joints,
    get_skeleton,
    joints_to_features,
    joints_to_features_batch,
)

BOTH = pytest.mark.parametrize("name", ["humanml3d", "kit"])
Y = np.array([0.0, 1.0, 0.0])
GROUND = np.array([1.0, 0.0, 1.0])


# ---- the same computation by loops over joints and frames, in double precision -----------------


def across(joints: np.ndarray, skeleton: Skeleton, hips: float) -> np.ndarray:
    right_hip, left_hip, right_shoulder, left_shoulder = (
        joints[..., joint, :] for joint in skeleton.face_joints
    )
    return hips * (right_hip - left_hip) + (right_shoulder - left_shoulder)


def canonical(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Reference bones, lowest point at 0, first root at x = z = 0, first frame facing +Z."""
    bone = [joints[:, j] - joints[:, max(p, 0)] for j, p in enumerate(skeleton.parents)]
    first, second = skeleton.scale_joints
    legs = np.linalg.norm(bone[first][0]) + np.linalg.norm(bone[second][0])
    scale = (skeleton.bone_lengths[first] + skeleton.bone_lengths[second]) / legs
    out = {0: joints[:, 0] * scale}
    while len(out) < skeleton.joints:
        for joint, parent in enumerate(skeleton.parents):
            if joint not in out and parent in out:
                direction = bone[joint] / np.linalg.norm(bone[joint], axis=-1, keepdims=True)
                out[joint] = out[parent] + direction * skeleton.bone_lengths[joint]
    figure = np.stack([out[joint] for joint in range(skeleton.joints)], axis=1)
    figure = figure - np.array([figure[0, 0, 0], figure[..., 1].min(), figure[0, 0, 2]])
    forward = np.cross(Y, across(figure[0], skeleton, 1.0))
    return (
        Rotation.from_euler("y", -np.arctan2(forward[0], forward[2]))
        .apply(figure.reshape(-1, 3))
        .reshape(figure.shape)
    )


def headings(figure: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Angle from +Z towards +X of the smoothed facing direction; 0 in the first frame."""
    side = across(figure, skeleton, -1.0)  # the official code counts the hips negatively here
    forward = np.cross(Y, side / np.linalg.norm(side, axis=-1, keepdims=True))
    forward = gaussian_filter1d(forward, 20, axis=0, mode="nearest")
    angles = np.arctan2(forward[:, 0], forward[:, 2])
    angles[0] = 0
    return angles


def features_by_hand(joints: np.ndarray, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """All parts but the rotations."""
    figure = canonical(joints, skeleton) / skeleton.metres_per_unit
    angles = headings(figure, skeleton)
    rows = {part: [] for part in ("yaw", "planar", "height", "positions", "velocities", "feet")}
    for now in range(len(figure) - 1):
        here = Rotation.from_euler("y", -angles[now])
        there = Rotation.from_euler("y", -angles[now + 1])
        root = figure[now, 0]
        move = figure[now + 1] - figure[now]
        turn = (angles[now + 1] - angles[now] + np.pi) % (2 * np.pi) - np.pi
        feet = [*skeleton.left_foot, *skeleton.right_foot]
        rows["yaw"].append([-turn / 2])
        rows["planar"].append(there.apply(move[0])[[0, 2]])
        rows["height"].append([root[1]])
        rows["positions"].append(here.apply(figure[now, 1:] - root * GROUND).ravel())
        rows["velocities"].append(here.apply(move).ravel())
        rows["feet"].append((move[feet] ** 2).sum(-1) < skeleton.contact_threshold)
    return {part: np.array(values, dtype=float) for part, values in rows.items()}


def split(features: np.ndarray, skeleton: Skeleton) -> dict[str, np.ndarray]:
    others = skeleton.joints - 1
    widths = (1, 2, 1, 3 * others, 6 * others, 3 * others + 3, 4)
    names = ("yaw", "planar", "height", "positions", "rotations", "velocities", "feet")
    return dict(zip(names, np.split(features, np.cumsum(widths)[:-1], axis=-1), strict=True))


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_every_part_equals_the_one_computed_by_hand(name, seed, figure):
    skeleton = get_skeleton(name)
    joints = figure(name, frames=120, seed=seed)
    parts = split(joints_to_features(joints, name), skeleton)
    by_hand = features_by_hand(joints, skeleton)
    for part, expected in by_hand.items():
        np.testing.assert_allclose(parts[part], expected, atol=1e-8, err_msg=part)
    assert 0 < by_hand["feet"].mean() < 1 or name == "kit"


@BOTH
def test_rotations_rebuild_the_positions(name, figure):
    """Products of the 6-D rotations along the chains turn rest bones to the local positions."""
    skeleton = get_skeleton(name)
    joints = figure(name, frames=60)
    parts = split(joints_to_features(joints, name), skeleton)
    reference = canonical(joints, skeleton)[:-1]
    angles = headings(canonical(joints, skeleton), skeleton)[:-1]
    six = parts["rotations"].reshape(59, -1, 2, 3)
    x, y = six[:, :, 0], six[:, :, 1]
    matrices = np.stack([x, y, np.cross(x, y)], axis=-1)
    np.testing.assert_allclose(
        matrices @ matrices.swapaxes(-1, -2), np.broadcast_to(np.eye(3), matrices.shape), atol=1e-9
    )
    offsets = np.asarray(skeleton.directions) * np.asarray(skeleton.bone_lengths)[:, None]
    positions = {0: reference[:, 0]}
    for chain in skeleton.chains:
        turn = Rotation.from_euler("y", -angles[:, None]).as_matrix()
        for parent, joint in zip(chain, chain[1:], strict=False):
            turn = turn @ matrices[:, joint - 1]
            positions[joint] = positions[parent] + turn @ offsets[joint]
    rebuilt = np.stack([positions[joint] for joint in range(skeleton.joints)], axis=1)
    np.testing.assert_allclose(rebuilt, reference, atol=1e-8)


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_joints_come_back_canonical(name, dtype, figure):
    joints = figure(name, frames=150, seed=5)
    features = joints_to_features(joints.astype(dtype), name, shortest_turn=True)
    assert features.dtype == dtype
    back = features_to_joints(features, name)
    assert back.dtype == dtype
    expected = canonical(joints, get_skeleton(name))[:-1]
    assert np.abs(back - expected).max() < 1e-4  # metres, for KIT too


def test_kit_takes_metres_and_makes_millimetres(figure):
    joints = figure("kit", frames=40)
    parts = split(joints_to_features(joints, "kit"), get_skeleton("kit"))
    expected = canonical(joints, get_skeleton("kit"))
    np.testing.assert_allclose(parts["height"][:, 0], 1000 * expected[:-1, 0, 1])
    assert 300 < parts["height"].mean() < 700


# ---- closed forms ------------------------------------------------------------------------------


def resting(frames: int = 30) -> np.ndarray:
    """The reference skeleton of HumanML3D in its rest pose, standing still and facing +Z."""
    skeleton = get_skeleton("humanml3d")
    joints = np.zeros((frames, 22, 3))
    for joint in range(1, 22):  # parents come before their children
        offset = np.array(skeleton.directions[joint]) * skeleton.bone_lengths[joint]
        joints[:, joint] = joints[:, skeleton.parents[joint]] + offset
    return joints - np.array([0, joints[..., 1].min(), 0])


def test_the_rest_pose_has_no_motion_and_no_rotation():
    joints = resting()
    parts = split(joints_to_features(joints), get_skeleton("humanml3d"))
    for part in ("yaw", "planar", "velocities"):
        np.testing.assert_allclose(parts[part], 0, atol=1e-7)
    np.testing.assert_array_equal(parts["feet"], 1)
    np.testing.assert_allclose(parts["positions"], joints[:-1, 1:].reshape(29, -1), atol=1e-7)
    identity = np.tile([1, 0, 0, 0, 1, 0], 21)
    np.testing.assert_allclose(parts["rotations"], np.tile(identity, (29, 1)), atol=1e-7)
    left_leg = 0.39362314 + 0.43243298  # the longer one: thigh and shin
    np.testing.assert_allclose(parts["height"], left_leg, atol=1e-6)


def test_a_bent_elbow_is_one_rotation_about_x():
    """The right forearm points forwards: y is turned to -z, in the wrist's six numbers alone."""
    joints = resting()
    wrist, elbow = 21, 19
    joints[:, wrist] = joints[:, elbow] + [0, 0, get_skeleton("humanml3d").bone_lengths[wrist]]
    rotations = split(joints_to_features(joints), get_skeleton("humanml3d"))["rotations"]
    rotations = rotations.reshape(29, 21, 6)
    np.testing.assert_allclose(rotations[:, wrist - 1], [[1, 0, 0, 0, 0, -1]] * 29, atol=1e-7)
    np.testing.assert_allclose(rotations[:, :-1], [[[1, 0, 0, 0, 1, 0]] * 20] * 29, atol=1e-7)


def test_a_straight_walk_moves_along_z():
    step = 0.03
    joints = resting(40) + np.arange(40)[:, None, None] * [0, 0, step]
    parts = split(joints_to_features(joints), get_skeleton("humanml3d"))
    np.testing.assert_allclose(parts["planar"], np.tile([0, step], (39, 1)), atol=1e-7)
    np.testing.assert_allclose(parts["velocities"].reshape(39, 22, 3)[..., 2], step, atol=1e-7)
    np.testing.assert_allclose(parts["yaw"], 0, atol=1e-7)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_steady_turn_has_half_its_angle_as_yaw_velocity(direction):
    """Turning left, from +Z to +X, counts negatively. The ends are smoothed differently."""
    frames, speed = 300, 0.02
    turn = Rotation.from_euler("y", direction * speed * np.arange(frames)[:, None]).as_matrix()
    joints = np.einsum("fij,fkj->fki", turn, resting(frames))
    yaw = joints_to_features(joints, shortest_turn=True)[:, 0]
    np.testing.assert_allclose(yaw[90:-90], -direction * speed / 2, atol=1e-6)
    published = joints_to_features(joints)[:, 0]  # negated where the facing passes -Z, once here
    np.testing.assert_allclose(published[90:-90].sum(), yaw[91:-90].sum() - yaw[100], atol=1e-5)
    assert (np.abs(published + yaw) < 1e-6)[90:-90].sum() == 1


@pytest.mark.parametrize(
    ("name", "still", "sliding"), [("humanml3d", 0.0447, 0.0448), ("kit", 2.23e-4, 2.24e-4)]
)
def test_feet_are_in_contact_below_the_squared_threshold(name, still, sliding, figure):
    """0.002 square metres a frame for HumanML3D, 0.05 square millimetres for KIT."""
    skeleton = get_skeleton(name)
    pose = canonical(figure(name, frames=2), skeleton)[:1]
    for speed, contact in ((still, 1), (sliding, 0)):
        path = np.arange(20)[:, None, None] * np.array([speed, 0, 0])
        parts = split(joints_to_features(pose + path, name), skeleton)
        np.testing.assert_array_equal(parts["feet"], contact)


def test_the_order_of_the_feet_is_left_ankle_left_toe_right_ankle_right_toe():
    for place, joint in enumerate((7, 10, 8, 11)):
        joints = resting(20)
        joints[10:, joint] += [0.08, 0, 0]  # jumps once
        expected = np.ones((19, 4))
        expected[9, place] = 0
        if joint in (7, 8):  # an ankle takes its toe along
            joints[10:, joint + 3] += [0.08, 0, 0]
            expected[9, place + 1] = 0
        contacts = joints_to_features(joints)[:, -4:]
        np.testing.assert_array_equal(contacts, expected)


# ---- invariances -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_where_the_motion_stands_and_how_large_it_is_does_not_matter(name, seed, figure):
    rng = np.random.default_rng(seed)
    joints = figure(name, frames=80)
    turn = Rotation.from_euler("y", rng.uniform(-np.pi, np.pi)).as_matrix()
    moved = rng.uniform(0.2, 5) * joints @ turn.T + rng.normal(size=3) * 20
    np.testing.assert_allclose(
        joints_to_features(moved, name), joints_to_features(joints, name), atol=1e-7
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_figure_that_faces_away_is_turned_and_not_tipped_over(dtype):
    joints = resting() * [-1, 1, -1]
    joints[0, :, 0] += 1e-9 * joints[0, :, 2]  # exactly opposite but for rounding
    features = joints_to_features(joints.astype(dtype))
    np.testing.assert_allclose(features, joints_to_features(resting()), atol=1e-5)


@BOTH
def test_a_padded_batch_equals_its_clips_whatever_the_padding(name, figure):
    lengths = [60, 2, 17, 59]
    clips = [figure(name, frames, seed) for seed, frames in enumerate(lengths)]
    padded = torch.randn(4, 64, get_skeleton(name).joints, 3, dtype=torch.float64) * 100
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = torch.tensor(clip)
    batch = joints_to_features_batch(padded, torch.tensor(lengths), name)
    assert batch.shape == (4, 63, get_skeleton(name).features)
    for row, clip in zip(batch, clips, strict=True):
        alone = joints_to_features(clip, name)
        np.testing.assert_allclose(row[: len(clip) - 1].numpy(), alone, atol=1e-8)
        assert (row[len(clip) - 1 :] == 0).all()


def test_not_even_nan_leaks_out_of_the_padding(figure):
    joints = torch.tensor(np.stack([figure(frames=30), figure(frames=30, seed=1)]))
    lengths = torch.tensor([30, 12])
    clean = joints_to_features_batch(joints, lengths)
    joints[1, 12:] = float("nan")
    joints.requires_grad_(True)
    features = joints_to_features_batch(joints, lengths)
    torch.testing.assert_close(features, clean)
    features.sum().backward()
    assert torch.isfinite(joints.grad[1, :12]).all()
    assert (joints.grad[1, 12:] == 0).all()


@BOTH
def test_a_prefix_of_the_features_gives_a_prefix_of_the_joints(name, figure):
    features = joints_to_features(figure(name, frames=50), name)
    whole = features_to_joints(features, name)
    np.testing.assert_allclose(features_to_joints(features[:20], name), whole[:20], atol=1e-9)


# ---- arrays, tensors, gradients ----------------------------------------------------------------


@BOTH
def test_numpy_and_torch_agree_and_each_returns_its_kind(name, figure):
    joints = figure(name).astype(np.float32)
    features = joints_to_features(joints, name)
    tensor = joints_to_features(torch.tensor(joints), name)
    assert isinstance(features, np.ndarray)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(features, tensor.numpy())
    back = features_to_joints(tensor, name)
    assert isinstance(back, torch.Tensor)
    np.testing.assert_array_equal(features_to_joints(features, name), back.numpy())


def test_any_memory_layout_is_read_without_a_warning_and_left_alone(figure, tmp_path):
    joints = figure(frames=20)
    features = joints_to_features(joints)
    np.save(tmp_path / "joints.npy", joints)
    mapped = np.load(tmp_path / "joints.npy", mmap_mode="r")
    backwards = np.ascontiguousarray(joints[::-1])[::-1]
    big_endian = joints.astype(">f8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for same in (mapped, backwards, big_endian, np.asfortranarray(joints)):
            again = joints_to_features(same)
            np.testing.assert_array_equal(again, features)
            again[:] = 0  # the result is the caller's own
            np.testing.assert_array_equal(same, joints)
        np.save(tmp_path / "features.npy", features)
        mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
        np.testing.assert_array_equal(features_to_joints(mapped), features_to_joints(features))


def test_whole_numbers_are_read_as_numbers():
    joints = np.round(resting() * 1000).astype(np.int64)
    np.testing.assert_array_equal(
        joints_to_features(joints), joints_to_features(joints.astype(np.float32))
    )
    assert features_to_joints(np.zeros((3, 263), dtype=np.int32)).dtype == np.float32


@BOTH
def test_leading_axes_of_features_are_kept(name, figure):
    clips = [joints_to_features(figure(name, 20, seed), name) for seed in range(6)]
    stacked = np.stack(clips).reshape(2, 3, 19, -1)
    joints = features_to_joints(stacked, name)
    assert joints.shape == (2, 3, 19, get_skeleton(name).joints, 3)
    np.testing.assert_allclose(joints[1, 2], features_to_joints(clips[5], name), atol=1e-12)


@BOTH
def test_gradients_flow_both_ways(name, figure):
    joints = torch.tensor(figure(name, frames=12), requires_grad=True)
    features = joints_to_features(joints, name)
    back = features_to_joints(features, name)
    (weights := torch.randn_like(back)).mul(back).sum().backward()
    assert torch.isfinite(joints.grad).all()
    assert (joints.grad[:-1].abs().sum(-1) > 0).all()  # every joint of every frame but the last
    # Along a random direction the gradient is the slope.
    direction = torch.randn_like(joints)
    with torch.no_grad():
        ahead, behind = (
            (features_to_joints(joints_to_features(joints + e * direction, name), name) * weights)
            for e in (1e-6, -1e-6)
        )
    slope = ((ahead - behind).sum() / 2e-6).item()
    assert (joints.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4)


# ---- degenerate and wrong input ----------------------------------------------------------------


def degenerate_clips() -> dict[str, np.ndarray]:
    point = np.zeros((10, 22, 3))
    lying = resting(10)[..., [1, 0, 2]]  # left side up: no facing direction
    short = resting(10)
    short[:, 21] = short[:, 19]
    legless = resting(10)
    legless[:, [5, 8]] = legless[:, [2]]
    opposite = resting(10)
    opposite[:, [18, 19, 20, 21]] = opposite[:, [16, 17, 16, 17]] + [0, 0.3, 0]
    opposite[:, [20, 21], 1] += 0.3
    spinning = resting(10)
    spinning[1::2] *= [-1, 1, -1]
    inverted = resting(10) * [-1, -1, 1]
    return {
        **{"one point": point, "lying": lying, "a bone of no length": short},
        **{"no right leg": legless, "arms straight up": opposite, "half turns": spinning},
        "head down": inverted,
    }


@pytest.mark.parametrize("clip", degenerate_clips())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_degenerate_figures_give_finite_features(clip, dtype):
    features = joints_to_features(degenerate_clips()[clip].astype(dtype))
    assert np.isfinite(features).all()
    assert np.isfinite(features_to_joints(features)).all()
    columns = split(features, get_skeleton("humanml3d"))["rotations"].reshape(9, 21, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(columns, axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("clip", degenerate_clips())
def test_degenerate_figures_have_finite_gradients(clip):
    joints = torch.tensor(degenerate_clips()[clip], requires_grad=True)
    joints_to_features(joints).square().sum().backward()
    assert torch.isfinite(joints.grad).all()


def with_nan(frame: int, value: float = float("nan")) -> np.ndarray:
    joints = resting()
    joints[frame:, 3, 1] = value
    return joints


@pytest.mark.parametrize(
    ("joints", "skeleton", "words"),
    [
        (np.zeros((5, 21, 3)), "humanml3d", ("(frames, 22, 3)", "(5, 21, 3)")),
        (np.zeros((5, 22, 3)), "kit", ("(frames, 21, 3)", "'kit'")),
        (np.zeros((5, 22, 4)), "humanml3d", ("(5, 22, 4)",)),
        (np.zeros((5, 66)), "humanml3d", ("(5, 66)",)),
        (np.zeros((2, 5, 22, 3)), "humanml3d", ("(2, 5, 22, 3)",)),
        (np.zeros((1, 22, 3)), "humanml3d", ("at least 2 frames", "got 1")),
        (np.zeros((0, 22, 3)), "humanml3d", ("at least 2 frames", "got 0")),
        (with_nan(7), "humanml3d", ("not finite", "frame 7")),
        (with_nan(0, float("inf")), "humanml3d", ("not finite", "frame 0")),
        (np.zeros((5, 22, 3)), "humanml", ("unknown skeleton", "did you mean 'humanml3d'")),
        (np.array([["a"]]), "humanml3d", ("joints must be an array of numbers",)),
        (np.array([None]), "humanml3d", ("joints must be an array of numbers",)),
        ("walk.npy", "humanml3d", ("joints must be an array of numbers",)),
        ([[[0.0]], [[0.0, 1.0]]], "humanml3d", ("joints must be an array of numbers",)),
    ],
)
def test_wrong_joints_are_refused_in_one_line(joints, skeleton, words):
    with pytest.raises(RequestError) as error:
        joints_to_features(joints, skeleton)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("features", "skeleton", "words"),
    [
        (np.zeros((5, 262)), "humanml3d", ("(..., frames, 263)", "(5, 262)")),
        (np.zeros((5, 263)), "kit", ("(..., frames, 251)", "'kit'")),
        (np.zeros(263), "humanml3d", ("(263,)",)),
        (np.zeros((5, 263)), "smpl", ("unknown skeleton 'smpl'",)),
        (None, "humanml3d", ("features must be an array of numbers",)),
    ],
)
def test_wrong_features_are_refused_in_one_line(features, skeleton, words):
    with pytest.raises(RequestError) as error:
        features_to_joints(features, skeleton)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
