"""Stage 2 for latents that keep time: the transformer of flows as a predictor of noise."""

from typing import Annotated, ClassVar

from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from lead.core.sizes import GuidanceDim, Layers, Scale, Size, SizeOrNone
from lead.models.blocks.skip_stack import check_text
from lead.models.denoiser import NoisePredictor
from lead.models.flow_transformer import TIME_WAVES, FlowTransformer


class TimedDenoiser(FlowTransformer, NoisePredictor):
    """Noise prediction by ``FlowTransformer``, one token a latent; the timestep is its time.

    Condition of all tokens are timestep and pooled sentence; every ``local_every`` layers tokens
    attend to the words, and with ``memory_slots`` to learned slots. No text is the empty sentence,
    as everywhere in LEAD. ``guidance_dim`` > 0 makes the guidance scale an input (see MldDenoiser).
    """

    keeps_time: ClassVar[bool] = True

    def __init__(
        self,
        latent_dim: Size = 32,
        width: Size = 192,
        layers: Layers = 6,
        heads: Size = 3,
        text_dim: Size = 384,
        text_scale: Scale = 1.0,
        word_scale: Scale = 1.0,
        longest: Size = 49,
        memory_slots: SizeOrNone = 0,
        local_every: Annotated[int, Field(ge=0, le=99)] = 0,
        local_weight: Scale = 1.0,
        guidance_dim: GuidanceDim = 0,
    ):
        super().__init__(
            *(latent_dim, 1, 1, width, layers, heads, text_dim, text_scale, word_scale, longest),
            *(memory_slots, local_every, local_weight),
        )
        self.time_waves = TIME_WAVES
        self.guidance_layer = self._guidance_layer(guidance_dim)

    @property
    def time_embedding(self) -> nn.Module:
        """From the waves of timesteps to the width."""
        return self.time_layers

    def forward(
        self,
        z_t: Float[Tensor, "batch tokens dim"],
        timestep: Int[Tensor, " batch"],
        text_embedding: Float[Tensor, "batch words text_dim"],
        guidance_scale: Float[Tensor, " batch"] | None = None,
        mask: Bool[Tensor, "batch tokens"] | None = None,
        word_mask: Bool[Tensor, "batch words"] | None = None,
    ) -> Float[Tensor, "batch tokens dim"]:
        """Predicted noise, zero on padding; text and masks are those of FlowTransformer.

        Errors are those of MldDenoiser.
        """
        check_text(text_embedding, self.text_dim, "denoiser")
        time = self.time_condition(timestep, z_t, guidance_scale)
        text = text_embedding.to(z_t.dtype)
        condition = time + self.text_layer(text[:, 0] * self.text_scale)
        local = self._local(text, timestep, word_mask, time.new_ones(len(time)))
        noise = self.transform(z_t[:, :, None], condition, local, mask)[:, :, 0]
        return noise if mask is None else noise.masked_fill(~mask[..., None], 0)
