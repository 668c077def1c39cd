"""Looking for files in folders of any kind: loops, closed folders, odd names, too many."""

import os
from functools import partial
from pathlib import Path

import pytest

from lead.core.errors import RequestError
from lead.data import folders
from lead.data.folders import find_files
from lead.data.loading import load_items
from lead.data.sources.bandai_namco import BandaiNamcoSource
from lead.data.sources.bvh import BvhSource
from lead.data.sources.style100 import Style100Source


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


def close(monkeypatch, folder: Path) -> None:
    """As if the rights of a folder were taken away, which does not bind an administrator."""
    listed = os.scandir

    def scandir(place):
        if Path(place) == folder:
            raise PermissionError(13, "Permission denied", str(place))
        return listed(place)

    monkeypatch.setattr(os, "scandir", scandir)


@pytest.mark.parametrize("closed", ["a", "a/b"])
def test_a_closed_folder_is_told(tmp_path, monkeypatch, closed):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("x.bvh", "a/x.bvh", "a/b/x.bvh"):
        (tmp_path / name).touch()
    close(monkeypatch, tmp_path / closed)
    problems = {name: why for name, why in found(tmp_path).items() if why}
    assert problems == {closed: "cannot be looked into (Permission denied): change its rights"}


SOURCES = [
    partial(BvhSource, template="a person walks"),
    partial(BandaiNamcoSource, held_out=()),
    Style100Source,
]


@pytest.mark.parametrize("make", SOURCES)
def test_every_source_tells_of_a_folder_that_is_closed_as_a_whole(tmp_path, monkeypatch, make):
    close(monkeypatch, tmp_path)
    with pytest.raises(RequestError, match=r"cannot be looked into \(Permission denied\)"):
        make(tmp_path).list_items()


@pytest.mark.parametrize("make", SOURCES[:1])
def test_a_closed_part_is_among_what_is_left_out(tmp_path, monkeypatch, make):
    (tmp_path / "closed.bvh").mkdir()
    (tmp_path / "walk.bvh").touch()
    close(monkeypatch, tmp_path / "closed.bvh")
    source = make(tmp_path)
    reasons = {found.id: found.reason for found in load_items(source, source.list_items())}
    assert "the file is empty" in reasons["walk"]
    assert reasons["closed.bvh"].startswith("cannot be looked into")


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
