"""What comes from outside is judged before it is read, and told in one line."""

import os
import struct
import zipfile

import numpy as np
import pytest

from lead.core.errors import LINE_MOST, LeadError, RequestError, WorkError, one_line
from lead.core.reading import (
    check_regular,
    map_array,
    parse_json,
    parse_yaml,
    read_archive,
    read_json,
    read_tensors,
    read_text,
)

READERS = (read_text, read_json, read_tensors, map_array, read_archive)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device", "loop", "long", "zero"])
def test_only_regular_files_are_opened(reader, kind, tmp_path):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)  # opening it would wait for ever
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "long":
        path = tmp_path / ("x" * 5000)
    elif kind == "zero":
        path = tmp_path / "x\0y"
    with pytest.raises(RequestError) as error:
        reader(path)
    assert len(one_line(error.value)) <= LINE_MOST


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [b"", b"\x80\x81", b"PK\x03\x04", b"\x93NUMPY", b"{" * 200_000])
def test_rubbish_is_told_in_one_line(reader, content, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(content)
    if reader is read_text and content in (b"", b"{" * 200_000, b"PK\x03\x04"):
        assert reader(path).encode() == content
        return
    with pytest.raises(LeadError) as error:
        reader(path)
    assert "x" in str(error.value)
    assert len(one_line(error.value)) <= LINE_MOST


def test_a_file_above_its_limit_is_not_read(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(17 << 20)  # sparse
    with pytest.raises(RequestError, match=r"17825792 bytes, 16777216 are the most"):
        read_text(path)
    assert check_regular(path) == path


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 401,
        '{"a": ' + "9" * 5_000 + "}",
        '"\\ud800"',
        '{"\\uDFFF": 1}',
        '["\ud800"]',
        b"\xff",
        '{"a": 1',
    ],
)
def test_json_that_no_reader_follows(text):
    with pytest.raises(ValueError, match=r".") as error:
        parse_json(text)
    assert not isinstance(error.value, RecursionError)
    assert len(str(error.value)) <= LINE_MOST


def test_json_values_are_kept():
    assert parse_json('{"a": [1, -2.5, null, "\\ud83d\\ude00 é"]}') == {
        "a": [1, -2.5, None, "😀 é"]
    }
    assert parse_json("9" * 400) == 10**400 - 1


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a: [1", "a: 2026-13-45", "a: " + "1" * 5_000, "&a [*a]", "\0", "!!x 1"]
)
def test_yaml_that_no_reader_follows(text):
    with pytest.raises(RequestError, match=r"^where is not valid YAML"):
        parse_yaml(text, "where")


def test_a_broken_json_file_is_failed_work(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[1]")
    with pytest.raises(WorkError, match="holds a list, not an object"):
        read_json(path)


def test_an_array_larger_than_its_file_takes_no_memory(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((4, 3)))
    content = path.read_bytes().replace(b"(4, 3)", b"(%d, 3)" % 2**45)
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"not a whole \.npy array"):
        map_array(path)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.zeros(100_000))
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(RequestError, match=r"unpacks to 8\d{5} bytes, 1000 are the most"):
        read_archive(path, most=1000)


@pytest.mark.parametrize("reader", [map_array, read_archive])
def test_python_objects_are_never_loaded(reader, tmp_path):
    path = tmp_path / ("x.npz" if reader is read_archive else "x.npy")
    (np.savez if reader is read_archive else np.save)(path, np.array([{}], dtype=object))
    with pytest.raises(RequestError, match="Python objects, which are never loaded"):
        reader(path)


def test_tensors_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "x.safetensors"
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1.5, -2))
    assert read_tensors(path)["a"].tolist() == [1.5, -2]
