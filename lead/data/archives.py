"""Files out of tar archives from elsewhere: only the wanted ones, under their bare names."""

import atexit
import functools
import lzma
import shutil
import tarfile
import zlib
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from lead.core.claims import scratch_folder
from lead.core.errors import RequestError, WorkError
from lead.core.files import atomic_folder, content_hash

ARCHIVE_SUFFIXES = (".tar.xz", ".tar.gz", ".tar.bz2", ".tar", ".txz", ".tgz")
_MAX_BYTES = 4 << 30
_MAX_FILES = 50_000
_BLOCK = 1 << 20
_BROKEN = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError)


def is_archive(path: Path) -> bool:
    """Whether the name is one of a tar archive."""
    return path.is_file() and path.name.endswith(ARCHIVE_SUFFIXES)


def unpack(
    archive: Path,
    suffix: str,
    cache: Path | None = None,
    *,
    max_bytes: int = _MAX_BYTES,
    max_files: int = _MAX_FILES,
) -> Path:
    """Unpack the files of an archive whose names end in ``suffix`` into one flat folder, once.

    With ``cache`` the folder stays there for later runs; without, it is temporary and goes when
    this process ends. Links, devices and folders in the archive are passed over, and no path of
    the archive is followed. Raises RequestError where the archive is broken, holds no such file,
    the same name twice, or more than the limits; nothing is left behind then.
    """
    root = _temporary_root() if cache is None else cache
    target = root / f"{archive.name.partition('.')[0]}-{_archive_key(archive)}"
    if not target.is_dir():
        with atomic_folder(target) as folder:
            _extract(archive, suffix, folder, max_bytes, max_files)
    return target


@functools.cache
def _temporary_root() -> Path:
    held = ExitStack()
    atexit.register(held.close)
    return held.enter_context(scratch_folder("archives"))


def _archive_key(archive: Path) -> str:
    """Changes when the archive is moved, replaced or written again."""
    try:
        state = archive.stat()
    except OSError as error:
        raise RequestError(f"{archive} cannot be read ({error.strerror}): check source=") from error
    return content_hash(str(archive.resolve()), str((state.st_size, state.st_mtime_ns)))[:12]


def _extract(archive: Path, suffix: str, folder: Path, max_bytes: int, max_files: int) -> None:
    try:
        with (
            archive.open("rb") as stream,
            _progress(archive) as progress,
            tarfile.open(fileobj=stream, mode="r:*") as tar,
        ):
            files = total = 0
            for member in tar:
                progress.update(stream.tell() - progress.n)
                name = Path(member.name).name
                total += member.size
                if member.isreg() and name.endswith(suffix) and not name.startswith("."):
                    files += 1
                    _check_limits(archive, files, total, max_bytes, max_files)
                    _copy(archive, tar, member, folder / name)
    except _BROKEN as error:
        reason = str(error).partition(":")[0]
        raise RequestError(
            f"{archive} is truncated or no tar archive ({reason}): fetch it again"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise WorkError(f"{archive} cannot be unpacked into {folder.parent} ({reason})") from error
    if not files:
        raise RequestError(f"{archive} holds no {suffix} file: is it the right archive?")


def _progress(archive: Path) -> tqdm:
    return tqdm(
        total=archive.stat().st_size,
        desc=f"unpack {archive.name}",
        unit="B",
        unit_scale=True,
        disable=None,
    )


def _check_limits(archive: Path, files: int, total: int, max_bytes: int, max_files: int) -> None:
    if files > max_files:
        raise RequestError(f"{archive} holds more than {max_files} files: not unpacked")
    if total > max_bytes:
        raise RequestError(f"{archive} unpacks to more than {max_bytes} bytes: not unpacked")


def _copy(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write one member; its path, owner, rights and time in the archive play no role."""
    if target.exists():
        raise RequestError(f"{archive} holds {target.name} twice: unpack it by hand")
    with target.open("wb") as output:
        shutil.copyfileobj(tar.extractfile(member), output, _BLOCK)
    if target.stat().st_size != member.size:
        raise EOFError(f"{target.name} is cut off")
