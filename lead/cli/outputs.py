"""Where a verb may write, asked before any work is done."""

import os
import stat
from pathlib import Path

from lead.core.errors import RequestError
from lead.core.files import check_writable

NAME_BYTES = 200  # of a file to write: while it is written it has a longer one


def check_output(folder: Path, mark: str, *, overwrite: bool) -> None:
    """RequestError unless ``folder`` can be made, or replaced where ``overwrite`` is true.

    Only a folder that holds the file ``mark``, which lead writes, is ever replaced.
    """
    check_place(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise RequestError(f"{folder} exists: name another output=DIR, or say overwrite=true")
    if not (folder / mark).is_file():
        raise RequestError(
            f"{folder} was not made by lead (it has no {mark}) and is not replaced: "
            "name another output=DIR, or remove it yourself"
        )
    if Path(os.path.realpath(folder)) in (Path.cwd(), *Path.cwd().parents):
        raise RequestError(f"{folder} holds the folder you are in: name another output=DIR")


def check_output_file(file: Path) -> None:
    """RequestError unless ``file`` can be written: only a regular file is ever replaced."""
    mode = _mode(file)
    if mode and stat.S_ISDIR(mode):
        raise RequestError(f"{file} is a folder: name a file, output=FILE")
    if mode and not stat.S_ISREG(mode):
        raise RequestError(f"{file} is no regular file and is not replaced: name another, output=")
    check_writable(file.parent)


def check_place(folder: Path) -> None:
    """RequestError unless a folder is there, or can be made there."""
    _mode(folder)
    check_writable(folder)


def _mode(path: Path) -> int | None:
    """What stands at ``path``, None for nothing; RequestError where nothing can."""
    try:
        if (size := len(os.fsencode(path.name))) > NAME_BYTES:
            raise RequestError(f"{path} is a name of {size} bytes, {NAME_BYTES} are the most")
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a loop of links, a path that is too long
        raise RequestError(f"{path} cannot be used ({error.strerror}): name another") from error
