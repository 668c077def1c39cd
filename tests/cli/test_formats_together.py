"""`format=html` of generate and export, and several motions at once."""

import re
from pathlib import Path

import numpy as np
import pytest

from lead.cli.main import main
from lead.export.motion_file import Motion, write_motion
from lead.representation import features_to_joints, get_skeleton, joints_to_features

SKELETON = get_skeleton("humanml3d")


def lead(capfd, *words: object) -> str:
    capfd.readouterr()
    assert main([str(word) for word in words]) == 0, capfd.readouterr().err
    return capfd.readouterr().out


@pytest.fixture
def glider(tmp_path) -> Path:
    """A motion file: a figure that stands with its feet on the floor and glides at 1 m/s."""
    rest = SKELETON.reference_offsets().numpy()
    pose = np.zeros((22, 3))
    for joint, parent in enumerate(SKELETON.parents):
        pose[joint] = pose[max(parent, 0)] + rest[joint]
    pose[[10, 11], 1] -= 0.02  # toes a little lower than ankles
    pose[:, 1] -= pose[:, 1].min()
    joints = np.repeat(pose[None], 61, axis=0)
    joints[..., 2] += np.arange(61)[:, None] / 20
    features = joints_to_features(joints.astype(np.float32))
    motion = Motion(features_to_joints(features), features, "a person glides", seed=3)
    write_motion(tmp_path / "glider.npz", motion)
    return tmp_path / "glider.npz"


def captions(page: Path) -> list[str]:
    return re.findall(r'<span title="(.*?)">', page.read_text(encoding="utf-8"))


def test_generate_writes_one_player_for_all_clips(world, capfd):
    lead(capfd, *world.generate(count=3, formats=None, format="html"))
    folder = world.here / "clips"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        *("000.npz", "001.npz", "002.npz", "index.html", "index.json", "player.html"),
    ]
    assert captions(folder / "player.html") == ["a person walks"] * 3
    assert (folder / "index.html").read_text().count('href="player.html"') == 3


def test_export_puts_several_motions_into_one_player(world, glider, capfd):
    other = world.file("second.npz", glider.read_bytes())
    assert lead(capfd, "export", glider, other, "format=html").strip() == str(
        glider.with_name("player.html")
    )
    assert captions(glider.with_name("player.html")) == ["a person glides"] * 2
    lead(capfd, "export", glider, "format=html", "output=both.html", f"motion={other}")
    assert len(captions(Path("both.html"))) == 2
    assert lead(capfd, "export", glider, "format=html").strip().endswith("glider.html")


def test_export_converts_several_motions_beside_themselves(world, glider, capfd):
    other = world.file("second.npz", glider.read_bytes())
    out = lead(capfd, "export", glider, other, "format=png").split()
    assert out == [str(path.with_suffix(".png")) for path in (glider, other)]
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["export", "{0}", "{1}", "format=gif", "output=one.gif"], "2 motions do not fit into one"),
        (["export", "{0}", "nowhere.npz", "format=html"], "nowhere.npz is missing"),
        (["export", "{0}", "{1}", "format=html", "output={1}"], "is the motion file itself"),
        (["export", "{0}", "format=htm"], "did you mean 'html'"),
    ],
)
def test_wrong_requests_change_nothing(world, glider, refused, words, says):
    other = world.file("second.npz", glider.read_bytes())
    assert says in refused([word.format(glider, other) for word in words])


def test_generate_refuses_an_unknown_format(world, refused):
    assert "did you mean 'html'" in refused(world.generate(format="htm"))
