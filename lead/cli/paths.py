"""Where the package keeps its own files, whatever the working directory is."""

from pathlib import Path

from lead.core.errors import WorkError

_PACKAGE = Path(__file__).resolve().parents[1]


def config_folder() -> Path:
    """The absolute folder of the YAML files: the installed copy, else the checkout's ``configs/``.

    An installed package carries its copy at ``lead/configs``; a checkout (and an editable install,
    which points at one) has none there and keeps them beside ``lead/``. Raises WorkError where
    neither exists.
    """
    for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        if folder.is_dir():
            return folder
    raise WorkError(f"no configs beside or inside {_PACKAGE}: install lead again")
