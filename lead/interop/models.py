"""MLD's, MotionLCM's and the evaluator's checkpoints as our modules, with equal outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from lead.core.building import build
from lead.core.errors import RequestError, did_you_mean
from lead.evaluation.extractor import FeatureExtractor
from lead.evaluation.extractor.official import load_official_extractor, weights_file
from lead.interop.checkpoint import Checkpoint, read_checkpoint
from lead.interop.names import DENOISER, EVALUATOR, VAE, from_published
from lead.models.denoiser import MldDenoiser
from lead.models.vae import MotionVAE

FEATURES = {"humanml3d": 263, "kit": 251, "kitml": 251}
GUIDANCE_DIM = 256
UNUSED = ("denoiser.mem_pos.pe",)  # only MLD's other architecture, a decoder, reads these positions
ELSEWHERE = ("text_encoder.", "losses", "_losses", *(
    f"{kind}Metric" for kind in ("Temos", "TM2T", "MR", "MM", "HUMANACT", "UESTC", "Uncond", "Pos")
), "ControlMetric")  # fmt: skip
"""Beginnings of what may stand in a checkpoint and is no part of these models."""


@dataclass(frozen=True, eq=False)
class ForeignModels:
    """The models of a checkpoint, in evaluation mode, with the descriptions they are built from.

    ``evaluator`` is the text-to-motion evaluator, where its networks are in the file.
    """

    vae: MotionVAE
    denoiser: MldDenoiser
    evaluator: FeatureExtractor | None
    descriptions: dict[str, dict]


def load_mld(path: Path | str, dataset: str = "humanml3d") -> ForeignModels:
    """Load a stage-2 checkpoint of MLD (or of MotionLCM's teachers) of humanml3d or kit.

    Latents have one token of 256 where the file has no ``latent_pre``, else 16 of 32 (MLD++).
    Nothing in the file is executed. Raises RequestError for a file that is refused, and lists the
    tensors that are missing, unexpected or of another shape.
    """
    return _load(read_checkpoint(path), dataset, guidance_dim=0)


def load_motionlcm(path: Path | str) -> ForeignModels:
    """Load a MotionLCM checkpoint (HumanML3D) of version 1 (1 x 256) or 2 (16 x 32).

    Its denoiser takes ``guidance_scale``. Errors as for ``load_mld``.
    """
    return _load(read_checkpoint(path), "humanml3d", guidance_dim=GUIDANCE_DIM)


def load_t2m_evaluator(path: Path | str, dataset: str = "humanml3d") -> FeatureExtractor:
    """The published evaluator of ``dataset`` (humanml3d or kitml), in evaluation mode.

    ``path`` is ``finest.tar`` or a folder that holds it where its authors put it. Its
    ``embed_motion`` reads features that are normalised with the evaluator's own statistics (not
    the data set's), its ``embed_text`` GloVe vectors with one-hot word classes;
    ``lead.evaluation.judge.load_judge`` brings these along.
    Nothing in the file is executed. Raises RequestError where it is missing, broken or refused,
    and lists the tensors that are missing, unexpected or misshapen.
    """
    return load_official_extractor(weights_file(path, dataset), dataset)


def _load(checkpoint: Checkpoint, dataset: str, guidance_dim: int) -> ForeignModels:
    if dataset not in FEATURES:
        raise RequestError(f"unknown dataset '{dataset}': {did_you_mean(dataset, FEATURES)}")
    descriptions = _describe(checkpoint, FEATURES[dataset], guidance_dim)
    vae, denoiser = (
        build(part, descriptions[part], f"{checkpoint.path} ({part})")
        for part in ("vae", "denoiser")
    )
    parts: list[tuple[nn.Module, Mapping[str, str]]] = [(vae, VAE), (denoiser, DENOISER)]
    evaluator = None
    if any(name.startswith("t2m_") for name in checkpoint.tensors):
        evaluator = FeatureExtractor(FEATURES[dataset])
        parts.append((evaluator, EVALUATOR))
    from_published(parts, _relevant(checkpoint.tensors), f"{checkpoint.path} ({dataset})")
    for module, _ in parts:
        module.eval()
    return ForeignModels(vae, denoiser, evaluator, descriptions)


def _relevant(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name not in UNUSED and not name.startswith(ELSEWHERE)
    }


def _describe(checkpoint: Checkpoint, features: int, guidance_dim: int) -> dict[str, dict]:
    """The published sizes, or those that lead wrote into the file."""
    second = any(name.split(".")[1:2] == ["latent_pre"] for name in checkpoint.tensors)
    latent_dim = 32 if second else 256
    vae = {"latent_tokens": 16 if second else 1, "latent_dim": latent_dim}
    denoiser = {"latent_dim": latent_dim, "text_dim": 768}
    body = {"width": 256, "layers": 9, "heads": 4, "feed_forward": 1024}
    own = checkpoint.sizes
    return {
        "vae": {
            "_target_": "motion_vae",
            "features": features,
            **{**vae, **body, **_known(own.get("vae", {}), {**vae, **body})},
            "dropout": 0.1,
        },
        "denoiser": {
            "_target_": "mld_denoiser",
            **{**denoiser, **body, **_known(own.get("denoiser", {}), {**denoiser, **body})},
            "dropout": 0.1,
            "relu_before_text": not second,
            "guidance_dim": guidance_dim,
        },
    }


def _known(sizes: Mapping[str, int], names: Mapping[str, int]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if name in names}
