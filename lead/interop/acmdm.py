"""ACMDM's auto-encoder and flow as our modules, with equal outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from lead.core.building import build
from lead.core.errors import RequestError
from lead.interop.checkpoint import read_checkpoint
from lead.interop.names import Names, from_published
from lead.models.flow_transformer import FlowTransformer
from lead.models.joint_autoencoder import JointAutoencoder

AUTOENCODER: Names = {
    "encoder.first.": "encoder.conv_in.",
    "encoder.last.": "encoder.conv_out.",
    "decoder.first.": "decoder.conv_in.",
    "decoder.hidden.": "decoder.conv_out1.",
    "decoder.last.": "decoder.conv_out2.",
    "encoder.layers.": "encoder.model.",
    "decoder.layers.": "decoder.model.",
    "": "",
}
LAYER = {
    "attention.out.": "attn.proj.",
    "attention.": "attn.",
    "mlp.rise.": "mlp.w12.",
    "mlp.fall.": "mlp.w3.",
    "modulation.": "adaLN_modulation.1.",
    "": "",
}
FLOW: dict[str, str] = {
    "time_layers.": "t_embedder.mlp.",
    "text_layer.": "y_embedder.",
    "input_layer.": "x_embedder.",
    "final_norm.": "final_layer.norm_final.",
    "final_modulation.": "final_layer.adaLN_modulation.1.",
    "output_layer.": "final_layer.linear.",
}
KEYS = {"autoencoder": ("ae",), "flow": ("ema_acmdm", "acmdm")}
"""Where the published files hold the tensors; averaged weights before the last ones."""

HEAD, JOINTS = 64, 22  # of all published sizes; the flow over meshes has 28 "joints"


@dataclass(frozen=True, eq=False)
class JointFlow:
    """Auto-encoder and flow in evaluation mode, with the descriptions they are built from."""

    autoencoder: JointAutoencoder | None
    flow: FlowTransformer | None
    descriptions: dict[str, dict]


def load_acmdm(autoencoder: Path | str | None = None, flow: Path | str | None = None) -> JointFlow:
    """Load ACMDM's causal auto-encoder, its flow transformer of any size and patch, or both.

    A file holds the tensors alone, or under the keys of the published ones. The auto-encoder's
    latents come out as the file has it: their rescaling is not in it. Nothing in a file is
    executed. Raises RequestError where no file is named, for one that is refused, and lists the
    tensors that are missing, unexpected or of another shape.
    """
    if autoencoder is None and flow is None:
        raise RequestError("load_acmdm needs autoencoder=FILE, flow=FILE, or both")
    made: dict[str, nn.Module] = {}
    descriptions = {}
    for part, path in (("autoencoder", autoencoder), ("flow", flow)):
        if path is None:
            continue
        tensors = _tensors(part, path)
        where = f"{path} ({part})"
        describe = _describe_flow if part == "flow" else _describe_autoencoder
        descriptions[part] = describe(tensors, where)
        made[part] = build(part, descriptions[part], where)
        names = AUTOENCODER
        if part == "flow":
            names = {**FLOW, **layer_names(descriptions[part]["layers"])}
        else:
            tensors = {**_rescaling(made[part]), **tensors}
        from_published([(made[part], names)], tensors, where)
        made[part].eval()
    return JointFlow(made.get("autoencoder"), made.get("flow"), descriptions)


def _tensors(part: str, path: Path | str) -> dict[str, Tensor]:
    """The file's tensors, without those of the frozen CLIP that some copies hold."""
    tensors = read_checkpoint(path, KEYS[part]).tensors
    return {name: value for name, value in tensors.items() if not name.startswith("clip_model.")}


def _rescaling(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.named_buffers() if name.startswith("latent_")}


def layer_names(layers: int) -> dict[str, str]:
    """Our names and theirs of the layers of a flow."""
    return {
        f"blocks.{layer}.{ours}": f"ACMDMTransformer.{layer}.{theirs}"
        for layer in range(layers)
        for ours, theirs in LAYER.items()
    }


def _shape(tensors: Mapping[str, Tensor], name: str, axes: int, where: str) -> tuple[int, ...]:
    if name not in tensors or tensors[name].ndim != axes:
        raise RequestError(f"{where}: missing {name}, of {axes} axes: name ACMDM's own checkpoint")
    return tuple(tensors[name].shape)


def _describe_autoencoder(tensors: Mapping[str, Tensor], where: str) -> dict:
    width, coordinates, *_ = _shape(tensors, "encoder.conv_in.weight", 4, where)
    channels = _shape(tensors, "encoder.conv_out.bias", 1, where)[0]
    residual = [name for name in tensors if name.startswith("encoder.") and ".conv2.w" in name]
    return {
        "_target_": "joint_autoencoder",
        **{"coordinates": coordinates, "channels": channels, "width": width},
        "depth": len(residual) // 2,
    }


def _describe_flow(tensors: Mapping[str, Tensor], where: str) -> dict:
    width, channels, _, patch = _shape(tensors, "x_embedder.weight", 4, where)
    text_dim = _shape(tensors, "y_embedder.weight", 2, where)[1]
    layers = sum(name.endswith(".attn.qkv.weight") for name in tensors)
    joints = patch if JOINTS % patch else JOINTS
    return {
        "_target_": "flow_transformer",
        **{"channels": channels, "joints": joints, "patch": patch, "width": width},
        **{"layers": layers, "heads": max(width // HEAD, 1), "text_dim": text_dim},
        "longest": 49 if channels == 4 and joints == JOINTS else 196,  # frames, where not in four
    }
