"""What the verbs share: from option values to loaded parts."""

import os
from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose
from lead.cli.starter import with_default_run
from lead.core.errors import RequestError

STARTED = ("generate", "demo")
"""Verbs that take the starter model where no run is named."""


def compose_for_run(verb: str, overrides: Sequence[str]) -> dict:
    """The options of a verb; where no sampling is chosen, the one that the run's denoiser needs."""
    config = _with_run(verb, compose(verb, overrides))
    own = _own_sampling(config["diffusion"] or config["run"])
    if own is None or any(word.startswith("sampling=") for word in overrides):
        return config
    return _with_run(verb, compose(verb, [*overrides, f"sampling={own}"]))


def _with_run(verb: str, config: dict) -> dict:
    return with_default_run(config) if verb in STARTED else config


def _own_sampling(folder: str | None) -> str | None:
    from lead.core.runs import Run

    run = Run(Path(folder or ""))
    if not run.exists():
        return None
    if "denoiser" not in run.record.parts and not run.has_ancestor("diffusion"):
        return None
    return run.holding("denoiser", "diffusion").record.sampling


def load_text_to_motion(config: dict):
    """The pipeline that run=, projector= and diffusion= name."""
    if config["run"] is None:
        raise RequestError("no run given: say run=RUN, a run that `lead train` made")
    from lead.core.runs import Run
    from lead.generation import load_pipeline

    named = {
        key: Run(Path(config[key])) if config[key] else None for key in ("projector", "diffusion")
    }
    return load_pipeline(
        Run(Path(config["run"])),
        projector_run=named["projector"],
        diffusion_run=named["diffusion"],
    )


def load_for_inference(config: dict):
    """The same pipeline on device=, prepared in precision=, which is filled in, and compiled=."""
    from lead.core.precision import resolve_precision

    device = choose_device(config["device"])
    config["precision"] = resolve_precision(config["precision"], device)
    pipeline = load_text_to_motion(config).to(device)
    return pipeline.prepared(config["precision"], config["compiled"])


def make_text_encoder(description):
    """A frozen text encoder as a run describes it, for a judge that reads whole sentences."""
    from lead.core.building import build

    return build("text_encoder", description, "text_encoder")


def make_sampling(config: dict, pipeline=None):
    """The sampling settings; RequestError where the pipeline, if one is given, cannot use them."""
    from lead.generation import Sampling

    values = config["sampling"]
    timesteps = None if values["timesteps"] is None else tuple(values["timesteps"])
    sampling = Sampling(**{**values, "timesteps": timesteps})
    if pipeline is not None:
        pipeline.check_sampling(sampling)
    return sampling


def split_list(value: str | None) -> list[str]:
    """The entries of ``A``, ``A,B`` or ``[A,B]``; a name with a comma that exists stays whole."""
    if value is None:
        return []
    if os.path.lexists(value):  # False for a list that is too long for a name
        return [value]
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    names = [entry.strip() for entry in inner.split(",") if entry.strip()]
    return [str(Path(name).expanduser()) if name.startswith("~/") else name for name in names]


def check_processes(key: str, count: int | str) -> None:
    """RequestError where a machine is asked for more processes than it has cores, two at least."""
    cores = os.cpu_count() or 1
    if count != "auto" and count > max(2, cores):
        raise RequestError(f"{key}={count}, but there are {cores} cores: take one process a core")


def with_words(pipeline, words: list):
    """The pipeline with learned words, checked against its text encoder and one another."""
    vectors: dict = {}
    for word in words:
        word.check_encoder(pipeline.text_encoder)
        if word.word in vectors:
            raise RequestError(f"two of the word files teach {word.word}: give one of them")
        vectors[word.word] = word.vector
    return pipeline.with_words(vectors)


def choose_device(name: str):
    """A torch device from auto, cpu, cuda, cuda:1 or mps; RequestError where it is not there."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RequestError(f"unknown device '{name}': auto, cpu, cuda or mps") from error
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if device.type not in there:
        raise RequestError(f"device={name} is not supported: auto, cpu, cuda or mps")
    if (device.index or 0) >= there[device.type]:
        seen = f"torch sees {there[device.type]} devices of this type"
        raise RequestError(f"device={name}, but {seen}: say device=cpu")
    return device
