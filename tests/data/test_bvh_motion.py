"""BVH kinematics and resampling against scipy's rotations and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from lead.core.errors import RequestError
from lead.data.bvh.kinematics import (
    forward_kinematics,
    local_positions,
    local_rotations,
)
from lead.data.bvh.parser import BvhMotion, read_bvh
from lead.data.bvh.resampling import resample, sample_positions

AXES = "XYZ"


@st.composite
def motions(draw) -> dict:
    """Arguments of ``motion_of``."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    joints, frames = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    channels = []
    for _ in range(joints):
        pool = [f"{axis}{kind}" for kind in ("position", "rotation") for axis in AXES]
        channels.append(tuple(draw(st.permutations(pool))[: draw(st.integers(0, 6))]))
    return dict(
        parents=(-1, *(int(rng.integers(0, joint)) for joint in range(1, joints))),
        offsets=rng.normal(size=(joints, 3)),
        channels=tuple(channels),
        values=rng.uniform(-360, 360, size=(frames, sum(map(len, channels)))),
        frame_time=1 / 30,
    )


def motion_of(parents, offsets, channels, values, frame_time) -> BvhMotion:
    names = tuple(f"J{joint}" for joint in range(len(parents)))
    offsets, values = np.asarray(offsets, float), np.asarray(values, float)
    return BvhMotion(names, tuple(parents), offsets, {}, tuple(channels), values, frame_time)


def naive_positions(motion: BvhMotion) -> np.ndarray:
    """World positions by walking up from every joint in every frame."""
    frames = []
    for row in motion.values:
        columns = iter(row)
        turns, places = [], []
        for joint, channels in enumerate(motion.channels):
            place = motion.offsets[joint].copy()
            order, angles = "", []
            for channel in channels:
                value = next(columns)
                if channel.endswith("position"):
                    place[AXES.index(channel[0])] = value
                else:
                    order, angles = order + channel[0], [*angles, value]
            angles = angles[0] if len(angles) == 1 else angles
            turn = Rotation.from_euler(order, angles, degrees=True) if order else None
            turns.append(turn or Rotation.identity())
            places.append(place)
        points = []
        for joint in range(len(motion.parents)):
            point, above = places[joint], motion.parents[joint]
            while above >= 0:
                point = places[above] + turns[above].apply(point)
                above = motion.parents[above]
            points.append(point)
        frames.append(points)
    return np.array(frames)


@given(motions())
def test_forward_kinematics_equals_a_naive_walk_with_scipy(motion):
    motion = motion_of(**motion)
    rotations, positions = local_rotations(motion), local_positions(motion)
    turned, placed = forward_kinematics(motion.parents, rotations, positions)
    np.testing.assert_allclose(placed, naive_positions(motion), atol=1e-9)
    np.testing.assert_allclose(
        turned @ turned.swapaxes(-1, -2), np.broadcast_to(np.eye(3), turned.shape), atol=1e-12
    )


def test_channels_turn_in_file_order():
    """Z then X by 90 degrees: the X axis turns in the frame that Z made, so +y ends at +z."""
    motion = motion_of(
        parents=(-1, 0),
        offsets=[[0, 0, 0], [0, 1, 0]],
        channels=(("Zrotation", "Xrotation"), ()),
        values=[[90, 90]],
        frame_time=0.1,
    )
    placed = forward_kinematics(motion.parents, local_rotations(motion), local_positions(motion))[1]
    np.testing.assert_allclose(placed[0, 1], [0, 0, 1], atol=1e-12)


def test_proper_euler_angles_work_too():
    motion = motion_of(
        (-1,), [[0, 0, 0]], (("Zrotation", "Xrotation", "Zrotation"),), [[10, 70, -40]], 0.1
    )
    expected = Rotation.from_euler("ZXZ", [10, 70, -40], degrees=True).as_matrix()
    found = Rotation.from_quat(local_rotations(motion)[0, 0], scalar_first=True).as_matrix()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_position_channels_stand_in_place_of_the_offset():
    motion = motion_of(
        (-1, 0),
        [[9, 9, 9], [1, 2, 3]],
        (("Yposition",), ("Zposition", "Xposition")),
        [[5, 7, 8]],
        0.1,
    )
    np.testing.assert_array_equal(local_positions(motion), [[[9, 5, 9], [8, 2, 7]]])


@given(
    frames=st.integers(1, 400),
    fps_in=st.sampled_from([12.5, 20.0, 24.0, 25.0, 29.97, 30.0, 60.0, 100.0, 120.0]),
    fps_out=st.sampled_from([10.0, 12.5, 20.0, 30.0, 60.0]),
)
def test_sample_positions_stay_inside_and_are_evenly_spaced(frames, fps_in, fps_out):
    index, fraction = sample_positions(frames, fps_in, fps_out)
    times = index + fraction
    assert times[0] == 0
    np.testing.assert_allclose(times, np.arange(len(times)) * fps_in / fps_out, atol=1e-9)
    assert times[-1] <= frames - 1 < times[-1] + fps_in / fps_out + 1e-9
    assert ((fraction >= 0) & (fraction < 1)).all()
    assert (index[fraction > 0] + 1 <= frames - 1).all()


@pytest.mark.parametrize(
    ("frames", "fps_in", "length"),
    [
        (31, 30, 21),
        (30, 30, 20),
        (1, 30, 1),
        (2, 30, 1),
        (61, 60, 21),
        (120, 120, 20),
        (121, 120, 21),
    ],
)
def test_length_at_twenty_frames_per_second(frames, fps_in, length):
    assert len(sample_positions(frames, float(fps_in), 20.0)[0]) == length


@pytest.mark.parametrize(
    ("frames", "fps_in", "fps_out"),
    [(90, 1 / 900, 20.0), (72_001, 20.0, 20.0), (10**9, 60.0, 20.0), (3601, 1.0, 1000.0)],
)
def test_no_more_than_an_hour_of_frames(frames, fps_in, fps_out):
    """Judged before anything is made of that length."""
    with pytest.raises(RequestError, match=f"{frames} frames at .* 72000 are the most"):
        sample_positions(frames, fps_in, fps_out)
    assert len(sample_positions(72_000, 20.0, 20.0)[0]) == 72_000


def test_no_more_joints_in_all_than_fit_into_the_memory(monkeypatch):
    monkeypatch.setattr("lead.data.bvh.resampling.POINTS_MOST", 40)
    assert len(resample(swinging(40, 0.05), 20.0)[0]) == 40
    with pytest.raises(RequestError, match="41 frames of 1 joints at 20 fps: 40 joints in all"):
        resample(swinging(41, 0.05), 20.0)


def swinging(frames: int, frame_time: float) -> BvhMotion:
    time = np.arange(frames)[:, None]
    values = np.concatenate(
        [time * [[1.0, 0.5, -2.0]], 40 * np.sin(time * [[0.2, 0.3, 0.1]])], axis=1
    )
    channels = (("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation"),)
    return motion_of((-1,), [[0, 0, 0]], channels, values, frame_time)


@pytest.mark.parametrize(
    ("frame_time", "step"), [(0.0083333, 6), (0.016667, 3), (0.025, 2), (0.05, 1)]
)
def test_whole_ratios_pick_frames_exactly(frame_time, step):
    motion = swinging(61, frame_time)
    rotations, positions = resample(motion, 20.0)
    np.testing.assert_array_equal(rotations, local_rotations(motion)[::step])
    np.testing.assert_array_equal(positions, local_positions(motion)[::step])


def test_thirty_to_twenty_keeps_every_other_frame_and_slerps_between():
    motion = swinging(31, 0.0333333)
    before_r, before_p = local_rotations(motion), local_positions(motion)
    rotations, positions = resample(motion, 20.0)
    assert len(rotations) == 21
    np.testing.assert_array_equal(rotations[::2], before_r[::3])
    np.testing.assert_array_equal(positions[::2], before_p[::3])
    slerp = Slerp(np.arange(31), Rotation.from_quat(before_r[:, 0], scalar_first=True))
    expected = slerp(np.arange(21) * 1.5).as_matrix()
    found = Rotation.from_quat(rotations[:, 0], scalar_first=True).as_matrix()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(positions[1::2], (before_p[1::3] + before_p[2::3]) / 2, atol=1e-12)


def test_angles_that_wrap_are_interpolated_the_short_way():
    motion = motion_of((-1,), [[0, 0, 0]], (("Yrotation",),), [[179], [-179]], 0.1)
    rotations, _ = resample(motion, 20.0)
    angle = Rotation.from_quat(rotations[1, 0], scalar_first=True).as_euler("YXZ", degrees=True)[0]
    assert abs(angle) == pytest.approx(180)


def test_resampling_up_and_down_again_gives_the_motion_back():
    motion = swinging(40, 0.05)
    up, _ = resample(motion, 60.0)
    np.testing.assert_allclose(up[::3], local_rotations(motion), atol=1e-15)
    assert len(up) == 39 * 3 + 1


@pytest.mark.dev
def test_world_positions_equal_those_of_bvhio(tmp_path):
    bvhio = pytest.importorskip("bvhio")
    path = tmp_path / "order.bvh"
    path.write_text(
        "HIERARCHY\nROOT A\n{\nOFFSET 0 0 0\n"
        "CHANNELS 6 Zposition Xposition Yposition Yrotation Zrotation Xrotation\n"
        "JOINT B\n{\nOFFSET 1 2 3\nCHANNELS 3 Xrotation Yrotation Zrotation\n"
        "JOINT C\n{\nOFFSET 0.5 -2 1\nCHANNELS 3 Zrotation Yrotation Xrotation\n"
        "End Site\n{\nOFFSET 0 1 0\n}\n}\n}\n}\nMOTION\nFrames: 2\nFrame Time: 0.1\n"
        "1 2 3 10 20 30 40 50 60 70 80 90\n-1 5 3 -100 20 130 40 -150 60 70 180 90\n"
    )
    motion = read_bvh(path)
    placed = forward_kinematics(motion.parents, local_rotations(motion), local_positions(motion))[1]
    root = bvhio.readAsHierarchy(str(path))
    for frame, points in enumerate(placed):
        root.loadPose(frame)
        theirs = [list(joint.PositionWorld) for joint, _, _ in root.layout()]
        np.testing.assert_allclose(points, theirs, atol=1e-4)
