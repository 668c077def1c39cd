"""Stage 1: a transformer VAE that compresses a motion of any length into a few tokens (MLD)."""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from lead.core.masks import without_padding
from lead.core.sizes import Dropout, Layers, Size
from lead.models.blocks.positions import LearnedPositions
from lead.models.blocks.skip_stack import SkipStack, check_heads, xavier_init


class MotionVAE(nn.Module):
    """Variational auto-encoder of motion features (LEAD section 4.1.1, after MLD).

    The encoder reads ``2 * latent_tokens`` learned tokens beside the frames and turns them into
    mean and log-variance. The decoder lets zero queries, one a frame, attend to the latent tokens.
    Where ``latent_dim`` differs from ``width`` a linear map stands on either side of the latent
    (MotionLCM v2). ``logvar_offset`` is added to the log-variance: the encoder's last LayerNorm
    makes it about 0 at first, as much noise as signal; a negative offset lets the decoder listen.

    Defaults are the paper's: one token of 256, 9 + 9 layers, 4 heads, feed-forward 1024.
    """

    def __init__(
        self,
        features: Size = 263,
        latent_tokens: Size = 1,
        latent_dim: Size = 256,
        width: Size = 256,
        layers: Layers = 9,
        heads: Size = 4,
        feed_forward: Size = 1024,
        dropout: Dropout = 0.1,
        logvar_offset: Annotated[float, Field(ge=-100, le=100)] = 0.0,
    ):
        super().__init__()
        self.logvar_offset = logvar_offset
        check_heads(width, heads)
        self.latent_tokens, self.latent_dim, self.features = latent_tokens, latent_dim, features
        options = {"dropout": dropout, "activation": "gelu", "batch_first": True}
        self.encoder = SkipStack(
            lambda: nn.TransformerEncoderLayer(width, heads, feed_forward, **options), layers, width
        )
        self.decoder = SkipStack(
            lambda: nn.TransformerDecoderLayer(width, heads, feed_forward, **options), layers, width
        )
        self.input_layer = nn.Linear(features, width)
        self.output_layer = nn.Linear(width, features)
        same = latent_dim == width
        self.to_latent = nn.Identity() if same else nn.Linear(width, latent_dim)
        self.from_latent = nn.Identity() if same else nn.Linear(latent_dim, width)
        self.encoder_positions = LearnedPositions(width)
        self.decoder_positions = LearnedPositions(width)
        xavier_init(self.encoder)
        xavier_init(self.decoder)
        self.distribution_tokens = nn.Parameter(torch.randn(2 * latent_tokens, width))

    def encode(
        self, x: Float[Tensor, "batch frames features"], mask: Bool[Tensor, "batch frames"]
    ) -> tuple[Float[Tensor, "batch tokens dim"], Float[Tensor, "batch tokens dim"]]:
        """Posterior q(z|x): mean and log-variance. Values where ``mask`` is false do not matter."""
        frames = self.input_layer(x.masked_fill(~mask[..., None], 0))
        tokens = self.distribution_tokens.expand(len(x), -1, -1)
        sequence = self.encoder_positions(torch.cat([tokens, frames], dim=1))
        padding = None
        if not without_padding(mask):
            always = mask.new_zeros(len(x), tokens.shape[1])
            padding = torch.cat([always, ~mask], dim=1)
        out = self.encoder(sequence, kept=tokens.shape[1], src_key_padding_mask=padding)
        mu, logvar = self.to_latent(out).chunk(2, dim=1)
        return mu, logvar + self.logvar_offset

    def decode(
        self, z: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch frames features"]:
        """Motion features (normalised) as long as ``mask`` says, zero on padding."""
        queries = z.new_zeros(1, mask.shape[1], self.input_layer.out_features)
        padding = None if without_padding(mask) else ~mask
        sequence = self.decoder_positions(queries).expand(len(z), -1, -1)
        out = self.decoder(sequence, self.from_latent(z), tgt_key_padding_mask=padding)
        return self.output_layer(out) * mask[..., None]


def sample_posterior(mu: Tensor, logvar: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw z ~ N(mu, exp(logvar)) by reparameterisation, so that gradients reach both."""
    noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=torch.float32)
    return reparameterise(mu, logvar, noise)


def reparameterise(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """mu + exp(logvar / 2) noise: a sample of N(mu, exp(logvar)) for standard normal ``noise``."""
    return mu + torch.exp(0.5 * logvar) * noise.to(mu.dtype)
