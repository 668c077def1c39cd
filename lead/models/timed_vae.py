"""Stage 1 whose latents keep time: a transformer VAE with one latent token for a few frames."""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import fold, pad, silu

from lead.core.errors import RequestError
from lead.core.masks import group_mask, hold_last
from lead.core.sizes import Dropout, Layers, Size, SizeOrNone
from lead.models.blocks.flow_layers import (
    RmsNorm,
    check_rotary_heads,
    join_heads,
    rotary_waves,
    rotate,
    split_heads,
)
from lead.representation.features import complete_features
from lead.representation.skeletons import SKELETONS

ROTARY_BASE = 200
LOGVAR = (-10.0, 5.0)  # what a log-variance may be: KL and noise stay finite


class TimedVae(nn.Module):
    """Variational auto-encoder of motion features with one latent token per ``patch`` frames.

    It reads and writes the first 4 + 3 (J - 1) of the features: the root's velocities and height,
    and the local positions. A patch of frames goes through a linear map into ``layers`` pre-norm
    transformer blocks with rotary positions, whose tokens see ``reach`` tokens to either side, and
    from there to mean and log-variance. The decoder mirrors it: each token writes its own frames
    and ``overlap`` more on either side, and neighbouring windows are cross-faded.

    What the network does not write (rotations, velocities, contacts) is zero while training, where
    no loss reads it. In evaluation it is computed from the positions, as features are made, with
    the statistics that ``fit_statistics`` keeps: what leaves ``decode`` is consistent.

    ``latent_tokens`` are those of one patch, and there is one. ``logvar_offset`` as in MotionVAE.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        features: Size = 263,
        latent_tokens: Annotated[int, Field(ge=1, le=1)] = 1,
        latent_dim: Size = 32,
        width: Size = 256,
        layers: Layers = 4,
        heads: Size = 4,
        feed_forward: Size = 672,
        dropout: Dropout = 0.0,
        logvar_offset: Annotated[float, Field(ge=-100, le=100)] = -5.0,
        patch: Size = 4,
        overlap: SizeOrNone = 2,
        reach: SizeOrNone = 4,
    ):
        super().__init__()
        check_rotary_heads(width, heads)
        if 2 * overlap > patch:
            raise RequestError(
                f"overlap is {overlap}: windows of {patch} frames meet their neighbours alone "
                f"with at most {patch // 2}"
            )
        self.features, self.latent_tokens, self.latent_dim = features, latent_tokens, latent_dim
        self.patch, self.overlap, self.reach, self.heads = patch, overlap, reach, heads
        self.logvar_offset = logvar_offset
        self.written = 4 + 3 * ((features + 1) // 12 - 1)
        window = patch + 2 * overlap

        def stack() -> nn.ModuleList:
            sizes = (width, heads, feed_forward, dropout)
            return nn.ModuleList(TimedBlock(*sizes) for _ in range(layers))

        self.input_layer = nn.Linear(patch * self.written, width)
        self.encoder = stack()
        self.to_latent = nn.Linear(width, 2 * latent_dim)
        self.from_latent = nn.Linear(latent_dim, width)
        self.decoder = stack()
        self.output_layer = nn.Linear(width, window * self.written)
        nn.init.normal_(self.to_latent.weight[latent_dim:], std=1e-3)
        self.register_buffer("fade", cross_fade(patch, overlap), persistent=False)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    @torch.no_grad()
    def fit_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Keep how features are normalised, (features,) each."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def token_mask(self, mask: Bool[Tensor, "batch frames"]) -> Bool[Tensor, "batch tokens"]:
        """Which tokens are real: those with a real frame in their patch."""
        return group_mask(mask, self.patch)

    def encode(
        self, x: Float[Tensor, "batch frames features"], mask: Bool[Tensor, "batch frames"]
    ) -> tuple[Float[Tensor, "batch tokens dim"], Float[Tensor, "batch tokens dim"]]:
        """Posterior q(z|x): mean and log-variance, one token per patch, zero on padding.

        Values where ``mask`` is false do not matter: the last real frame stands there, also in a
        patch that the clip does not fill.
        """
        held = hold_last(x[..., : self.written], mask, self.patch)
        tokens = self.token_mask(mask)
        h = self.input_layer(held.unflatten(1, (-1, self.patch)).flatten(2))
        mu, logvar = self.to_latent(self._run(self.encoder, h, tokens)).chunk(2, dim=-1)
        logvar = (logvar + self.logvar_offset).clamp(*LOGVAR)
        return mu * tokens[..., None], logvar * tokens[..., None]

    def decode(
        self, z: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch frames features"]:
        """Motion features (normalised) as long as ``mask`` says, zero on padding.

        Latents of padding do not matter, however many. Raises RequestError where there is not one
        for each patch.
        """
        frames, tokens = mask.shape[1], self.token_mask(mask)
        z = z[:, : tokens.shape[1]]
        if z.shape[1] != tokens.shape[1]:
            raise RequestError(
                f"{z.shape[1]} latents for {frames} frames: one stands for {self.patch} frames"
            )
        h = self._run(self.decoder, self.from_latent(z), tokens)
        windows = self.output_layer(h).unflatten(-1, (-1, self.written)).float()
        x = overlap_add(windows, self.fade, tokens, self.patch)
        x = pad(x[:, self.overlap :][:, :frames], (0, self.features - self.written))
        if not self.training:
            raw = complete_features(x * self.std + self.mean, mask, _skeleton_of(self.features))
            x = (raw - self.mean) / self.std
        return x.masked_fill(~mask[..., None], 0)

    def _run(self, blocks: nn.ModuleList, h: Tensor, tokens: Tensor) -> Tensor:
        """Through a stack; padding is seen by itself alone."""
        count = h.shape[1]
        places = torch.arange(count, device=h.device)
        apart = (places[:, None] - places[None]).abs()
        seen = ((apart <= self.reach) & tokens[:, None] | (apart == 0))[:, None]
        waves = rotary_waves(count, h.shape[-1] // self.heads, ROTARY_BASE, h.device)
        for block in blocks:
            h = block(h, waves, seen)
        return h


class TimedBlock(nn.Module):
    """Attention, then SwiGLU, each on the normalised sum of what came before (pre-norm)."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.rise = nn.Linear(width, 2 * feed_forward)
        self.fall = nn.Linear(feed_forward, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, waves: Tensor, seen: Tensor) -> Tensor:
        """Tokens (batch, tokens, width); ``seen`` (batch, 1, tokens, tokens): who reads whom."""
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        q, k = rotate(q, waves), rotate(k, waves)
        # Two products: torch's own attention takes longer to train on a CPU for short sequences.
        logits = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~seen, -torch.inf)
        weights = logits.softmax(-1).to(v.dtype)
        x = x + self.dropout(self.out(join_heads(weights @ v)))
        gate, value = self.rise(self.norm2(x)).chunk(2, dim=-1)
        return x + self.dropout(self.fall(silu(gate) * value))


def cross_fade(patch: int, overlap: int) -> Float[Tensor, " window"]:
    """Weights of a window's frames, such that those of neighbouring windows add up to one."""
    window = patch + 2 * overlap
    places = torch.arange(window) + 0.5
    return (places.minimum(window - places) / max(2 * overlap, 0.5)).clamp(max=1)


def overlap_add(
    windows: Float[Tensor, "batch tokens window features"],
    fade: Float[Tensor, " window"],
    tokens: Bool[Tensor, "batch tokens"],
    patch: int,
) -> Float[Tensor, "batch frames features"]:
    """Sum of windows that begin ``patch`` frames apart, weighted by ``fade``; real tokens only.

    (tokens - 1) patch + window frames. Weights of each frame are made to add up to one, also at
    the ends of a clip, where a window has no neighbour; a frame that no real window reaches is 0.
    """
    count, window, features = windows.shape[1:]
    frames = (count - 1) * patch + window
    weights = fade[:, None] * tokens[:, None]  # (batch, window, tokens)
    shape = {"output_size": (frames, 1), "kernel_size": (window, 1), "stride": (patch, 1)}
    rows = windows.permute(0, 3, 2, 1) * weights[:, None]
    total = fold(rows.reshape(len(rows), features * window, count), **shape)[..., 0]
    share = fold(weights, **shape)[..., 0]
    return (total / share.clamp(min=1e-3)).transpose(1, 2)


def _skeleton_of(features: int) -> str:
    """The skeleton whose features are so many; RequestError where there is none."""
    for name, skeleton in SKELETONS.items():
        if skeleton.features == features:
            return name
    raise RequestError(f"no skeleton has {features} features: they are those of {[*SKELETONS]}")
