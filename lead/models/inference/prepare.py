"""From a trained module to one that computes the same faster, and can do nothing else."""

import copy

import torch
from torch import Tensor, nn

from lead.core.errors import RequestError, did_you_mean
from lead.core.freezing import freeze
from lead.models.blocks.skip_stack import SkipStack
from lead.models.denoiser import MldDenoiser
from lead.models.inference.linear import packed_from
from lead.models.inference.mld import FastMldDenoiser
from lead.models.inference.transformer import FastNorm, FastSkipStack, fast_layer
from lead.models.timed_denoiser import TimedDenoiser

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


ENDS = (
    *("time_embedding", "text_layer", "input_layer", "output_layer"),
    *("to_latent", "from_latent"),
)
"""Where numbers enter and leave a network: these maps stay in float32, and cost little. So do the
linear maps of a Sequential, which the projector begins and ends with."""

TORCH_LAYERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.MultiheadAttention)


@torch.no_grad()
def prepare(module: nn.Module, precision: str = "fp32") -> nn.Module:
    """A copy of a trained module for inference, on the device where it is.

    Its transformer layers and linear maps are replaced by equal ones with packed weights; denoisers
    gain ``bind``, which computes once per run what does not change from step to step. Equal to the
    module to rounding in fp32; ``bf16`` has matrices and activations in bfloat16 and rounds more.
    The copy gives no gradients, keeps no weights to save, and stays on its device.
    Raises RequestError for another precision.
    """
    if precision not in PRECISIONS:
        hint = did_you_mean(precision, PRECISIONS)
        raise RequestError(f"unknown precision '{precision}': {hint}")
    dtype = PRECISIONS[precision]
    if isinstance(module, TimedDenoiser):
        return module if dtype == torch.float32 else RoundedDenoiser(module, dtype)
    fast = freeze(_replaced(copy.deepcopy(module), dtype))
    return FastMldDenoiser(fast) if isinstance(module, MldDenoiser) else fast


class RoundedDenoiser(nn.Module):
    """A denoiser of latents that keep time whose products are computed in another format."""

    keeps_time = True

    def __init__(self, denoiser: TimedDenoiser, dtype: torch.dtype):
        super().__init__()
        self.denoiser, self.dtype, self.embeds_guidance = denoiser, dtype, denoiser.embeds_guidance

    def forward(self, z_t: Tensor, *given: Tensor | None, **masks: Tensor | None) -> Tensor:
        """Predicted noise; the arguments and errors are those of the trained module."""
        with torch.autocast(z_t.device.type, self.dtype):
            return self.denoiser(z_t, *given, **masks).to(z_t.dtype)


def _replaced(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module with every layer that has a faster twin replaced by it, in place."""
    for name, child in module.named_children():
        if name == "guidance_layer":  # read by its weight's shape; runs once
            continue
        end = name in ENDS or (isinstance(module, nn.Sequential) and isinstance(child, nn.Linear))
        own = torch.float32 if end else dtype
        setattr(module, name, _twin(child, own))
    return module


def _twin(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    if type(layer) is nn.Linear:
        return packed_from(layer, dtype)
    if type(layer) is nn.LayerNorm:
        return FastNorm(layer, dtype)
    fast = fast_layer(layer, dtype)
    if fast is not None:
        return fast
    if isinstance(layer, TORCH_LAYERS):  # their own code reads the weights of their parts
        return layer
    layer = _replaced(layer, dtype)
    return FastSkipStack(layer, dtype) if type(layer) is SkipStack else layer
