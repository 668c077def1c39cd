"""Every format writes what its name says."""

from pathlib import Path

import numpy as np
import pytest

from lead.cli.values import JOINT_NAMES
from lead.core.errors import RequestError
from lead.export.formats import CHOICES, FORMATS, Manner, export_motion
from lead.export.joint_names import NAMES as JOINTS
from lead.export.motion_file import Motion

# A new format adds its name here.
NAMES = ("npz", "gif", "webp", "mp4", "png", "bvh", "glb", "html")

MAGIC = {
    "npz": (0, b"PK\x03\x04"),
    "gif": (0, b"GIF89a"),
    "webp": (8, b"WEBP"),
    "mp4": (4, b"ftyp"),
    "png": (0, b"\x89PNG\r\n\x1a\n"),
    "bvh": (0, b"HIERARCHY\nROOT "),
    "glb": (0, b"glTF"),
    "html": (0, b"<!doctype html>"),
}


def motion(skeleton: str = "humanml3d", joints: int = 22) -> Motion:
    rest = np.random.default_rng(3).uniform((-0.3, 0, -0.2), (0.3, 1.7, 0.2), size=(5, joints, 3))
    return Motion(rest, np.zeros((5, 12 * joints - 1)), "a person", skeleton=skeleton, fps=12.5)


def test_the_registry_is_complete() -> None:
    assert tuple(FORMATS) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("skeleton", "joints"), [("humanml3d", 22), ("kit", 21)])
def test_each_format_starts_as_it_should(
    tmp_path: Path, name: str, skeleton: str, joints: int
) -> None:
    path = tmp_path / "new folder" / f"clip.{name}"
    export_motion(motion(skeleton, joints), path, name)
    start, magic = MAGIC[name]
    assert path.read_bytes()[start : start + len(magic)] == magic
    assert list(path.parent.iterdir()) == [path]


def test_an_unknown_format_is_one_clear_line() -> None:
    with pytest.raises(RequestError, match="unknown format 'giff': did you mean 'gif'?"):
        Manner().check("npz", "giff")
    with pytest.raises(RequestError, match="known: bvh, gif, glb, html, mp4, npz, png, webp"):
        Manner().check("obj")


CHOSEN = {"fps": 25.0, "scale": 100.0, "names": "vrm", "root": True}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("choice", CHOSEN)
def test_a_choice_changes_the_file_or_is_refused(tmp_path: Path, choice: str, name: str) -> None:
    manner, first, second = Manner(**{choice: CHOSEN[choice]}), tmp_path / "1", tmp_path / "2"
    export_motion(motion(), first, name)
    export_motion(motion(), second, name, manner)
    if name in CHOICES[choice]:
        manner.check("npz", name)
        assert first.read_bytes() != second.read_bytes()
    else:
        with pytest.raises(
            RequestError, match=f"^{choice} is for format=.* leave it out for {name}"
        ):
            manner.check(name)
        assert first.read_bytes() == second.read_bytes()


def test_the_names_of_the_command_are_those_that_are_written() -> None:
    assert JOINT_NAMES == JOINTS
    assert set(CHOICES) == set(CHOSEN) == set(Manner.model_fields)
