"""`lead export` to BVH and GLB from the command line."""

import numpy as np
import pytest

from lead.cli.main import main
from lead.export.motion_file import Motion, read_motion, write_motion
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
    assert line.startswith(f"clip.{format}: rigid hips and bones move the joints by 0.2 mm")
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
        (["format=png", "names=vrm"], "names is for format=bvh|glb alone: leave it out for png"),
        (
            ["format=npz", "fps=60"],
            "fps is for format=gif|webp|mp4|bvh|glb|html alone: leave it out for npz",
        ),
        (["format=bvh", "fps=0"], "fps takes a number from 1 to 240, got 0"),
        (["format=bvh", "names=mixmo"], "unknown names 'mixmo': did you mean 'mixamo'?"),
    ],
)
def test_a_wrong_choice_is_one_clear_line(clip, tmp_path, capsys, words, reason):
    assert main(["export", f"motion={clip}", *words]) == 2
    assert capsys.readouterr().err == f"lead: {reason}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["clip.npz"]


def test_a_recording_is_written_at_the_rate_that_is_asked_for(tmp_path, acclaim_figure):
    acclaim_figure(frames=121).write_bvh(tmp_path, "own")  # of 120 fps
    words = [f"motion={tmp_path / 'own.bvh'}", "format=bvh", f"output={tmp_path / 'new.bvh'}"]
    assert main(["export", *words, "fps=60", "names=mixamo", "root=true"]) == 0
    text = (tmp_path / "new.bvh").read_text(encoding="utf-8")
    assert "ROOT root" in text and "JOINT mixamorig:Hips" in text
    assert "Frames: 61\nFrame Time: 0.01666667\n" in text


def test_several_motions_go_into_one_glb_where_it_is_named(clip, tmp_path, capsys):
    (tmp_path / "other.npz").write_bytes((tmp_path / clip).read_bytes())
    assert main(["export", clip, "other.npz", "format=glb", "output=all.glb"]) == 0
    assert capsys.readouterr().out.startswith("all.glb: rigid hips and bones")
    said = (tmp_path / "all.glb").read_bytes()
    assert said.count(b'"name":"stands"') == said.count(b'"name":"stands 2"') == 1
    assert main(["export", clip, "other.npz", "format=glb"]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.glb")) == [
        "all.glb",
        "clip.glb",
        "other.glb",
    ]
    assert main(["export", clip, "other.npz", "format=bvh", "output=all.bvh"]) == 2
    assert "leave output= out, or take format=html or glb" in capsys.readouterr().err


def test_generate_writes_as_export_does(world, tmp_path, capsys):
    """The same choices, for those of its formats that leave them open."""
    choices = {"scale": 100, "fps": 40, "names": "mixamo", "root": "true"}
    assert main(world.generate(formats="[npz,bvh,glb]", **choices)) == 0, capsys.readouterr().err
    folder = world.here / "clips"
    again = [f"{key}={value}" for key, value in choices.items()]
    for format in ("bvh", "glb"):
        left = again if format == "bvh" else again[1:]
        words = [f"motion={folder / '000.npz'}", f"format={format}", *left]
        assert main(["export", *words, f"output={tmp_path / 'again'}"]) == 0
        assert (tmp_path / "again").read_bytes() == (folder / f"000.{format}").read_bytes()
    assert read_motion(folder / "000.npz").fps == 20
    assert main(world.generate(formats="[npz,gif]", scale=100, output=tmp_path / "no")) == 2
    assert "scale is for format=bvh alone: leave it out for npz, gif" in capsys.readouterr().err
