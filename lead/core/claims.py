"""One process writes at one place at a time, and what a killed one left there goes.

Who makes ``PATH`` holds a lock beside it, ``.PATH.lead-lock``; what is half done is called
``.PATH.lead-newN``, what it is to replace ``.PATH.lead-old``. The system drops a lock when its
process ends, however it ends: what lies there unlocked belongs to nobody any more. Where files have
no locks (some network disks) nobody is refused, and nothing is cleared.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from lead.core.errors import LeadError, RequestError, WorkError

LONGEST = 180  # bytes of a name that stays whole in the names beside it; systems take 255
_MARK = ".lead-"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE)

_holders: dict[str, int] = {}  # lock file -> thread that holds it
_descriptors: set[int] = set()  # of locks that this process holds


def real_place(path: Path | str, *, folder: bool = False) -> Path:
    """Where a file (or folder) that is called ``path`` is to be written: links are followed.

    Raises RequestError where anything else stands there: a device, a FIFO, a link to nowhere, a
    folder where a file is wanted. Only regular files and folders are ever replaced.
    """
    place = path = Path(path)
    try:
        if path.is_symlink() or path.name in ("", ".."):
            place = Path(os.path.realpath(path))
        mode = place.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise RequestError(
                f"{path} is a link to {place}, which is missing: remove the link, or name another"
            ) from None
        return place
    except (OSError, ValueError) as error:  # a loop of links above it, a name that is too long
        reason = getattr(error, "strerror", None) or error
        raise RequestError(f"cannot write {path} ({reason}): name another") from error
    if stat.S_ISDIR(mode) and not folder:
        raise RequestError(f"{path} is a folder, a file is to be written there: name another")
    if stat.S_ISREG(mode) and folder:
        raise RequestError(f"{path} is a file, a folder is to be made there: name another")
    if folder and os.path.ismount(place):
        raise RequestError(f"{path} is the root of a disk, which cannot be replaced: name a folder")
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise RequestError(f"{path} is {kind}, which is never replaced: name another")
    return place


_KINDS = {
    stat.S_IFLNK: "a link in a loop",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


def cannot_write(place: Path | str, error: OSError) -> LeadError:
    """What to say where the system refuses to write: WorkError of a disk, else RequestError."""
    kind = WorkError if error.errno in (*_DISK, None) else RequestError
    reason = error.strerror or str(error)
    return kind(f"cannot write {place} ({reason}): check its rights and the space on the disk")


@contextmanager
def sole_writer(place: Path) -> Iterator[None]:
    """Be the only one who writes at ``place``, whose folder is there; a thread may ask again.

    What a killed process left beside it goes first, and what such a one had moved away comes back.
    Raises RequestError where another process, or thread, writes there.
    """
    lock = beside(place, "lock")
    key = os.path.realpath(lock)
    if _holders.get(key) == threading.get_ident():
        yield
        return
    process, (descriptor, locked) = os.getpid(), _take(lock, place)
    _holders[key] = threading.get_ident()
    try:
        if locked:
            _clear(place)
        yield
    finally:
        if os.getpid() == process:
            del _holders[key]
            _release(lock, descriptor)


@contextmanager
def temporary_file(place: Path) -> Iterator[Path]:
    """A new empty file beside ``place``, with its ending, that is gone afterwards.

    Libraries choose a format by the ending. It may be renamed. While it is written it is locked.
    """
    process, (path, descriptor) = os.getpid(), _new_file(place)
    try:
        yield path
    finally:
        if os.getpid() == process:
            _release(path, descriptor)


def _new_file(place: Path) -> tuple[Path, int]:
    number = 0
    while True:
        path = beside(place, f"new{number}", ending=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += not _remove_if_left(path)
            continue
        except OSError as error:
            raise cannot_write(place, error) from error
        if _lock(descriptor) is not False and _stands_at(path, descriptor):
            _descriptors.add(descriptor)
            return path, descriptor
        os.close(descriptor)


def temporary_folder(place: Path) -> Path:
    """A new empty folder beside ``place``, for its sole writer, who renames or removes it."""
    for number in count():
        path = beside(place, f"new{number}")
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(place, error) from error
        return path
    raise AssertionError


def replace_folder(new: Path, place: Path) -> None:
    """Rename a folder to ``place``, for its sole writer; what was there goes when the new stands.

    Killed at any moment, one of the two stands at ``place`` as soon as the next one writes there.
    """
    if not place.exists():
        new.replace(place)
        return
    old = beside(place, "old")
    place.replace(old)
    try:
        new.replace(place)
    except OSError:
        old.replace(place)
        raise
    old.replace(new)  # the name of something that nobody needs
    shutil.rmtree(new)


@contextmanager
def scratch_folder(kind: str) -> Iterator[Path]:
    """A new folder among the system's temporary files, which goes at the end.

    Those of the same kind that killed processes left go first.
    """
    name = f"lead-{kind}-"
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{name}*"):
        with suppress(LeadError), sole_writer(left):
            shutil.rmtree(left, ignore_errors=True)
    process, place = os.getpid(), root / f"{name}{secrets.token_hex(4)}"
    with sole_writer(place):
        place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            if os.getpid() == process:
                shutil.rmtree(place, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of the files of a folder."""
    for path in folder.glob(f".*{_MARK}*"):
        _remove_if_left(path)


def beside(place: Path, kind: str, *, ending: bool = False) -> Path:
    """The name beside ``place`` of its lock, of what is half done, or of what is replaced."""
    name = place.name
    raw = os.fsencode(name)
    if len(raw) > LONGEST:
        name = raw[: LONGEST - 20].decode(errors="ignore") + hashlib.sha256(raw).hexdigest()[:12]
    suffix = place.suffix if ending and len(place.suffix) <= len(".safetensors") else ""
    return place.with_name(f".{name}{_MARK}{kind}{suffix}")


def _clear(place: Path) -> None:
    """Put back what was moved away and not replaced; remove what is half done."""
    old = beside(place, "old")
    if old.is_dir() and not os.path.lexists(place):
        old.rename(place)
    left = re.compile(re.escape(beside(place, "").name) + r"(old|new\d+(\.\w+)?)")
    for path in [path for path in place.parent.iterdir() if left.fullmatch(path.name)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            _remove_if_left(path)


def _remove_if_left(path: Path) -> bool:
    """Remove a temporary file that nobody holds any more; whether there is none now."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    left = _lock(descriptor) is True and _stands_at(path, descriptor)
    if left:
        path.unlink(missing_ok=True)
    os.close(descriptor)
    return left


def _take(lock: Path, place: Path) -> tuple[int, bool]:
    """Open and lock a lock file; False where there are no locks."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise cannot_write(place, error) from error
        locked = _lock(descriptor)
        if locked is False:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace")
            os.close(descriptor)
            raise RequestError(
                f"another command writes {place} now (process {holder or 'unknown'}): wait until "
                "it has ended, or name another output"
            )
        if locked is None or _stands_at(lock, descriptor):
            break
        os.close(descriptor)  # its holder ended and removed it
    _descriptors.add(descriptor)
    with suppress(OSError):  # a full disk: the number is a courtesy
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor, locked is True


def _release(path: Path, descriptor: int) -> None:
    """Remove a file that this process holds, if it still has that name, and let go of it."""
    if _stands_at(path, descriptor):
        path.unlink(missing_ok=True)
    _descriptors.discard(descriptor)
    os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Whether this process holds the lock now; None where files have no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _stands_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False


def _forget() -> None:
    """A copy of the process holds nothing, and keeps no lock alive."""
    while _descriptors:
        os.close(_descriptors.pop())
    _holders.clear()


os.register_at_fork(after_in_child=_forget)
