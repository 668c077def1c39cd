"""Stage 2: the network that predicts the noise in a latent, given time and text (MLD)."""

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.sizes import Dropout, GuidanceDim, Layers, Scale, Size
from lead.models.blocks.positions import LearnedPositions, sinusoid
from lead.models.blocks.skip_stack import SkipStack, check_heads, check_text, xavier_init


class NoisePredictor(nn.Module):
    """What all denoisers share: how time, guidance scale and text become their condition.

    A subclass has the modules ``time_embedding`` (of ``time_waves`` waves), ``text_layer`` and
    ``guidance_layer``, which is None unless the guidance scale is an input.
    """

    keeps_time: ClassVar[bool] = False  # reads latents of a few frames each, words and masks
    text_dim: int
    time_waves: int
    guidance_layer: nn.Linear | None

    @property
    def embeds_guidance(self) -> bool:
        """Whether the guidance scale is an input: then no second, unconditional pass is needed."""
        return self.guidance_layer is not None

    def time_condition(
        self,
        timestep: Int[Tensor, " batch"],
        like: Tensor,
        guidance_scale: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch width"]:
        """What each timestep says, with the guidance scale in it; in the dtype of ``like``."""
        waves = sinusoid(timestep, self.time_waves).to(like)
        if guidance_scale is not None:
            if self.guidance_layer is None:
                raise RequestError("this denoiser has no guidance embedding: use a null embedding")
            weight = self.guidance_layer.weight
            scale = guidance_waves(guidance_scale, weight.shape[1]).to(weight)
            waves = waves + self.guidance_layer(scale).to(waves)
        return self.time_embedding(waves)

    def _guidance_layer(self, guidance_dim: int) -> nn.Linear | None:
        """From the waves of a guidance scale to those of the time, zero at first."""
        if not guidance_dim:
            return None
        layer = nn.Linear(guidance_dim, self.time_waves, bias=False)
        nn.init.zeros_(layer.weight)
        return layer


class MldDenoiser(NoisePredictor):
    """Noise prediction by self-attention over latent, time and text tokens (LEAD 4.1.1, MLD).

    The sequence is [latent tokens, one time token, text tokens]; the latent positions are read
    back. ``relu_before_text`` is MLD's: its text vector passes a ReLU before its linear map.
    ``text_scale`` multiplies the text vector: sentence encoders give unit vectors, whose entries
    are far smaller than CLIP's. ``guidance_dim`` > 0 makes the guidance scale an input, as models
    distilled for a few steps need it (MotionLCM, 256): its waves pass a linear map, zero at first,
    and are added to those of the time.

    Defaults are the paper's: 9 layers with long skips, 4 heads, feed-forward 1024.
    """

    def __init__(
        self,
        latent_dim: Size = 256,
        text_dim: Size = 768,
        width: Size = 256,
        layers: Layers = 9,
        heads: Size = 4,
        feed_forward: Size = 1024,
        dropout: Dropout = 0.1,
        relu_before_text: bool = True,
        text_scale: Scale = 1.0,
        guidance_dim: GuidanceDim = 0,
    ):
        super().__init__()
        check_heads(width, heads)
        self.text_dim, self.latent_dim, self.time_waves = text_dim, latent_dim, text_dim
        self.relu_before_text, self.text_scale = relu_before_text, text_scale
        self.time_embedding = nn.Sequential(
            nn.Linear(text_dim, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.text_layer = nn.Linear(text_dim, width)
        same = latent_dim == width
        self.input_layer = nn.Identity() if same else nn.Linear(latent_dim, width)
        self.output_layer = nn.Identity() if same else nn.Linear(width, latent_dim)
        self.positions = LearnedPositions(width)
        self.encoder = SkipStack(
            lambda: nn.TransformerEncoderLayer(
                width, heads, feed_forward, dropout, activation="gelu", batch_first=True
            ),
            layers,
            width,
        )
        xavier_init(self.encoder)
        self.guidance_layer = self._guidance_layer(guidance_dim)

    def forward(
        self,
        z_t: Float[Tensor, "batch tokens dim"],
        timestep: Int[Tensor, " batch"],
        text_embedding: Float[Tensor, "batch words text_dim"],
        guidance_scale: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch tokens dim"]:
        """Predicted noise. ``guidance_scale`` is for models distilled with it (``guidance_dim``).

        Such a model called without a scale predicts as if none was embedded. Raises RequestError
        for a scale where none can be embedded, and for text of another width.
        """
        time = self.time_condition(timestep, z_t, guidance_scale)
        text = self.text_tokens(text_embedding)
        sequence = torch.cat([self.input_layer(z_t), time[:, None], text], dim=1)
        return self.output_layer(self.encoder(self.positions(sequence), kept=z_t.shape[1]))

    def text_tokens(
        self, text_embedding: Float[Tensor, "batch words text_dim"]
    ) -> Float[Tensor, "batch words width"]:
        """The tokens of embedded sentences; RequestError for text of another width."""
        check_text(text_embedding, self.text_dim, "denoiser")
        text = text_embedding * self.text_scale
        return self.text_layer(torch.relu(text) if self.relu_before_text else text)


def guidance_waves(scale: Float[Tensor, " batch"], width: int) -> Float[Tensor, "batch width"]:
    """Sines then cosines of 1000 (scale - 1) at ``width / 2`` frequencies from 1 to 1/10000.

    The convention of latent consistency models (Luo et al. 2023), whose w is ``scale - 1``. The
    last frequency is 1/10000 itself, other than in ``sinusoid``. An odd ``width`` gets a zero.
    """
    half = width // 2
    steps = torch.arange(half, device=scale.device, dtype=torch.float32)
    # In this order in float32: the angles reach 14000, where another rounding shows in the sines.
    step = torch.full((), 10000.0, device=scale.device).log() / (half - 1)
    angle = ((scale.float() - 1) * 1000)[:, None] * torch.exp(-step * steps)
    waves = torch.cat([angle.sin(), angle.cos()], dim=-1)
    return nn.functional.pad(waves, (0, width % 2))
