"""What the verbs share: from option values to loaded parts."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lead.cli.config import compose
from lead.cli.starter import with_default_run
from lead.core.errors import RequestError
from lead.core.run_record import check_length
from lead.core.runs import Run
from lead.core.schema import S, check

STARTED = ("generate", "demo")
"""Verbs that take the starter model where no run is named."""

SENTENCES = "ddim10_guidance5"  # as configs/caption.yaml has it
"""How sentences are drawn where no sampling is chosen, whatever the run draws motions by."""


def compose_for_run(verb: str, overrides: Sequence[str]) -> dict:
    """The options of a verb; where no sampling is chosen, the one that the run needs."""
    config = _with_run(verb, compose(verb, overrides))
    if verb == "caption":
        return config
    tells = config.get("task") == "caption"
    own = SENTENCES if tells else _own_sampling(config["diffusion"] or config["run"])
    if own is None or any(word.startswith("sampling=") for word in overrides):
        return config
    return _with_run(verb, compose(verb, [*overrides, f"sampling={own}"]))


def check_lengths(config: Mapping[str, Any], prompts: Sequence[tuple[str, float]]) -> None:
    """RequestError for clips that a run cannot make, before anything large of it is read."""
    facts = Run(config["diffusion"] or config["run"]).record.dataset
    for text, length in prompts:
        of = f"'{text[:60]}': " if len(prompts) > 1 else ""
        check_length(round(length * facts.fps), facts.frames, facts.fps, of)


def request(schema: type[S], config: Mapping[str, Any], **more: object) -> S:
    """The options that a schema knows by name, and ``more``, as what the rooms below take."""
    known = {name: config[name] for name in schema.model_fields if name in config}
    return check(schema, {**known, **more}, "options", "see --help", error=RequestError)


def _own_sampling(folder: str | None) -> str | None:
    """What the run was made for, else what the denoiser was that it stands on."""
    run = Run(Path(folder or ""))
    if not run.exists():
        return None
    own = run.record.sampling
    if own is not None or "denoiser" in run.record.parts or not run.has_ancestor("diffusion"):
        return own
    return run.ancestor("diffusion").record.sampling


def _with_run(verb: str, config: dict) -> dict:
    return with_default_run(config) if verb in STARTED else config


def check_processes(key: str, count: int | str) -> None:
    """RequestError where a machine is asked for more processes than it has cores, two at least."""
    cores = os.cpu_count() or 1
    if count != "auto" and count > max(2, cores):
        raise RequestError(f"{key}={count}, but there are {cores} cores: take one process a core")
