"""Looking for files in folders of any kind: loops, closed folders, odd names, too many."""

import os
from pathlib import Path

import pytest

from lead.core.errors import RequestError
from lead.data import folders
from lead.data.folders import find_files


def found(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): why for path, why in find_files(folder, ".bvh").items()
    }


def test_files_of_a_kind_wherever_they_are(tmp_path):
    (tmp_path / "b" / "deep.bvh").mkdir(parents=True)
    for name in (
        "z.bvh",
        "A.BVH",
        "b/deep.bvh/x.bvh",
        "b/.hidden.bvh",
        "b/x.txt",
        "._z.bvh",
        "bvh",
    ):
        (tmp_path / name).touch()
    assert list(found(tmp_path)) == ["A.BVH", "b/deep.bvh/x.bvh", "z.bvh"]


def test_loops_of_links_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.bvh").touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "itself.bvh").symlink_to(tmp_path / "itself.bvh")
    assert found(tmp_path) == {"a/x.bvh": "", "itself.bvh": ""}  # reading tells of the loop


def test_a_name_that_is_not_utf8_is_told(tmp_path):
    (tmp_path / "good.bvh").touch()
    (tmp_path / os.fsdecode(b"b\xff.bvh")).touch()
    (tmp_path / os.fsdecode(b"f\xfe")).mkdir()
    (tmp_path / os.fsdecode(b"f\xfe") / "x.bvh").touch()
    problems = list(found(tmp_path).values())
    assert sorted(problems) == ["", *["its name is not UTF-8: rename it"] * 2]


@pytest.mark.parametrize("closed", ["", "a", "a/b"])
def test_a_closed_folder_is_told(tmp_path, monkeypatch, closed):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("x.bvh", "a/x.bvh", "a/b/x.bvh"):
        (tmp_path / name).touch()
    listed = os.scandir

    def scandir(place):
        if Path(place) == tmp_path / closed:
            raise PermissionError(13, "Permission denied", str(place))
        return listed(place)

    monkeypatch.setattr(os, "scandir", scandir)
    problems = {name: why for name, why in found(tmp_path).items() if why}
    assert problems == {
        closed or ".": "cannot be looked into (Permission denied): change its rights"
    }


@pytest.mark.parametrize("count", [3, 4])
def test_there_is_a_limit_of_files(tmp_path, monkeypatch, count):
    monkeypatch.setattr(folders, "FILES_MOST", 3)
    for number in range(count):
        (tmp_path / f"{number}.bvh").touch()
        (tmp_path / f"{number}.txt").touch()
    if count <= 3:
        assert len(found(tmp_path)) == count
    else:
        with pytest.raises(RequestError, match=r"holds more than 3 \.bvh files"):
            found(tmp_path)


@pytest.mark.parametrize("make", [lambda path: None, Path.touch, os.mkfifo])
def test_what_is_no_folder_is_refused(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(RequestError, match=f"source={tmp_path / 'x'} is not a folder"):
        find_files(tmp_path / "x", ".bvh")
