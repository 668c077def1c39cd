"""What generate and evaluate share: from option values to loaded parts."""

from pathlib import Path

from lead.core.errors import RequestError


def load_text_to_motion(config: dict):
    """The pipeline that run=, projector= and diffusion= name."""
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
    """The sampling settings, checked for unknown keys by Hydra already."""
    from lead.generation import Sampling

    values = dict(config["sampling"])
    if values["timesteps"] is not None:
        values["timesteps"] = tuple(values["timesteps"])
    return Sampling(**values)


def choose_device(name: str):
    """A torch device from auto, cpu, cuda, cuda:1, mps."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RequestError(f"unknown device '{name}': auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RequestError(f"device={name}, but torch sees no CUDA device: device=cpu")
    return device
