"""Where a picture or a motion is written: whole or not at all, with one clear line on failure."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lead.core.errors import RequestError, WorkError
from lead.core.files import atomic_path


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """A temporary path that becomes ``path`` on success and leaves nothing behind on failure.

    Raises RequestError where ``path`` is a folder, WorkError where the disk refuses.
    """
    path = Path(path)
    if path.is_dir():
        raise RequestError(f"{path} is a folder: give the name of a file")
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except OSError as error:
        raise WorkError(f"cannot write {path} ({error.strerror or error})") from error
