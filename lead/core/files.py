"""Files are written whole or not at all, and known by their content."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from lead.core.errors import RequestError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the name ``path`` only on success."""
    path = Path(path)
    if path.is_dir():
        raise RequestError(f"{path} is a folder, a file is to be written there: give another name")
    with _parents_made(path):
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path | str, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``path`` on success and vanishes on failure.

    Raises RequestError where ``path`` is a file, or holds something and ``replace`` is false.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise RequestError(f"{path} is a file, a folder is to be made there: give another name")
    if path.exists() and not replace and any(path.iterdir()):
        raise RequestError(f"{path} exists already: give another name, or overwrite=true")
    with _parents_made(path):
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            _take_place(temporary, path)
        finally:
            if temporary.exists():
                shutil.rmtree(temporary)


def _take_place(temporary: Path, path: Path) -> None:
    """Rename a folder to ``path``; what was there goes only when the new one stands."""
    if not path.exists():
        temporary.replace(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    path.replace(old / "old")
    try:
        temporary.replace(path)
    except OSError:
        (old / "old").replace(path)
        old.rmdir()
        raise
    shutil.rmtree(old)


@contextmanager
def _parents_made(path: Path) -> Iterator[None]:
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
        where = "there" if existing == path else f"at {path}"
        raise RequestError(f"{existing} is a file, no folder can be made {where}: name another")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RequestError(f"cannot write into {existing}: name another or change its rights")


def make_folder(path: Path | str) -> Path:
    """Create a folder and its parents; a folder that cannot be written is a RequestError."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(f"cannot create the folder {path} ({reason}): choose another") from error
    if not os.access(path, os.W_OK):
        raise RequestError(f"cannot write into {path}: choose another folder or change its rights")
    return path


def write_json(path: Path | str, value: object) -> None:
    """Write JSON atomically, readable by people (indented, sorted as given)."""
    with atomic_path(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def write_tensors(path: Path | str, tensors: Mapping, metadata: Mapping[str, str] | None = None):
    """Write tensors as safetensors, atomically."""
    from safetensors.torch import save_file

    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(whole, temporary, dict(metadata or {}))


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
