"""Recordings as motions: what `lead export` makes of BVH and AMC files."""

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
    features = joints_to_features(load_bvh_joints(path, fps=fps), shortest_turn=True)
    np.testing.assert_array_equal(motion.features, features)
    np.testing.assert_array_equal(motion.joints, features_to_joints(features))
    assert (motion.fps, motion.skeleton, motion.text) == (fps, "humanml3d", path.stem)
    assert motion.provenance == {"recorded": name}
    write_motion(recordings / "clip.npz", motion)
    again = read_any_motion(recordings / "clip.npz")
    np.testing.assert_array_equal(again.joints, motion.joints)


@pytest.mark.parametrize("name", ["walk.AMC", "turn.BVH"])
def test_endings_may_be_in_capitals(name, recordings):
    lower = recordings / name.lower()
    lower.rename(recordings / name)
    assert read_any_motion(recordings / name).frames == 40


@pytest.mark.parametrize("format", ["npz", "gif", "png", "bvh", "glb", "html"])
@pytest.mark.parametrize("name", ["walk.amc", "turn.bvh"])
def test_recordings_are_exported_in_every_format(name, format, recordings, capsys):
    output = recordings / "out" / f"clip.{format}"
    words = ["export", f"motion={recordings / name}", f"format={format}", f"output={output}"]
    assert main(words) == 0, capsys.readouterr().err
    assert output.stat().st_size > 0
    if format == "npz":
        assert read_motion(output).frames == 40


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.bvh", "HIERARCHY\n", "a.bvh:1: the hierarchy ends"),
        ("a.bvh", "", "a.bvh:1: the file is empty"),
        ("walk.amc", ":DEGREES\n1\nroot 1 2\n", "walk.amc:3: bone 'root' has 2 numbers"),
        ("lonely/a.amc", "1\n", "no .asf file beside it"),
        ("missing.bvh", None, "missing.bvh"),
        ("missing.amc", None, "missing.amc is missing"),
        ("walk.asf", None, "give a motion file"),
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
