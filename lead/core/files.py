"""Files are written whole or not at all, and known by their content."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lead.core.claims import (
    cannot_write,
    real_place,
    replace_folder,
    sole_writer,
    temporary_file,
    temporary_folder,
)
from lead.core.errors import LeadError, RequestError, plain


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the name ``path`` only on success.

    Links are followed: the file that they name is replaced. Raises RequestError where something
    else than a regular file stands there, WorkError where the disk refuses.
    """
    place = real_place(path)
    with parents_made(place), temporary_file(place) as temporary, disk_told(path, temporary):
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(place)


@contextmanager
def atomic_folder(path: Path | str, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``path`` on success and vanishes on failure.

    Raises RequestError where ``path`` is a file, holds something and ``replace`` is false, or where
    another process makes it; WorkError where the disk refuses.
    """
    place = real_place(path, folder=True)
    with claimed(path, folder=True):
        replace = replace and _holds_something(place)  # and nothing that appears meanwhile
        _check_free(place, path, replace)
        temporary = temporary_folder(place)
        try:
            with disk_told(path, temporary):
                yield temporary
                temporary.chmod(0o755)
                _check_free(place, path, replace)
                replace_folder(temporary, place)
        finally:
            if temporary.exists():
                shutil.rmtree(temporary)


def _holds_something(place: Path) -> bool:
    return place.is_dir() and any(place.iterdir())


def _check_free(place: Path, path: Path | str, replace: bool) -> None:
    if not replace and _holds_something(place):
        raise RequestError(f"{path} exists already: give another name, or overwrite=true")


@contextmanager
def claimed(*paths: Path | str, folder: bool = False) -> Iterator[None]:
    """Be the only one who writes these files (or folders) for as long as this lasts.

    What killed processes left beside them goes; folders above them that were missing are made, and
    go again on failure. Raises RequestError where another process writes one of them, or where
    something else stands there.
    """
    with ExitStack() as stack:
        for place in [real_place(path, folder=folder) for path in paths]:
            stack.enter_context(parents_made(place))
            stack.enter_context(sole_writer(place))
        yield


@contextmanager
def disk_told(path: Path | str, temporary: Path | str) -> Iterator[None]:
    """Make one line of what a full disk, or one that fails, has a writer of ``path`` raise.

    Libraries wrap the system's error in their own. Errors that name another file pass.
    """
    try:
        yield
    except ConnectionError:  # of a pipe that nobody reads any more
        raise
    except LeadError as error:  # of a file in a folder that is not in its place yet
        if str(temporary) not in str(error):
            raise
        raise type(error)(str(error).replace(str(temporary), str(path))) from error
    except Exception as error:
        found: BaseException | None = error
        while found is not None and not isinstance(found, OSError):
            found = found.__cause__ or found.__context__
        if found is None or not str(found.filename or temporary).startswith(str(temporary)):
            raise
        raise cannot_write(path, found) from error


@contextmanager
def parents_made(path: Path) -> Iterator[None]:
    """Make the folders above ``path``; those that were missing go again on failure."""
    missing = [parent for parent in path.parents if not parent.exists()]
    make_folder(path.parent)
    try:
        yield
    except BaseException:
        for parent in missing:
            with suppress(OSError):  # another process may have put something there
                parent.rmdir()
        raise


def check_writable(path: Path | str) -> None:
    """Raise RequestError where no folder can be made at ``path``; makes nothing."""
    path = Path(path)
    existing = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    if not existing.is_dir():
        kind = "a link to nowhere" if existing.is_symlink() else "a file"
        where = "there" if existing == path else f"at {path}"
        raise RequestError(f"{existing} is {kind}, no folder can be made {where}: name another")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RequestError(f"cannot write into {existing}: name another or change its rights")


def make_folder(path: Path | str) -> Path:
    """Create a folder and its parents; a folder that cannot be written is a RequestError."""
    path = Path(path)
    check_writable(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def to_json(value: object, indent: int | None = None) -> str:
    """JSON that every file can hold: bytes of names that are no UTF-8 stand as escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return re.sub(r"[\ud800-\udfff]", lambda half: rf"\\u{ord(half[0]):04x}", text)


def write_json(path: Path | str, value: object) -> None:
    """Write JSON atomically, readable by people (indented, sorted as given)."""
    with atomic_path(path) as temporary:
        temporary.write_text(to_json(value, indent=2) + "\n", encoding="utf-8")


def write_tensors(path: Path | str, tensors: Mapping, metadata: Mapping[str, str] | None = None):
    """Write tensors as safetensors, atomically."""
    from safetensors.torch import save

    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:  # save_file would make a temporary file of its own
        temporary.write_bytes(save(whole, dict(metadata or {})))


def content_hash(*parts: bytes | str | Path) -> str:
    """SHA-256 (hex) over byte strings, texts and the contents of files, in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        else:
            digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\x00")
    return digest.hexdigest()


def check_png(key: str, path: Path | str) -> Path:
    """The path of a picture that the option ``key`` names; RequestError where it is no PNG."""
    if Path(path).suffix.lower() != ".png":
        raise RequestError(f"{key}={path} is drawn as PNG: name it FILE.png")
    return Path(path)


def last_name(path: Path | str) -> str:
    """The last part of a path, of ``.`` and ``..`` too; a loop of links keeps its own."""
    return plain(Path(os.path.realpath(path)).name)


def split_list(value: str | None) -> list[str]:
    """The entries of ``A``, ``A,B`` or ``[A,B]``; a name with a comma that exists stays whole."""
    if value is None:
        return []
    if os.path.lexists(value):  # False for a list that is too long for a name
        return [value]
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    names = [entry.strip() for entry in inner.split(",") if entry.strip()]
    return [str(Path(name).expanduser()) if name.startswith("~/") else name for name in names]
