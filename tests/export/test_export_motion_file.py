"""The motion file: what goes in comes out, and nothing foreign gets through."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.export.motion_file import Motion, read_motion, write_motion

FRAMES, JOINTS, FEATURES = 7, 22, 263


def entries() -> dict[str, object]:
    """The keys of a sound motion file, written out by hand."""
    draw = np.random.default_rng(0)
    return {
        "joints": draw.normal(size=(FRAMES, JOINTS, 3)).astype(np.float32),
        "features": draw.normal(size=(FRAMES, FEATURES)).astype(np.float32),
        "text": "a person walks",
        "seed": 3,
        "fps": 20.0,
        "skeleton": "humanml3d",
        "schema": 1,
    }


def motion(**changes: object) -> Motion:
    values = {key: value for key, value in entries().items() if key != "schema"}
    return Motion(**{**values, **changes})


def test_round_trip_is_bit_exact(tmp_path: Path) -> None:
    before = motion(
        text="sie läuft 'schnell'\n→ \"zurück\"",
        seed=2**62 + 1,
        fps=12.5,
        provenance={"run": "0f3a", "": "no name", "guidance": "7.5"},
    )
    write_motion(tmp_path / "clip.npz", before)
    after = read_motion(tmp_path / "clip.npz")
    assert after.joints.dtype == after.features.dtype == np.float32
    assert after.joints.tobytes() == before.joints.tobytes()
    assert after.features.tobytes() == before.features.tobytes()
    assert (after.text, after.seed, after.fps) == (before.text, before.seed, 12.5)
    assert after.skeleton == "humanml3d"
    assert dict(after.provenance) == dict(before.provenance)
    assert after.seconds == pytest.approx(FRAMES / 12.5)


def test_the_file_is_the_documented_layout(tmp_path: Path) -> None:
    write_motion(tmp_path / "clip.npz", motion(provenance={"run": "abc"}))
    with np.load(tmp_path / "clip.npz", allow_pickle=False) as archive:
        layout = {key: (archive[key].dtype.kind, archive[key].shape) for key in archive.files}
        assert archive["schema"] == 1
        assert archive["provenance.run"] == "abc"
    assert layout == {
        "joints": ("f", (FRAMES, JOINTS, 3)),
        "features": ("f", (FRAMES, FEATURES)),
        "text": ("U", ()),
        "seed": ("i", ()),
        "fps": ("f", ()),
        "skeleton": ("U", ()),
        "schema": ("i", ()),
        "provenance.run": ("U", ()),
    }


def test_kit_motions_have_21_joints(tmp_path: Path) -> None:
    kit = motion(joints=np.ones((2, 21, 3)), features=np.ones((2, 251)), skeleton="kit")
    write_motion(tmp_path / "kit.npz", kit)
    assert read_motion(tmp_path / "kit.npz").joints.shape == (2, 21, 3)


def test_equal_motions_make_equal_bytes(tmp_path: Path) -> None:
    write_motion(tmp_path / "a.npz", motion(provenance={"x": "1", "y": "2"}))
    write_motion(tmp_path / "b.npz", motion(provenance={"y": "2", "x": "1"}))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def broken(joints_or_features: str, value: float) -> np.ndarray:
    array = entries()[joints_or_features].copy()
    array.reshape(FRAMES, -1)[4, 5] = value
    return array


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"joints": None}, "no 'joints'"),
        ({"features": None}, "no 'features'"),
        ({"text": None}, "no 'text'"),
        ({"seed": None}, "no 'seed'"),
        ({"fps": None}, "no 'fps'"),
        ({"skeleton": None}, "no 'skeleton'"),
        ({"schema": None}, "no 'schema'"),
        ({"schema": 2}, "'schema' takes a number less than or equal to 1, got 2"),
        ({"joints": np.zeros((FRAMES, 21, 3))}, r"joints must be \(frames, 22, 3\), got"),
        ({"joints": np.zeros((0, 22, 3))}, r"joints must be \(frames, 22, 3\), got"),
        ({"features": np.zeros((FRAMES, 251))}, r"features must be \(frames, 263\), got"),
        ({"features": np.zeros((FRAMES - 1, FEATURES))}, "7 frames, features 6"),
        ({"joints": broken("joints", np.nan)}, "joints hold .*not finite, first in frame 4"),
        ({"features": broken("features", np.inf)}, "features hold .*first in frame 4"),
        (
            {"joints": broken("joints", -1e30)},
            r"joints hold a value of 1e\+30 m, 1e\+06 is the most",
        ),
        ({"features": np.full((FRAMES, FEATURES), 1e300)}, "features hold .*not finite"),
        ({"joints": np.full((FRAMES, JOINTS, 3), "x")}, "joints must be numbers"),
        ({"text": 5}, "'text' takes a text"),
        ({"text": ["a", "b"]}, "'text' takes a text"),
        ({"seed": "five"}, "'seed' takes a whole number"),
        ({"fps": -20.0}, "fps must be from"),
        ({"fps": np.nan}, "fps must be from"),
        ({"skeleton": "humanml"}, "did you mean 'humanml3d'"),
        ({"schema": [1, 1]}, "'schema' takes a whole number"),
    ],
)
def test_wrong_content_is_one_clear_line(tmp_path: Path, changes: dict, says: str) -> None:
    content = {key: value for key, value in {**entries(), **changes}.items() if value is not None}
    path = tmp_path / "clip.npz"
    np.savez(path, **content)
    with pytest.raises(RequestError, match=says) as caught:
        read_motion(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class _Trap:
    """An object whose unpickling makes a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("key", ["joints", "text", "provenance.run"])
def test_objects_are_never_loaded(tmp_path: Path, key: str) -> None:
    trap = np.array([_Trap(tmp_path / "sprung")], dtype=object)
    np.savez(tmp_path / "clip.npz", **{**entries(), key: trap})
    with pytest.raises(RequestError, match="Python objects, which are never loaded"):
        read_motion(tmp_path / "clip.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_is_not_a_motion_file(tmp_path: Path) -> None:
    np.save(tmp_path / "clip.npy", np.array([_Trap(tmp_path / "sprung")], dtype=object))
    (tmp_path / "clip.npy").rename(tmp_path / "clip.npz")
    with pytest.raises(RequestError, match="not a whole .npz archive .*: give a motion file"):
        read_motion(tmp_path / "clip.npz")
    assert not (tmp_path / "sprung").exists()


def _text(path: Path) -> None:
    path.write_text("HIERARCHY\nROOT Hips\n", encoding="utf-8")


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _one_array(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.zeros((4, 22, 3)))


def _half(path: Path) -> None:
    np.savez(path, **entries())
    path.write_bytes(path.read_bytes()[:5000])


def _flipped(path: Path) -> None:
    np.savez(path, **entries())
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF  # inside the joints: the checksum no longer fits
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("write", [_text, _nothing, _one_array, _half, _flipped])
def test_a_file_of_another_kind_is_one_clear_line(tmp_path: Path, write: Callable) -> None:
    path = tmp_path / "clip.npz"
    write(path)
    with pytest.raises(RequestError) as caught:
        read_motion(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no.npz is missing"):
        read_motion(tmp_path / "no.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "a\0b"},
        {"text": "\ud800"},
        {"provenance": {"run": "a\0"}},
        {"provenance": {"text": "fine", "x\0": "y"}},
        {"seed": 2**63},
        {"fps": 0.0},
    ],
)
def test_a_motion_that_no_file_can_hold_is_refused(changes: dict) -> None:
    with pytest.raises(RequestError):
        motion(**changes)


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.npz"
    write_motion(path, motion(seed=1))
    before = path.read_bytes()

    def half_written(stream, **_: object) -> None:
        stream.write(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half_written)
    with pytest.raises(KeyboardInterrupt):
        write_motion(path, motion(seed=2))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_folder_cannot_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "clip.npz").mkdir()
    with pytest.raises(RequestError, match="is a folder"):
        write_motion(tmp_path / "clip.npz", motion())
