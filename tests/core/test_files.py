"""Files and folders appear whole or not at all, whatever fails on the way."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest
import torch

from lead.core.errors import RequestError, WorkError
from lead.core.files import (
    atomic_folder,
    atomic_path,
    content_hash,
    make_folder,
    write_json,
    write_tensors,
)
from lead.core.reading import read_json, read_tensors


class Killed(BaseException):
    """Stands for anything that ends the work in the middle, like Ctrl-C: no Exception."""


def one_line(error: pytest.ExceptionInfo, *words: object) -> str:
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    return message


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "run.json"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".json"  # libraries choose a format by the suffix
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["run.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # temporary files are private by default


@pytest.mark.parametrize("failure", [ValueError, Killed])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "weights.bin"
    path.write_text("old")
    with pytest.raises(failure), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise failure
    assert path.read_text() == "old"
    assert names(tmp_path) == ["weights.bin"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "log.csv"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer one ends last
    assert names(tmp_path) == ["log.csv"]


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(RequestError) as error, atomic_path(tmp_path / "run"):
        pass
    one_line(error, tmp_path / "run", "folder")
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("failure", [ValueError, Killed])
@pytest.mark.parametrize("replace", [False, True])
def test_a_failed_folder_leaves_nothing(tmp_path, failure, replace):
    target = tmp_path / "datasets" / "walks"
    with pytest.raises(failure), atomic_folder(target, replace=replace) as folder:
        (folder / "train.npy").write_text("half")
        raise failure
    assert names(tmp_path) == []  # nor the folder above it, which was made for it


def test_a_failed_replacement_leaves_the_old_folder(tmp_path):
    target = tmp_path / "walks"
    target.mkdir()
    (target / "manifest.json").write_text("old")
    with pytest.raises(Killed), atomic_folder(target, replace=True) as folder:
        (folder / "manifest.json").write_text("new")
        raise Killed
    assert (target / "manifest.json").read_text() == "old"
    assert names(tmp_path) == ["walks"]


def test_a_replacement_that_cannot_be_renamed_gives_the_old_folder_back(tmp_path, monkeypatch):
    target = tmp_path / "walks"
    target.mkdir()
    (target / "manifest.json").write_text("old")
    rename = Path.replace

    def fail_on_the_new_folder(self, other):
        if (self / "new").exists():
            raise OSError("disk full")
        return rename(self, other)

    monkeypatch.setattr(Path, "replace", fail_on_the_new_folder)
    with pytest.raises(WorkError, match="disk full"), atomic_folder(target, replace=True) as folder:
        (folder / "new").touch()
    assert names(target) == ["manifest.json"]
    assert names(tmp_path) == ["walks"]


def test_a_replacement_swaps_the_whole_folder(tmp_path):
    target = tmp_path / "walks"
    (target / "cache").mkdir(parents=True)
    (target / "cache" / "old.bin").write_text("old")
    with atomic_folder(target, replace=True) as folder:
        (folder / "manifest.json").write_text("new")
        assert (target / "cache" / "old.bin").exists()  # readable until the very end
    assert names(target) == ["manifest.json"]
    assert names(tmp_path) == ["walks"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_a_folder_with_content_is_replaced_only_on_request(tmp_path):
    target = tmp_path / "walks"
    target.mkdir()
    with atomic_folder(target) as folder:  # an empty one holds nothing to lose
        (folder / "manifest.json").write_text("first")
    with pytest.raises(RequestError) as error, atomic_folder(target):
        pytest.fail("the work must not start")
    one_line(error, target, "overwrite=true")
    assert (target / "manifest.json").read_text() == "first"


def test_a_folder_does_not_take_the_place_of_a_file(tmp_path):
    (tmp_path / "notes").write_text("mine")
    for replace in (False, True):
        with (
            pytest.raises(RequestError) as error,
            atomic_folder(tmp_path / "notes", replace=replace),
        ):
            pytest.fail("the work must not start")
        one_line(error, tmp_path / "notes", "is a file")
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_folder_below_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    for attempt in (
        lambda: make_folder(tmp_path / "file"),
        lambda: make_folder(tmp_path / "file" / "below"),
        lambda: write_json(tmp_path / "file" / "run.json", {}),
        lambda: write_tensors(tmp_path / "file" / "a.safetensors", {}),
        lambda: atomic_folder(tmp_path / "file" / "below").__enter__(),
    ):
        with pytest.raises(RequestError) as error:
            attempt()
        one_line(error, tmp_path / "file")


def test_a_folder_without_the_right_to_write_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(RequestError) as error:
        write_json(tmp_path / "run.json", {})
    one_line(error, tmp_path, "cannot write")
    assert names(tmp_path) == []


def test_json_keeps_every_letter_in_any_locale(tmp_path, monkeypatch):
    value = {"text": "une pirouette à gauche ✓", "frames": [1, 2], "nested": {"rate": 12.5}}
    monkeypatch.setattr("locale.getencoding", lambda: "ascii", raising=False)
    write_json(tmp_path / "a.json", value)
    raw = (tmp_path / "a.json").read_bytes()
    assert json.loads(raw) == value == read_json(tmp_path / "a.json")
    assert "à gauche ✓".encode() in raw  # people read these files
    assert list(read_json(tmp_path / "a.json")) == ["text", "frames", "nested"]


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    assert read_json(tmp_path / "a.json") == {"old": 1}
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("content", [b'{"a": 1', b"", b"\xff\xfe{}", b"[1, 2]", b"3"], ids=repr)
def test_broken_json_is_a_failed_work(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(WorkError) as error:
        read_json(tmp_path / "run.json")
    one_line(error, tmp_path / "run.json", "remake")


@pytest.mark.parametrize("read", [read_json, read_tensors])
def test_a_missing_file_is_a_wrong_request(tmp_path, read):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(RequestError) as error:
            read(path)
        one_line(error, path, "missing")


def test_tensors_come_back_as_they_were(tmp_path):
    tensors = {
        "layer.weight": torch.randn(4, 3, requires_grad=True),
        "half": torch.randn(3).to(torch.bfloat16),
        "transposed": torch.randn(2, 5).T,  # not contiguous
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    path = tmp_path / "weights" / "vae.safetensors"
    write_tensors(path, tensors, {"part": "vae"})
    back = read_tensors(path)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor.detach())
    assert names(path.parent) == ["vae.safetensors"]


@pytest.mark.parametrize("kept", [0, 7, 60, -1])
def test_a_cut_tensor_file_is_a_failed_work(tmp_path, kept):
    path = tmp_path / "vae.safetensors"
    write_tensors(path, {"weight": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WorkError) as error:
        read_tensors(path)
    one_line(error, path, "remake")


def test_the_hash_is_the_sha_256_of_the_parts_with_separators(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * (3 << 20))  # more than one block
    expected = hashlib.sha256(b"x" * (3 << 20) + b"\x00" + "é".encode() + b"\x00" + b"\x01\x00")
    assert content_hash(tmp_path / "a", "é", b"\x01") == expected.hexdigest()


def test_the_hash_tells_contents_and_their_order_not_names(tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    assert content_hash(tmp_path / "a") == content_hash(tmp_path / "b")
    different = {content_hash(*parts) for parts in (("ab",), ("a", "b"), ("b", "a"), ("ab", ""))}
    assert len(different) == 4
