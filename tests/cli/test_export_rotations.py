"""`lead export` to BVH and GLB from the command line."""

import numpy as np
import pytest

from lead.cli.main import main
from lead.export.motion_file import Motion, write_motion
from lead.representation import get_skeleton


@pytest.fixture
def clip(tmp_path, monkeypatch) -> str:
    """A motion file whose forearm grows by 40 mm, in the working directory."""
    monkeypatch.chdir(tmp_path)
    skeleton = get_skeleton("humanml3d")
    bones = skeleton.reference_offsets().numpy()
    joints = np.zeros((9, 22, 3))
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        joints[:, joint] = joints[:, parent] + bones[joint]
    joints[8, 21] += [0, -0.04, 0]
    write_motion("clip.npz", Motion(joints, np.zeros((9, 263)), "stands"))
    return "clip.npz"


@pytest.mark.parametrize("format", ["bvh", "glb"])
def test_the_file_is_written_and_what_it_lost_is_said(clip, capsys, format, tmp_path):
    assert main(["export", f"motion={clip}", f"format={format}"]) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith(f"clip.{format}: constant bone lengths move the joints by 0.2 mm")
    assert line.endswith("by up to 40 mm (right_wrist)")
    assert (tmp_path / f"clip.{format}").is_file()


def test_a_bvh_file_is_scaled(clip, tmp_path):
    assert main(["export", f"motion={clip}", "format=bvh", "scale=100"]) == 0
    text = (tmp_path / "clip.bvh").read_text()
    assert " -39.3623" in text  # the left thigh of the reference skeleton, in cm


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["format=bvh", "scale=big"], "scale takes a finite number, got 'big'"),
        (["format=bvh", "scale=0"], "scale takes a number from 0.0001 to 1000000.0, got 0"),
        (["format=gif", "scale=100"], "scale is for format=bvh alone: leave it out for gif"),
    ],
)
def test_a_wrong_scale_is_one_clear_line(clip, tmp_path, capsys, words, reason):
    assert main(["export", f"motion={clip}", *words]) == 2
    assert capsys.readouterr().err == f"lead: {reason}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["clip.npz"]
