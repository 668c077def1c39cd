"""Stage 2: the network that predicts the noise in a latent, given time and text (MLD)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.models.blocks.positions import LearnedPositions, sinusoid
from lead.models.blocks.sizes import check_sizes
from lead.models.blocks.skip_stack import SkipStack, check_heads, xavier_init


class MldDenoiser(nn.Module):
    """Noise prediction by self-attention over latent, time and text tokens (LEAD 4.1.1, MLD).

    The sequence is [latent tokens, one time token, text tokens]; the latent positions are read
    back. ``relu_before_text`` is MLD's: its text vector passes a ReLU before its linear map.
    ``text_scale`` multiplies the text vector: sentence encoders give unit vectors, whose entries
    are far smaller than CLIP's.

    Defaults are the paper's: 9 layers with long skips, 4 heads, feed-forward 1024.
    """

    def __init__(
        self,
        latent_dim: int = 256,
        text_dim: int = 768,
        width: int = 256,
        layers: int = 9,
        heads: int = 4,
        feed_forward: int = 1024,
        dropout: float = 0.1,
        relu_before_text: bool = True,
        text_scale: float = 1.0,
    ):
        super().__init__()
        sizes = {"latent_dim": latent_dim, "text_dim": text_dim, "width": width, "layers": layers}
        check_sizes({**sizes, "feed_forward": feed_forward}, dropout)
        check_heads(width, heads)
        self.text_dim, self.latent_dim = text_dim, latent_dim
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

    def forward(
        self,
        z_t: Float[Tensor, "batch tokens dim"],
        timestep: Int[Tensor, " batch"],
        text_embedding: Float[Tensor, "batch words text_dim"],
        guidance_scale: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch tokens dim"]:
        """Predicted noise. ``guidance_scale`` is for models distilled with it; this one is not."""
        if guidance_scale is not None:
            raise RequestError("this denoiser has no guidance embedding: use a null embedding")
        if text_embedding.shape[-1] != self.text_dim:
            raise RequestError(
                f"text embeddings are {text_embedding.shape[-1]} wide, the denoiser was trained "
                f"with {self.text_dim}: use the text encoder of its run"
            )
        time = self.time_embedding(sinusoid(timestep, self.text_dim).to(z_t))
        text = text_embedding * self.text_scale
        text = torch.relu(text) if self.relu_before_text else text
        sequence = torch.cat([self.input_layer(z_t), time[:, None], self.text_layer(text)], dim=1)
        out = self.encoder(self.positions(sequence))
        return self.output_layer(out[:, : z_t.shape[1]])
