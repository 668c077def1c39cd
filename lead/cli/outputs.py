"""Where a verb may write, asked before any work is done."""

from pathlib import Path

from lead.core.errors import RequestError
from lead.core.files import check_writable


def check_output(folder: Path, mark: str, *, overwrite: bool) -> None:
    """RequestError unless ``folder`` can be made, or replaced where ``overwrite`` is true.

    Only a folder that holds the file ``mark``, which lead writes, is ever replaced.
    """
    check_writable(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise RequestError(f"{folder} exists: name another output=DIR, or say overwrite=true")
    if not (folder / mark).is_file():
        raise RequestError(
            f"{folder} was not made by lead (it has no {mark}) and is not replaced: "
            "name another output=DIR, or remove it yourself"
        )
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise RequestError(f"{folder} holds the folder you are in: name another output=DIR")


def check_output_file(file: Path) -> None:
    """RequestError unless ``file`` can be written."""
    if file.is_dir():
        raise RequestError(f"{file} is a folder: name a file, output=FILE")
    check_writable(file.parent)
