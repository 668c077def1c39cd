"""A stage-2 run as a checkpoint that MLD's code loads."""

import inspect
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.files import atomic_path
from lead.core.runs import Run
from lead.evaluation.extractor.official import load_official_extractor, weights_file
from lead.interop.checkpoint import SIZES
from lead.interop.names import DENOISER, EVALUATOR, VAE, published_shape, to_published
from lead.interop.runs import SCHEDULE
from lead.models.denoiser import MldDenoiser
from lead.models.vae import MotionVAE
from lead.representation.normalizer import load_normalizer

BODY = ("latent_dim", "width", "layers", "heads", "feed_forward")
SIZES_OF = {
    "vae": ("features", "latent_tokens", *BODY),
    "denoiser": ("text_dim", *BODY),
}
FREE = {"vae": ("dropout",), "denoiser": ("dropout", "text_scale")}
"""Options beside sizes that may differ from MLD's: they act in training alone, or can be folded."""


def write_mld(run: Run, output: Path, evaluator: Path | None = None) -> dict[str, dict[str, int]]:
    """Write VAE and denoiser of a stage-2 run under MLD's names; returns their sizes.

    The statistics that motions were normalised with go beside ``output``, as NAME_mean.npy and
    NAME_std.npy. ``evaluator`` (a published finest.tar) goes in where given: MLD's strict loading
    asks for it. Raises RequestError for a run that MLD has no counterpart of.
    """
    if run.stage != "diffusion":
        raise RequestError(f"{run.folder} is a {run.stage} run: MLD's file holds a diffusion run")
    vae_run = run.ancestor("vae")
    sizes = {
        "vae": _check(vae_run, "vae", MotionVAE),
        "denoiser": _check(run, "denoiser", MldDenoiser),
    }
    _check_shape(run, sizes)
    vae, denoiser = vae_run.load_part("vae"), run.load_part("denoiser")
    with torch.no_grad():
        denoiser.text_layer.weight *= denoiser.text_scale  # a positive factor passes the ReLU
    tensors = {**to_published(vae, VAE), **to_published(denoiser, DENOISER)}
    # Another of MLD's architectures reads these positions; its strict loading wants them here, too.
    shape = published_shape("mem_pos.pe", tuple(denoiser.positions.pe.shape))
    tensors["denoiser.mem_pos.pe"] = torch.zeros(shape)
    if evaluator is not None:
        tensors |= _evaluator(evaluator, run.record.dataset.skeleton)
    whole = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    with ExitStack() as files:  # all of them, or none
        stream = files.enter_context(atomic_path(output)).open("wb")
        with stream:  # by its name, torch would not say why it failed
            torch.save({"state_dict": whole, SIZES: sizes}, stream)
        for name, values in load_normalizer(vae_run, vae.features).state_dict().items():
            beside = output.with_name(f"{output.stem}_{name}.npy")
            np.save(files.enter_context(atomic_path(beside)), values.numpy())
    return sizes


def _check(run: Run, part: str, kind: type) -> dict[str, int]:
    """The sizes of a part; RequestError for options that MLD does not have."""
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()
    }
    chosen = run.options(part)
    for name, default in defaults.items():
        if name not in SIZES_OF[part] + FREE[part] and chosen[name] != default:
            raise RequestError(
                f"{run.folder} has {part}.{name}={str(chosen[name]).lower()}, which MLD's {part} "
                f"does not know (it has {str(default).lower()}): such a run cannot be exported"
            )
    return {name: chosen[name] for name in SIZES_OF[part]}


def _check_shape(run: Run, sizes: dict[str, dict[str, int]]) -> None:
    vae, denoiser = sizes["vae"], sizes["denoiser"]
    if vae["latent_dim"] != vae["width"] or denoiser["latent_dim"] != denoiser["width"]:
        raise RequestError(
            f"{run.folder} has latents of {vae['latent_dim']} in networks {vae['width']} and "
            f"{denoiser['width']} wide: MLD's are all of one width"
        )
    if denoiser["text_dim"] == denoiser["width"]:
        raise RequestError(
            f"{run.folder} reads text vectors as wide as its network ({denoiser['width']}): "
            "MLD has no text layer then"
        )
    schedule = run.description("schedule")
    if {**SCHEDULE, **schedule} != SCHEDULE:
        raise RequestError(f"{run.folder} has another noise schedule than MLD: {schedule}")


def _evaluator(path: Path, skeleton: str) -> dict[str, Tensor]:
    extractor = load_official_extractor(weights_file(path, skeleton), skeleton)
    return to_published(extractor, EVALUATOR)
