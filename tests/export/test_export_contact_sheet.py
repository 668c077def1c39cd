"""Contact sheets: their size, their poses, their complaints."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lead.export import contact_sheet
from lead.export.contact_sheet import sideways, write_contact_sheet
from lead.export.figure import BACKGROUND, LIMBS
from lead.export.scene import AZIMUTH

ACROSS = np.array([np.cos(AZIMUTH), 0, -np.sin(AZIMUTH)])  # to the right in the picture


def standing(frames: int, joints: int = 22) -> np.ndarray:
    rest = np.random.default_rng(2).uniform((-0.3, 0, -0.2), (0.3, 1.7, 0.2), size=(joints, 3))
    return np.repeat(rest[None].astype(np.float32), frames, axis=0)


@pytest.mark.parametrize(
    ("clips", "columns", "expected"),
    [(1, 2, (200, 100)), (4, 2, (400, 200)), (5, 2, (400, 300)), (5, 3, (600, 200))],
)
def test_size(tmp_path: Path, clips: int, columns: int, expected: tuple) -> None:
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, [(standing(9), "stands")] * clips, columns, cell=(200, 100))
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.size == expected
        pixels = np.asarray(sheet.convert("RGB"))
    used = [
        (pixels[y : y + 100, x : x + 200] != BACKGROUND).any()
        for y in range(0, expected[1], 100)
        for x in range(0, expected[0], 200)
    ]
    assert used == [True] * clips + [False] * (len(used) - clips)


@pytest.mark.parametrize("poses", [1, 3, 6])
def test_a_figure_that_stands_still_is_shown_side_by_side(tmp_path: Path, poses: int) -> None:
    """Counts the figures: runs of columns that hold any limb, at the height of the feet."""
    pole = np.zeros((50, 22, 3), dtype=np.float32)  # a stick without width
    pole[:, :, 1] = np.linspace(0.2, 1.7, 22)
    write_contact_sheet(tmp_path / "sheet.png", [(pole, "")], 1, poses, cell=(600, 200))
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))[..., None, :]
    limbs = (pixels == [*LIMBS.values()]).all(-1).any(axis=(0, 2))
    assert (np.diff(limbs.astype(int)) == 1).sum() == poses


def test_no_more_poses_than_frames(tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "sheet.png", [(standing(2), "short")], 1, 8)
    assert (tmp_path / "sheet.png").is_file()


def test_poses_that_the_walk_spreads_stay_where_they_are() -> None:
    root = np.arange(11)[:, None] * 0.5 * ACROSS
    chosen = np.array([0, 5, 10])
    assert np.array_equal(sideways(root, chosen, room=2.4), np.zeros((11, 3)))
    assert np.array_equal(sideways(-root, chosen, room=2.4), np.zeros((11, 3)))


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_poses_in_each_others_way_are_moved_apart(direction: float) -> None:
    chosen = np.array([0, 4, 8, 12])
    there_and_back = np.array([0, 3, 2.8, 1.5]) * direction
    root = np.interp(np.arange(13), chosen, there_and_back)[:, None] * ACROSS
    placed = (root + sideways(root, chosen, room=1.0))[chosen] @ ACROSS
    # free where there is room, else one metre beyond the pose before
    assert direction * placed == pytest.approx([0, 3, 4, 5])


def test_every_side_has_its_colour_on_every_skeleton(tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "kit.png", [(standing(5, 21), "kit")], skeleton="kit")
    with Image.open(tmp_path / "kit.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(100_000)}
    assert set(LIMBS.values()) <= colours


def test_equal_input_makes_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_contact_sheet(tmp_path / name, [(standing(9), "stands")] * 3)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_written(self, target: Path, **_: object) -> None:  # noqa: ARG001
        target.write_bytes(b"\x89PNG")
        raise RuntimeError("midway")

    monkeypatch.setattr(contact_sheet.Image.Image, "save", half_written)
    with pytest.raises(RuntimeError, match="midway"):
        write_contact_sheet(tmp_path / "sheet.png", [(standing(5), "good")])
    assert list(tmp_path.iterdir()) == []
