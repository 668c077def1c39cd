"""The MLP denoiser over a whole sampling run."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lead.models.inference.bound import FastDenoiser, Timeline
from lead.models.inference.linear import packed_from
from lead.models.mlp_denoiser import MlpDenoiser


class FastMlpDenoiser(FastDenoiser):
    """An MlpDenoiser for inference; in bf16 the blocks' large matrices alone are rounded.

    Scales and shifts are computed once for each distinct sentence of a batch: the empty sentence of
    guidance, and the repeats of an evaluation, cost nothing more.
    """

    def __init__(self, denoiser: MlpDenoiser, dtype: torch.dtype):
        super().__init__(denoiser)
        blocks = denoiser.blocks
        self.expand = nn.ModuleList(packed_from(b.expand, dtype, "gelu") for b in blocks)
        self.contract = nn.ModuleList(packed_from(b.contract, dtype) for b in blocks)
        self.conditions = nn.ModuleList(packed_from(b.condition, torch.float32) for b in blocks)
        self.input_layer = packed_from(denoiser.input_layer, torch.float32)
        self.output_layer = packed_from(denoiser.output_layer, torch.float32)

    def _bound(
        self,
        text_embedding: Tensor,
        timeline: Timeline,
        time: Tensor,
        tokens: int,  # noqa: ARG002
    ) -> Callable[[Tensor, Tensor], Tensor]:
        own = self.denoiser
        text, row = torch.unique(own.text_condition(text_embedding), dim=0, return_inverse=True)

        def predict(z_t: Tensor, timestep: Tensor) -> Tensor:
            condition = nn.functional.silu(time[timeline.place(timestep)] + text)
            x = self.input_layer(own.preconditioning.scale(z_t, timestep).flatten(1))
            for block, expand, contract, conditions in zip(
                own.blocks, self.expand, self.contract, self.conditions, strict=True
            ):
                shift, scale, gate = conditions(condition).index_select(0, row).chunk(3, dim=-1)
                hidden = torch.addcmul(shift, block.norm(x), 1 + scale)
                update = contract(expand(hidden)).float()
                x = torch.addcmul(x, 0.5 + 0.5 * gate, update)
            correction = self.output_layer(own.norm(x)).view_as(z_t)
            return own.preconditioning.noise(correction, z_t, timestep)

        return predict
