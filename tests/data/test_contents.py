"""A file of a dataset that is changed in place is noticed; one that was only copied is not."""

import json
import os
import shutil
from pathlib import Path

import pytest

from lead.core.errors import RequestError, WorkError
from lead.data import contents
from lead.data.contents import STAMPS
from lead.data.packed import PackedDataset, open_dataset
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource

SPLITS = ("test", "train", "val")
FILES = (
    *("Mean.npy", "Std.npy"),
    *(f"{split}.{kind}" for split in SPLITS for kind in ("npy", "index.json")),
)


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "micro"
    pack(CmuOpenSource(clips=6), folder, workers=1)
    return folder


@pytest.fixture
def folder(packed, tmp_path) -> Path:
    return shutil.copytree(packed, tmp_path / "micro")  # with the times of its files


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Names of the files that are hashed from now on."""
    names: list[str] = []
    hash_of = contents.content_hash

    def note(*parts):
        names.extend(part.name for part in parts if isinstance(part, Path))
        return hash_of(*parts)

    monkeypatch.setattr(contents, "content_hash", note)
    return names


def changed(path: Path) -> None:
    """Another last byte (a digit of the last number, a letter of the last label)."""
    content = bytearray(path.read_bytes())
    place = -1 if path.suffix == ".npy" else content.rindex(b"walk") if b"walk" in content else -3
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_another_content_of_the_same_size_is_told(folder, name):
    size = (folder / name).stat().st_size
    changed(folder / name)
    assert (folder / name).stat().st_size == size
    with pytest.raises(WorkError, match=rf"{name} has changed since .*: prepare it again"):
        open_dataset(folder)


@pytest.mark.parametrize("name", FILES)
def test_another_size_is_told_even_with_the_old_time(folder, name):
    state = (folder / name).stat()
    with (folder / name).open("ab") as stream:
        stream.write(b" ")
    os.utime(folder / name, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(WorkError, match=f"{name} has changed since"):
        open_dataset(folder)


def test_what_was_brought_back_is_taken_again(folder):
    before = (folder / "val.npy").read_bytes()
    changed(folder / "val.npy")
    with pytest.raises(WorkError):
        open_dataset(folder)
    (folder / "val.npy").write_bytes(before)
    assert len(open_dataset(folder).split("val"))


def test_as_long_as_nothing_changes_nothing_is_hashed(folder, hashed):
    open_dataset(folder).split("train")
    assert hashed == []


def test_a_copy_with_new_times_is_hashed_once(folder, tmp_path, hashed):
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert isinstance(open_dataset(copy), PackedDataset)
    assert sorted(hashed) == sorted(FILES)
    hashed.clear()
    open_dataset(copy)
    assert hashed == []


def test_only_what_differs_is_hashed(folder, hashed):
    os.utime(folder / "val.npy", ns=(0, 0))
    open_dataset(folder)
    assert hashed == ["val.npy", "val.index.json"]


def test_stamps_that_cannot_be_written_hinder_nothing(folder, monkeypatch):
    def refuse(*_):
        raise RequestError("a read-only disk")

    os.utime(folder / "Mean.npy", ns=(0, 0))
    monkeypatch.setattr(contents, "write_json", refuse)
    assert len(open_dataset(folder).split("train"))


def test_a_dataset_of_before_there_were_stamps_opens(folder):
    (folder / STAMPS).unlink()
    changed(folder / "train.npy")
    assert len(open_dataset(folder).split("train"))
    assert not (folder / STAMPS).exists()


def test_stamps_of_another_content_are_not_trusted(folder, hashed):
    stamps = json.loads((folder / STAMPS).read_text())
    (folder / STAMPS).write_text(json.dumps(stamps | {"data_hash": "0" * 64}))
    open_dataset(folder)
    assert sorted(hashed) == sorted(FILES)
    assert json.loads((folder / STAMPS).read_text()) == stamps


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"data_hash": "x", "files": {}}'])
def test_broken_stamps_are_named(folder, text):
    (folder / STAMPS).write_text(text)
    with pytest.raises(WorkError, match=f"{STAMPS}.*: prepare it again"):
        open_dataset(folder)


def test_equal_data_have_equal_manifests_whenever_they_are_prepared(packed, tmp_path):
    pack(CmuOpenSource(clips=6), tmp_path / "x", workers=1)
    manifests = {(folder / "manifest.json").read_bytes() for folder in (packed, tmp_path / "x")}
    assert len(manifests) == 1
