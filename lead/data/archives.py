"""Files out of tar archives from elsewhere: only the wanted ones, under their bare names."""

import atexit
import bz2
import functools
import gzip
import lzma
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from io import IOBase
from pathlib import Path

from tqdm import tqdm

from lead.core.claims import scratch_folder
from lead.core.errors import LeadError, RequestError, WorkError
from lead.core.files import atomic_folder, content_hash
from lead.core.reading import TEXT_BYTES, check_regular
from lead.data.limits import MEMBERS_MOST, RATIO_MOST, READ_MOST, SMALL, UNPACKED_MOST

ARCHIVE_SUFFIXES = (".tar.xz", ".tar.gz", ".tar.bz2", ".tar", ".txz", ".tgz")
_PACKERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}  # by first bytes


def is_archive(path: Path) -> bool:
    """Whether the name is one of a tar archive."""
    return path.is_file() and path.name.endswith(ARCHIVE_SUFFIXES)


def unpack(archive: Path, suffix: str | tuple[str, ...], cache: Path | None = None) -> Path:
    """Unpack the files of an archive whose names end in ``suffix`` into one flat folder, once.

    With ``cache`` the folder stays there for later runs; without, it is temporary and goes when
    this process ends. Links, devices and folders in the archive are passed over, and no path of
    the archive is followed. Raises RequestError where the archive is broken, holds no such file,
    the same name twice, or more than the limits, which are judged by the headers of its members
    before they are unpacked; nothing is left behind then.
    """
    check_regular(archive)
    root = _temporary_root() if cache is None else cache
    target = root / f"{archive.name.partition('.')[0]}-{_archive_key(archive)}"
    if not target.is_dir():
        with atomic_folder(target) as folder:
            _extract(archive, suffix, folder)
    return target


@functools.cache
def _temporary_root() -> Path:
    held = ExitStack()
    atexit.register(held.close)
    return held.enter_context(scratch_folder("archives"))


def _archive_key(archive: Path) -> str:
    """Changes when the archive is moved, replaced or written again."""
    state = archive.stat()
    return content_hash(str(archive.resolve()), str((state.st_size, state.st_mtime_ns)))[:12]


def _extract(archive: Path, suffix: str | tuple[str, ...], folder: Path) -> None:
    files = 0
    try:
        for tar, member in _members(archive):
            name = Path(member.name).name
            if member.isreg() and name.endswith(suffix) and not name.startswith("."):
                files += 1
                _copy(archive, tar, member, folder / name)
    except OSError as error:
        if error.errno is None:  # a decompressor's
            raise _broken(archive, error) from error
        reason = error.strerror or error
        raise WorkError(f"{archive} cannot be unpacked into {folder.parent} ({reason})") from error
    except LeadError:
        raise
    except Exception as error:  # tarfile and the decompressors each fail in their own ways
        raise _broken(archive, error) from error
    if not files:
        kinds = suffix if isinstance(suffix, str) else ", ".join(suffix)
        raise RequestError(f"{archive} holds no {kinds} file: is it the right archive?")


def _broken(archive: Path, error: Exception) -> RequestError:
    reason = str(error).partition(":")[0] or type(error).__name__
    return RequestError(f"{archive} is truncated or no tar archive ({reason}): fetch it again")


def _members(archive: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Every member, once the archive has been found small enough up to its end."""
    size = archive.stat().st_size
    most = min(UNPACKED_MOST, SMALL + RATIO_MOST * size)
    total = 0
    with (
        archive.open("rb") as packed,
        tqdm(total=size, desc=archive.name, unit="B", unit_scale=True, disable=None) as progress,
        _unpacked(packed) as stream,
        tarfile.open(fileobj=_InPortions(archive, stream), mode="r:") as tar,
    ):
        for count, member in enumerate(tar, start=1):
            progress.update(packed.tell() - progress.n)
            total += member.size
            if member.size < 0:
                raise ValueError("a negative size")
            if count > MEMBERS_MOST or total > most:
                limits = f"{most} in {MEMBERS_MOST} are the most"
                raise RequestError(
                    f"{archive} unpacks to {total} bytes in {count} members, {limits}"
                )
            yield tar, member


def _unpacked(packed: IOBase) -> IOBase:
    head = packed.read(max(map(len, _PACKERS)))
    packed.seek(0)
    for magic, open_packed in _PACKERS.items():
        if head.startswith(magic):
            return open_packed(packed)
    return packed


class _InPortions:
    """A stream that is read in small portions only: headers may claim any length."""

    def __init__(self, archive: Path, stream: IOBase):
        self.archive, self.stream = archive, stream
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int) -> bytes:
        if not 0 <= size <= READ_MOST:
            reason = f"has a header of {size} bytes, {READ_MOST} are the most"
            raise RequestError(f"{self.archive} {reason}")
        return self.stream.read(size)


def _copy(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write one member; its path, owner, rights and time in the archive play no role."""
    if member.size > TEXT_BYTES:
        raise RequestError(
            f"{archive} holds {target.name:.100} of {member.size} bytes, {TEXT_BYTES} are the most"
        )
    if target.exists():
        raise RequestError(f"{archive} holds {target.name} twice: unpack it by hand")
    with target.open("wb") as output:
        shutil.copyfileobj(tar.extractfile(member), output, READ_MOST)
    if target.stat().st_size != member.size:
        raise EOFError(f"{target.name} is cut off")
