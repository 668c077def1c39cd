"""The starter model: what verbs use where no run is named."""

import os
from pathlib import Path

from lead.cli.paths import config_folder
from lead.core.errors import RequestError

PLACE = Path("checkpoints/starter")
VARIABLE = "LEAD_STARTER"


def default_run() -> Path | None:
    """The folder of the starter model; None where there is none.

    ``$LEAD_STARTER`` decides where it is set. Else checkpoints/starter in the working directory,
    then in the checkout that this copy of lead belongs to; an installed wheel holds no models.
    Raises RequestError where the variable names no run.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not (Path(named).expanduser() / "run.json").is_file():
            raise RequestError(f"{VARIABLE}={named} is no run directory: mend or unset it")
        return Path(named).expanduser()
    for folder in (PLACE, config_folder().parent / PLACE):
        if (folder / "run.json").is_file():
            return folder
    return None


def with_default_run(config: dict) -> dict:
    """The options with the starter model as their run, where none of theirs names another.

    Raises RequestError, saying how to name a run, where there is no starter model either.
    """
    if any(config.get(key) is not None for key in ("run", "projector", "diffusion")):
        return config
    folder = default_run()
    if folder is None:
        raise RequestError(
            f"no run given and no starter model found ({PLACE} or ${VARIABLE}): say run=RUN, a run "
            "that `lead train` made"
        )
    return {**config, "run": str(folder)}
