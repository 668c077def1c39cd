"""Stage 1: a transformer VAE that compresses a motion of any length into a few tokens (MLD)."""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from lead.core.masks import without_padding
from lead.core.sizes import Dropout, Layers, Size, SizeOrNone
from lead.models.blocks.positions import LearnedPositions
from lead.models.blocks.principal_motions import PrincipalMotions
from lead.models.blocks.skip_stack import SkipStack, check_heads, xavier_init


class MotionVAE(nn.Module):
    """Variational auto-encoder of motion features (LEAD section 4.1.1, after MLD).

    The encoder reads ``2 * latent_tokens`` learned tokens beside the frames and turns them into
    mean and log-variance. The decoder lets zero queries, one a frame, attend to the latent tokens.
    Where ``latent_dim`` differs from ``width`` a linear map stands on either side of the latent
    (MotionLCM v2). ``logvar_offset`` is added to the log-variance: the encoder's last LayerNorm
    makes it about 0 at first, as much noise as signal; a negative offset lets the decoder listen.
    ``patch`` neighbouring frames share one position of the sequence, which divides its length;
    what they decode to is averaged over three frames, so that patches meet without a seam.
    ``principal_frames`` > 0 lets the network start from a linear auto-encoder of clips stretched
    to so many frames (``PrincipalMotions``, to be fitted before training): the transformers then
    learn what is missing. It needs a small fraction of the steps. ``hands_weight`` is how many
    times elbows and wrists count in that auto-encoder: a waving hand is small beside a body.

    Defaults are the paper's: one token of 256, 9 + 9 layers, 4 heads, feed-forward 1024, patch 1.
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
        patch: Size = 1,
        principal_frames: SizeOrNone = 0,
        hands_weight: Annotated[float, Field(gt=0, le=1000)] = 1.0,
    ):
        super().__init__()
        self.logvar_offset, self.patch = logvar_offset, patch
        self.hands_weight = hands_weight
        check_heads(width, heads)
        self.latent_tokens, self.latent_dim, self.features = latent_tokens, latent_dim, features
        options = {"dropout": dropout, "activation": "gelu", "batch_first": True}
        self.encoder = SkipStack(
            lambda: nn.TransformerEncoderLayer(width, heads, feed_forward, **options), layers, width
        )
        self.decoder = SkipStack(
            lambda: nn.TransformerDecoderLayer(width, heads, feed_forward, **options), layers, width
        )
        self.input_layer = nn.Linear(patch * features, width)
        self.output_layer = nn.Linear(width, patch * features)
        same = latent_dim == width
        self.to_latent = nn.Identity() if same else nn.Linear(width, latent_dim)
        self.from_latent = nn.Identity() if same else nn.Linear(latent_dim, width)
        self.encoder_positions = LearnedPositions(width)
        self.decoder_positions = LearnedPositions(width)
        xavier_init(self.encoder)
        xavier_init(self.decoder)
        self.distribution_tokens = nn.Parameter(torch.randn(2 * latent_tokens, width))
        self.principal = None
        if principal_frames:
            self.principal = PrincipalMotions(
                principal_frames, features, latent_tokens * latent_dim
            )
            self.base_layer = nn.Linear(patch * features, width)
            self.mu_gate = nn.Parameter(torch.zeros(latent_dim))
            nn.init.zeros_(self.output_layer.weight)
            nn.init.zeros_(self.output_layer.bias)

    def encode(
        self, x: Float[Tensor, "batch frames features"], mask: Bool[Tensor, "batch frames"]
    ) -> tuple[Float[Tensor, "batch tokens dim"], Float[Tensor, "batch tokens dim"]]:
        """Posterior q(z|x): mean and log-variance. Values where ``mask`` is false do not matter."""
        x = x.masked_fill(~mask[..., None], 0)
        patches, groups = self._group(x, mask)
        frames = self.input_layer(patches)
        tokens = self.distribution_tokens.expand(len(x), -1, -1)
        sequence = self.encoder_positions(torch.cat([tokens, frames], dim=1))
        padding = None
        if not without_padding(groups):
            always = groups.new_zeros(len(x), tokens.shape[1])
            padding = torch.cat([always, ~groups], dim=1)
        out = self.encoder(sequence, kept=tokens.shape[1], src_key_padding_mask=padding)
        mu, logvar = self.to_latent(out).chunk(2, dim=1)
        if self.principal is not None:
            mu = mu * self.mu_gate + self.principal.encode(x, mask).view_as(mu)
        return mu, logvar + self.logvar_offset

    def decode(
        self, z: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch frames features"]:
        """Motion features (normalised) as long as ``mask`` says, zero on padding."""
        width = self.input_layer.out_features
        base = z.new_zeros(*mask.shape, self.features)
        if self.principal is not None:
            base = self.principal.decode(z.flatten(1), mask)
        patches, groups = self._group(base, mask)
        queries = z.new_zeros(1, groups.shape[1], width)
        if self.principal is not None:
            queries = self.base_layer(patches)
        padding = None if without_padding(groups) else ~groups
        sequence = self.decoder_positions(queries).expand(len(z), -1, -1)
        out = self.decoder(sequence, self.from_latent(z), tgt_key_padding_mask=padding)
        x = self.output_layer(out).reshape(len(z), -1, self.features)[:, : mask.shape[1]]
        if self.patch > 1:
            x = _smooth(x, mask)
        return (base + x) * mask[..., None]

    def _group(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Groups of ``patch`` frames (batch, groups, patch * dim); real where one frame is."""
        missing = -mask.shape[1] % self.patch
        x, mask = nn.functional.pad(x, (0, 0, 0, missing)), nn.functional.pad(mask, (0, missing))
        groups = mask.reshape(len(mask), -1, self.patch)
        return x.reshape(*groups.shape[:2], -1), groups.any(-1)


def _smooth(x: Tensor, mask: Tensor) -> Tensor:
    """Binomial average over three frames (1/4, 1/2, 1/4); of those that are real at the ends."""
    real = mask[..., None].to(x.dtype)
    return _three(x * real) / _three(real).clamp(min=0.25)


def _three(x: Tensor) -> Tensor:
    padded = nn.functional.pad(x, (0, 0, 1, 1))
    return 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]


def sample_posterior(mu: Tensor, logvar: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw z ~ N(mu, exp(logvar)) by reparameterisation, so that gradients reach both."""
    noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=torch.float32)
    return reparameterise(mu, logvar, noise)


def reparameterise(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """mu + exp(logvar / 2) noise: a sample of N(mu, exp(logvar)) for standard normal ``noise``."""
    return mu + torch.exp(0.5 * logvar) * noise.to(mu.dtype)
