"""What generate and evaluate share: from option values to loaded parts."""

from pathlib import Path

from lead.core.errors import RequestError


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


def make_sampling(config: dict):
    """The sampling settings."""
    from lead.generation import Sampling

    values = dict(config["sampling"])
    if values["timesteps"] is not None:
        given = values["timesteps"]
        if not isinstance(given, list) or not all(type(value) is int for value in given):
            raise RequestError(
                f"sampling.timesteps takes a list of whole numbers, such as [799], got {given!r}"
            )
        values["timesteps"] = tuple(given)
    return Sampling(**values)


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
