"""BVH files: read back by our own parser and by a small reader written here."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lead.core.errors import RequestError
from lead.export.bvh import CENTIMETRES, euler_zxy, write_bvh
from lead.export.joint_names import NAMES, joint_names
from lead.export.motion_file import Motion
from lead.representation import features_to_joints, get_skeleton


def read_hierarchy(text: str) -> list[tuple[str, int, np.ndarray, list[str]]]:
    """Name, parent, OFFSET and CHANNELS of every joint, in the order of the file."""
    words = iter(text.split())
    joints: list[tuple[str, int, np.ndarray, list[str]]] = []
    stack: list[int] = []
    for word in words:
        if word in ("ROOT", "JOINT"):
            joints.append((next(words), stack[-1] if stack else -1, np.zeros(3), []))
            stack.append(len(joints) - 1)
        elif word == "End":
            stack.append(-1)
        elif word == "}":
            stack.pop()
        elif word == "OFFSET":
            offset = np.array([float(next(words)) for _ in range(3)])
            if stack[-1] >= 0:
                joints[stack[-1]][2][:] = offset
        elif word == "CHANNELS":
            joints[stack[-1]][3].extend(next(words) for _ in range(int(next(words))))
    return joints


def read_positions(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], float]:
    """World positions (frames, 3) and OFFSET of every joint, and the frame time.

    A stack machine of its own: rotations by SciPy, in the order of the channels.
    """
    head, _, tail = path.read_text(encoding="utf-8").partition("MOTION\n")
    joints = read_hierarchy(head)
    lines = tail.splitlines()
    frames, seconds = int(lines[0].split(":")[1]), float(lines[1].split(":")[1])
    values = np.array([line.split() for line in lines[2:]], dtype=float)
    assert values.shape == (frames, sum(len(channels) for *_, channels in joints))
    world: list[Rotation] = []
    places: list[np.ndarray] = []
    column = 0
    for _, parent, offset, channels in joints:
        own = values[:, column : column + len(channels)]
        column += len(channels)
        shift = np.tile(offset, (frames, 1))
        turn = Rotation.identity(frames)
        for channel, angles in zip(channels, own.T, strict=True):
            if channel.endswith("position"):
                shift[:, "XYZ".index(channel[0])] += angles
            else:
                turn = turn * Rotation.from_euler(channel[0], angles[:, None], degrees=True)
        world.append(world[parent] * turn if parent >= 0 else turn)
        places.append(places[parent] + world[parent].apply(shift) if parent >= 0 else shift)
    names = [name for name, *_ in joints]
    offsets = {name: offset for name, _, offset, _ in joints}
    return dict(zip(names, places, strict=True)), offsets, seconds


def read_joints(path: Path, skeleton: str) -> np.ndarray:
    places = read_positions(path)[0]
    return np.stack([places[name] for name in get_skeleton(skeleton).joint_names], axis=1)


@pytest.mark.parametrize("skeleton", ["humanml3d", "kit"])
def test_an_independent_reader_finds_the_joints(tmp_path, dancer, skeleton):
    motion = dancer(skeleton)
    assert write_bvh(tmp_path / "clip.bvh", motion) is None
    found = read_joints(tmp_path / "clip.bvh", skeleton)
    assert np.linalg.norm(found - motion.joints, axis=-1).max() < 1e-4
    assert read_positions(tmp_path / "clip.bvh")[2] == pytest.approx(1 / motion.fps)


@pytest.mark.parametrize("scale", [1.0, CENTIMETRES])
def test_our_own_reader_recognises_names_and_units(tmp_path, dancer, scale):
    from lead.data.bvh.joints import load_bvh_joints

    motion = dancer()
    write_bvh(tmp_path / "clip.bvh", motion, scale)
    again = load_bvh_joints(tmp_path / "clip.bvh", fps=motion.fps, up_axis="y")
    assert np.linalg.norm(again - motion.joints, axis=-1).max() < 1e-4


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("names", NAMES)
def test_every_naming_is_recognised_with_a_root_and_without(tmp_path, dancer, names, root):
    """By the reader here, which adds positions to offsets, and by ours, which replaces them."""
    from lead.data.bvh.joints import load_bvh_joints

    motion, path = dancer(), tmp_path / "clip.bvh"
    assert write_bvh(path, motion, CENTIMETRES, names=names, root=root, fps=40) is None
    again = load_bvh_joints(path, fps=motion.fps, up_axis="y")
    assert np.linalg.norm(again - motion.joints, axis=-1).max() < 1e-4
    places, offsets, seconds = read_positions(path)
    assert seconds == 0.025 and len(places) == 22 + root
    order = [name for name in joint_names(get_skeleton("humanml3d"), names)]
    found = np.stack([places[name] for name in order], axis=1)[::2] / CENTIMETRES
    assert np.linalg.norm(found - motion.joints, axis=-1).max() < 1e-4
    if root:
        assert next(iter(places)) == "root"
        np.testing.assert_allclose(places["root"][:, 1], 0, atol=1e-9)
        np.testing.assert_array_equal(offsets[order[0]], 0)


def test_other_names_are_humanml3d_s_alone(tmp_path, dancer):
    with pytest.raises(RequestError, match="names=vrm are of humanml3d's joints"):
        write_bvh(tmp_path / "clip.bvh", dancer("kit"), names="vrm")


@pytest.mark.parametrize("clip", ["012314", "000612"])
def test_recorded_clips_come_back_within_a_millimetre(tmp_path, sample_data, clip):
    from lead.data.bvh.joints import load_bvh_joints

    features = np.load(sample_data / "humanml3d" / "new_joint_vecs" / f"{clip}.npy")
    motion = Motion(features_to_joints(features), features, "")
    assert write_bvh(tmp_path / "clip.bvh", motion) is None
    for found in (
        load_bvh_joints(tmp_path / "clip.bvh"),
        read_joints(tmp_path / "clip.bvh", "humanml3d"),
    ):
        assert np.linalg.norm(found - motion.joints, axis=-1).max() < 1e-3


def test_the_rest_pose_is_a_t_pose_with_ends(tmp_path, dancer):
    write_bvh(tmp_path / "clip.bvh", dancer())
    places, offsets, _ = read_positions(tmp_path / "clip.bvh")
    assert len(places) == 22
    np.testing.assert_array_equal(offsets["pelvis"], 0)
    for side, sign in (("left", 1), ("right", -1)):
        for arm in ("elbow", "wrist"):
            offset = offsets[f"{side}_{arm}"]
            assert sign * offset[0] == pytest.approx(np.linalg.norm(offset), abs=1e-5)
        for leg in ("knee", "ankle"):
            offset = offsets[f"{side}_{leg}"]
            assert -offset[1] == pytest.approx(np.linalg.norm(offset), abs=1e-5)
        assert offsets[f"{side}_foot"][2] > 0
    assert (tmp_path / "clip.bvh").read_text().count("End Site") == 5


def test_the_root_stands_where_it_stood(tmp_path, dancer):
    motion = dancer()
    write_bvh(tmp_path / "clip.bvh", motion)
    found = read_positions(tmp_path / "clip.bvh")[0]["pelvis"]
    np.testing.assert_allclose(found, motion.joints[:, 0], atol=1e-6)


def test_bones_that_change_length_are_owned_up_to(tmp_path, dancer):
    motion = dancer()
    joints = motion.joints.copy()
    joints[7, 21] += 0.05
    remark = write_bvh(tmp_path / "clip.bvh", Motion(joints, motion.features, ""))
    found = read_joints(tmp_path / "clip.bvh", "humanml3d")
    largest = 1000 * np.linalg.norm(found - joints, axis=-1).max()
    assert remark is not None
    assert f"by up to {largest:.0f} mm (right_wrist)" in remark


def quaternions(rotation: Rotation) -> np.ndarray:
    return rotation.as_quat(scalar_first=True)[:, None]


def test_angles_make_the_rotation_that_scipy_makes_of_them():
    rotation = Rotation.random(500, random_state=1)
    angles = euler_zxy(quaternions(rotation))[:, 0]
    again = Rotation.from_euler("ZXY", angles)
    assert (again * rotation.inv()).magnitude().max() < 1e-12


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_three_turns_about_any_axis_have_no_jump(axis):
    """About x the middle angle passes 90 degrees, where z and y turn about the same axis."""
    turn = np.linspace(0.1, 6 * np.pi, 400)
    tilt = Rotation.from_euler("zxy", [0.1, 0.2, 0.3])
    rotation = Rotation.from_euler(axis, turn[:, None]) * tilt
    angles = euler_zxy(quaternions(rotation))[:, 0]
    assert (Rotation.from_euler("ZXY", angles) * rotation.inv()).magnitude().max() < 1e-9
    assert np.abs(np.diff(angles, axis=0)).max() < np.pi / 2
    assert np.abs(angles[0]).max() <= np.pi
    if axis != "x":
        assert angles[-1]["zxy".index(axis)] == pytest.approx(6 * np.pi, abs=1)


def test_the_middle_angle_at_ninety_degrees_is_exact():
    angles = np.array([[0.3, np.pi / 2, 0.4], [0.3, -np.pi / 2, 0.4], [0, np.pi / 2, 0]])
    rotation = Rotation.from_euler("ZXY", angles)
    again = Rotation.from_euler("ZXY", euler_zxy(quaternions(rotation))[:, 0])
    assert (again * rotation.inv()).magnitude().max() < 1e-7
