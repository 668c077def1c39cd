"""The files of a kind below a folder, and whatever there cannot be looked at."""

import os
from collections.abc import Iterator
from pathlib import Path

from lead.core.errors import RequestError, plain
from lead.data.limits import FILES_MOST


def find_files(folder: Path | str, *suffixes: str) -> dict[Path, str]:
    """Every file below ``folder`` with one of these endings, sorted: path -> problem, or "".

    Case does not matter. Hidden files are passed over, links to folders are not followed. A folder
    in it that cannot be looked into stands among them, with that as its problem. Raises
    RequestError where ``folder`` is none, is closed itself or holds more than FILES_MOST.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RequestError(f"source={folder} is not a folder: give the folder of the collection")
    found = {}
    for path, problem in _walk(folder, tuple(map(str.lower, suffixes))):
        if path == folder:
            raise RequestError(f"source={folder} {problem}")
        found[path] = problem
        if len(found) > FILES_MOST:
            kinds = " and ".join(suffixes)
            raise RequestError(
                f"source={folder} holds more than {FILES_MOST} {kinds} files, which are the most: "
                "divide it"
            )
    return dict(sorted(found.items()))


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    closed: list[OSError] = []
    for place, _, names in os.walk(folder, onerror=closed.append):
        while closed:
            yield _closed(closed.pop())
        for name in names:
            if name.lower().endswith(suffixes) and not name.startswith("."):
                path = Path(place, name)
                utf8 = plain(path) == str(path)
                yield path, "" if utf8 else "its name is not UTF-8: rename it"
    yield from map(_closed, closed)


def _closed(error: OSError) -> tuple[Path, str]:
    return Path(error.filename), f"cannot be looked into ({error.strerror}): change its rights"
