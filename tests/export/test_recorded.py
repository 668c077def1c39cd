"""Recordings as motions: what `lead export` makes of BVH and AMC files."""

import re

import numpy as np
import pytest

from lead.cli.main import main
from lead.core.errors import RequestError
from lead.data.bvh.joints import load_bvh_joints
from lead.export.motion_file import read_motion, write_motion
from lead.export.recorded import read_any_motion
from lead.representation import features_to_joints, joints_to_features


@pytest.fixture
def recordings(tmp_path, acclaim_figure):
    """The same motion as ``walk.amc`` with its skeleton, and as ``turn.bvh``."""
    figure = acclaim_figure(frames=241)
    figure.write(tmp_path, "walk", "walk")
    figure.write_bvh(tmp_path, "turn")
    return tmp_path


@pytest.mark.parametrize("fps", [20.0, 60.0])
@pytest.mark.parametrize("name", ["walk.amc", "turn.bvh"])
def test_a_recording_is_the_motion_that_prepare_makes_of_it(name, fps, recordings):
    path = recordings / name
    motion = read_any_motion(path) if fps == 20 else read_any_motion(path, fps)
    joints = load_bvh_joints(path, fps=fps)
    features = joints_to_features(joints, shortest_turn=True)
    np.testing.assert_array_equal(motion.features[:-1], features)
    np.testing.assert_array_equal(motion.joints, features_to_joints(motion.features))
    assert (motion.fps, motion.skeleton, motion.text) == (fps, "humanml3d", path.stem)
    assert motion.provenance == {"recorded": name}
    write_motion(recordings / "clip.npz", motion)
    again = read_any_motion(recordings / "clip.npz")
    np.testing.assert_array_equal(again.joints, motion.joints)


@pytest.mark.parametrize("fps", [20.0, 60.0])
def test_the_last_frame_is_kept_and_stands_still(fps, recordings):
    joints = load_bvh_joints(recordings / "turn.bvh", fps=fps)
    motion = read_any_motion(recordings / "turn.bvh", fps)
    assert motion.frames == len(joints)
    back = np.concatenate([joints, joints[-2:-1]])  # however it goes on, the pose is the same
    other = features_to_joints(joints_to_features(back, shortest_turn=True))
    np.testing.assert_allclose(spans(motion.joints[-1]), spans(other[-1]), atol=1e-5)
    assert np.abs(spans(motion.joints[-1]) - spans(motion.joints[-2])).max() > 1e-3
    speeds = motion.features[-1, [1, 2, *range(193, 259)]]  # the facing is smoothed, and turns on
    np.testing.assert_allclose(speeds, 0, atol=1e-6)


def spans(pose: np.ndarray) -> np.ndarray:
    """How far each joint is from each other."""
    return np.linalg.norm(pose[:, None] - pose[None], axis=-1)


@pytest.mark.parametrize("name", ["walk.AMC", "turn.BVH"])
def test_endings_may_be_in_capitals(name, recordings):
    lower = recordings / name.lower()
    lower.rename(recordings / name)
    assert read_any_motion(recordings / name).frames == 41


@pytest.mark.parametrize("format", ["npz", "gif", "png", "bvh", "glb", "html"])
@pytest.mark.parametrize("name", ["walk.amc", "turn.bvh"])
def test_recordings_are_exported_in_every_format(name, format, recordings, capsys):
    output = recordings / "out" / f"clip.{format}"
    words = ["export", f"motion={recordings / name}", f"format={format}", f"output={output}"]
    assert main(words) == 0, capsys.readouterr().err
    assert output.stat().st_size > 0
    if format == "npz":
        assert read_motion(output).frames == 41


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.bvh", "HIERARCHY\n", "a.bvh:1: the hierarchy ends"),
        ("a.bvh", "", "a.bvh:1: the file is empty"),
        ("walk.amc", ":DEGREES\n1\nroot 1 2\n", "walk.amc:3: bone 'root' has 2 numbers"),
        ("lonely/a.amc", "1\n", "no .asf file beside it"),
        ("missing.bvh", None, "missing.bvh"),
        ("missing.amc", None, "missing.amc is missing"),
        ("walk.asf", None, "walk.asf: give a motion file: .npz"),
        ("walk.fbx", "Kaydara FBX Binary", "walk.fbx: give a motion file: .npz"),
    ],
)
def test_what_is_no_recording_is_told_in_one_line(name, content, words, recordings):
    path = recordings / name
    if content is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    with pytest.raises(RequestError) as caught:
        read_any_motion(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_single_frame_is_no_motion(tmp_path, acclaim_figure):
    path = acclaim_figure(frames=3).write(tmp_path)
    with pytest.raises(RequestError, match="one frame at 20 fps is no motion"):
        read_any_motion(path)


@pytest.mark.parametrize(("format", "name"), [("gif", "clip.glb"), ("bvh", "clip.npz")])
def test_a_file_is_not_named_as_another_format(format, name, recordings, capsys):
    output = recordings / name
    words = ["export", f"motion={recordings / 'turn.bvh'}", f"format={format}", f"output={output}"]
    assert main(words) == 2
    assert f"{name} would hold {format}: say format={name[-3:]}" in capsys.readouterr().err
    assert not output.exists()


def test_a_file_may_be_named_as_no_format_is(recordings):
    output = recordings / "wave.vrma"
    words = [f"motion={recordings / 'turn.bvh'}", "format=glb", "names=vrm", f"output={output}"]
    assert main(["export", *words]) == 0
    assert output.read_bytes()[:4] == b"glTF"


def test_a_player_says_that_a_clip_is_recorded(recordings):
    output = recordings / "player.html"
    words = [f"motion={recordings / 'turn.bvh'}", "format=html", f"output={output}"]
    assert main(["export", *words]) == 0
    page = output.read_text(encoding="utf-8")
    assert re.search(r"recorded · 2\.\d s", page) and "seed" not in page


@pytest.mark.parametrize(("names", "format", "there"), [(1, "glb", "turn"), (2, "html", "player")])
def test_what_stands_beside_a_recording_is_kept(names, format, there, recordings, capsys):
    beside = recordings / f"{there}.{format}"
    beside.write_bytes(b"mine")
    words = ["export", *[str(recordings / "turn.bvh")] * names, f"format={format}"]
    assert main(words) == 2
    assert f"{beside} exists: name output=FILE" in capsys.readouterr().err
    assert beside.read_bytes() == b"mine"
    assert main([*words, "overwrite=true"]) == 0
    assert beside.read_bytes() != b"mine"
