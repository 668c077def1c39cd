"""Unpacking archives from elsewhere: only the wanted files, nowhere else, nothing left behind."""

import bz2
import gzip
import io
import lzma
import os
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lead.core.errors import LeadError, RequestError
from lead.data import archives
from lead.data.archives import is_archive, unpack

CONTENT = b"HIERARCHY\n" * 500


def _member(name: str, content: bytes = CONTENT) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, io.BytesIO(content)


def _archive(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name in names:
            tar.addfile(*_member(name))
    return path


def test_unpacks_flat_into_the_cache_and_once(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "set.tar.xz", "set/data/a.bvh", "set/data/b.bvh", "set/README.md")
    folder = unpack(archive, ".bvh", tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "a.bvh": CONTENT,
        "b.bvh": CONTENT,
    }
    (folder / "a.bvh").write_text("mark")
    assert unpack(archive, ".bvh", tmp_path / "cache") == folder
    assert (folder / "a.bvh").read_text() == "mark"


def test_a_changed_archive_is_unpacked_again(tmp_path: Path) -> None:
    first = unpack(_archive(tmp_path / "set.tar.xz", "a.bvh"), ".bvh", tmp_path / "cache")
    second = unpack(_archive(tmp_path / "set.tar.xz", "a.bvh", "b.bvh"), ".bvh", tmp_path / "cache")
    assert first != second
    assert len(list(second.iterdir())) == 2


def test_paths_and_links_of_the_archive_are_not_followed(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with tarfile.open(archive, "w") as tar:
        tar.addfile(*_member("../../../up.bvh"))
        tar.addfile(*_member(f"{tmp_path}/absolute.bvh"))
        for kind, name in ((tarfile.SYMTYPE, "link.bvh"), (tarfile.LNKTYPE, "hard.bvh")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, str(secret)
            tar.addfile(link)
        pipe = tarfile.TarInfo("pipe.bvh")
        pipe.type = tarfile.FIFOTYPE
        tar.addfile(pipe)
    folder = unpack(archive, ".bvh", tmp_path / "deep" / "cache")
    assert sorted(path.name for path in folder.iterdir()) == ["absolute.bvh", "up.bvh"]
    assert sorted(path.name for path in tmp_path.rglob("*.bvh") if path.parent != folder) == []


def test_without_a_cache_the_folder_goes_with_the_process(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "set.tar.xz", "a.bvh")
    code = (
        "import sys; from pathlib import Path; from lead.data.archives import unpack\n"
        "folder = unpack(Path(sys.argv[1]), '.bvh')\n"
        "assert unpack(Path(sys.argv[1]), '.bvh') == folder and (folder / 'a.bvh').is_file()\n"
    )
    (tmp_path / "tmp").mkdir()
    subprocess.run(
        [sys.executable, "-c", code, str(archive)],
        check=True,
        env={
            **os.environ,
            "TMPDIR": str(tmp_path / "tmp"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert list((tmp_path / "tmp").iterdir()) == []


def _truncated(path: Path) -> Path:
    whole = _archive(path.with_name("whole.tar.xz"), *(f"{n}.bvh" for n in range(20)))
    path.write_bytes(whole.read_bytes()[:-100])
    return path


def _twice(path: Path) -> Path:
    return _archive(path, "one/a.bvh", "two/a.bvh")


def _text(path: Path) -> Path:
    path.write_text("this is a web page, no archive", encoding="utf-8")
    return path


def _empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_truncated, "truncated"),
        (_text, "no tar archive"),
        (_empty, "no tar archive"),
        (_twice, "holds a.bvh twice"),
        (lambda path: _archive(path, "README.md"), r"holds no \.bvh file"),
        (lambda path: path, "is missing"),
        (lambda path: os.mkfifo(path) or path, "no regular file"),
    ],
)
def test_bad_archives_are_one_line_errors_and_leave_nothing(tmp_path, make, message) -> None:
    archive = make(tmp_path / "bad.tar.xz")
    with pytest.raises(RequestError, match=message) as caught:
        unpack(archive, ".bvh", tmp_path / "cache")
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("limit", [{"UNPACKED_MOST": 2 * len(CONTENT)}, {"MEMBERS_MOST": 2}])
def test_limits_stop_an_archive_that_swells(tmp_path: Path, monkeypatch, limit: dict) -> None:
    archive = _archive(tmp_path / "big.tar.xz", "a.bvh", "notes.txt", "c.bvh")
    for name, most in limit.items():
        monkeypatch.setattr(f"lead.data.archives.{name}", most)
    with pytest.raises(
        RequestError, match=f"to {3 * len(CONTENT)} bytes in 3 members, .* are the most"
    ):
        unpack(archive, ".bvh", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def _claims(size: int, name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header that claims any size, and not one byte of it."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


class _Counted(io.BytesIO):
    unpacked = 0

    def read(self, size: int = -1) -> bytes:
        found = super().read(size)
        _Counted.unpacked += len(found)
        return found


@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ((1 << 40, "a.bvh"), "to 1099511627776 bytes in 1 members"),
        ((1 << 40, "notes.txt"), "to 1099511627776 bytes in 1 members"),  # to be passed over
        ((1 << 31, "notes.txt"), "to 2147483648 bytes in 1 members"),  # by its ratio
        ((1 << 40, "long", tarfile.GNUTYPE_LONGNAME), "a header of 1099511627776 bytes"),
        ((1 << 40, "pax", tarfile.XHDTYPE), "a header of 1099511627776 bytes"),
        ((1 << 40, "pax", tarfile.XGLTYPE), "a header of 1099511627776 bytes"),
        ((-512, "a.bvh"), "a negative size"),
        ((-1024, "pax", tarfile.XHDTYPE), "a header of -1024 bytes"),
    ],
)
def test_claims_are_judged_before_anything_is_unpacked(
    tmp_path, monkeypatch, packed, claim, message
) -> None:
    """Nothing of what a header claims is read, whatever it says and however it is packed."""
    archive = tmp_path / "big.tar"
    archive.write_bytes(packed(_claims(*claim) + bytes(1 << 16)))
    inner = archives._unpacked
    monkeypatch.setattr(archives, "_unpacked", lambda stream: _Counted(inner(stream).read()))
    monkeypatch.setattr(_Counted, "unpacked", 0)
    with pytest.raises(RequestError, match=message):
        unpack(archive, ".bvh", tmp_path / "cache")
    assert _Counted.unpacked <= 2 * tarfile.BLOCKSIZE
    assert not (tmp_path / "cache").exists()


def test_one_file_has_the_limit_of_a_text(tmp_path: Path, monkeypatch) -> None:
    archive = _archive(tmp_path / "big.tar.xz", "a.bvh")
    monkeypatch.setattr(archives, "TEXT_BYTES", len(CONTENT) - 1)
    with pytest.raises(RequestError, match=f"a.bvh of {len(CONTENT)} bytes, .* are the most"):
        unpack(archive, ".bvh", tmp_path / "cache")


@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_damage_anywhere_is_one_line(tmp_path: Path, packed) -> None:
    """Whatever a byte is turned into: the members as they were, or one line."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(*_member(f"{'deep/' * 40}a.bvh"))
        tar.addfile(*_member("\u00e9.bvh"))
    whole = packed(plain.getvalue())
    rng = random.Random(0)
    for number in range(60):
        broken = bytearray(whole)
        broken[rng.randrange(min(len(whole), 4096))] ^= 1 << rng.randrange(8)
        archive = tmp_path / f"{number}.tar"
        archive.write_bytes(broken)
        try:
            folder = unpack(archive, ".bvh", tmp_path / "cache")
        except LeadError as error:
            assert "\n" not in str(error) and str(archive) in str(error)
        else:
            assert folder.parent == tmp_path / "cache"


def test_archives_are_known_by_name(tmp_path: Path) -> None:
    for name in ("a.tar.xz", "a.tgz", "a.bvh", "tar.xz.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_archive(path)] == [
        "a.tar.xz",
        "a.tgz",
    ]
