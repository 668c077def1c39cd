"""A run that starts from nothing: what stood there before goes once there is a first result.

Until then it lies in the hidden folder ``BEFORE`` of the run, and comes back where the training is
refused, fails or is killed.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from lead.core.reading import read_json
from lead.core.runs import RUN_FILES, Run

BEFORE, MOVING = ".lead-before", ".lead-before-moving"


@contextmanager
def started_anew(run: Run) -> Iterator[None]:
    """Begin with nothing of a run's own in its folder, and end with its files of before or of now.

    Other files in the folder stay where they are.
    """
    _move(_own(run.folder), run.folder / MOVING)
    (run.folder / MOVING).rename(run.folder / BEFORE)
    try:
        yield
    finally:
        settle(run)


def settle(run: Run) -> None:
    """Decide between before and now, also after a kill at any moment; half-written files go.

    ``MOVING`` holds files on their way to ``BEFORE`` or back: nothing of now is beside them.
    """
    run.clear_leftovers()
    before, moving = run.folder / BEFORE, run.folder / MOVING
    if before.is_dir():
        if has_result(run):
            shutil.rmtree(before)
        else:
            _remove(_own(run.folder))
            before.rename(moving)
    if moving.is_dir():
        _move(list(moving.iterdir()), run.folder)
        moving.rmdir()


def has_result(run: Run) -> bool:
    """Whether a training has saved anything to go on from or to use."""
    return run.state_path.is_file() or (run.exists() and bool(read_json(run.file).get("best")))


def _own(folder: Path) -> list[Path]:
    return [
        path for path in folder.iterdir() if any(fnmatch(path.name, name) for name in RUN_FILES)
    ]


def _move(paths: list[Path], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in paths:
        path.rename(folder / path.name)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
