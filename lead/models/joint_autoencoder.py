"""Stage 1 of flows: joint positions <-> one latent per joint and four frames (ACMDM, MLA-Gen)."""

from collections.abc import Callable, Iterable
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, silu

from lead.core.errors import RequestError
from lead.core.masks import group_mask, hold_last
from lead.core.sizes import Dropout, Size

FRAMES_PER_TOKEN = 4
Depth = Annotated[int, Field(ge=1, le=6)]  # residual blocks, with dilations 3^(depth-1), ..., 3, 1


class JointAutoencoder(nn.Module):
    """Causal convolutions over frames, the same for every joint; joints never mix here.

    A latent reads the frames up to the fourth of its own, a decoded frame the latents up to its
    own, so that nothing after the end of a clip reaches it. Latents leave ``encode``, and enter
    ``decode``, shifted and scaled per channel by buffers that ``fit_rescaling`` fills once the
    weights are trained: unit variance is what the flow's noise has. Defaults are ACMDM's.
    """

    latent_shift: Tensor
    latent_scale: Tensor

    def __init__(
        self,
        coordinates: Size = 3,
        channels: Size = 4,
        width: Size = 512,
        depth: Depth = 3,
        dropout: Dropout = 0.2,
    ):
        super().__init__()
        self.channels = channels

        def blocks() -> list[nn.Module]:
            return [ResidualBlock(width, 3**power, dropout) for power in reversed(range(depth))]

        self.encoder = _Encoder(coordinates, channels, width, blocks)
        self.decoder = _Decoder(coordinates, channels, width, blocks)
        self.register_buffer("latent_shift", torch.zeros(channels))
        self.register_buffer("latent_scale", torch.ones(channels))

    def encode(
        self,
        x: Float[Tensor, "batch frames joints coordinates"],
        mask: Bool[Tensor, "batch frames"],
    ) -> Float[Tensor, "batch tokens joints channels"]:
        """Latents of normalised positions, one per four frames, zero on padding.

        Values where ``mask`` is false do not matter: the last real frame stands there, also where
        the frames are no multiple of four.
        """
        raw = self.encoder(hold_last(x, mask, FRAMES_PER_TOKEN).permute(0, 3, 1, 2)).permute(
            0, 2, 3, 1
        )
        latents = (raw - self.latent_shift) / self.latent_scale
        return latents.masked_fill(~token_mask(mask)[..., None, None], 0)

    def decode(
        self,
        latents: Float[Tensor, "batch tokens joints channels"],
        mask: Bool[Tensor, "batch frames"],
    ) -> Float[Tensor, "batch frames joints coordinates"]:
        """Normalised positions, as many frames as ``mask`` has, zero on padding.

        Raises RequestError where the latents are not one for every four of these frames.
        """
        if latents.shape[1] != -(-mask.shape[1] // FRAMES_PER_TOKEN):
            raise RequestError(
                f"{latents.shape[1]} latents for {mask.shape[1]} frames: one stands for "
                f"{FRAMES_PER_TOKEN} frames"
            )
        raw = latents * self.latent_scale + self.latent_shift
        x = self.decoder(raw.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)[:, : mask.shape[1]]
        return x.masked_fill(~mask[..., None, None], 0)

    @torch.no_grad()
    def start_as_copy(self) -> None:
        """Change fresh weights such that a latent holds the positions of its fourth frame.

        ``decode`` then repeats them for all four frames: what is left to learn is the motion
        between, and training from there is ten times as fast. The first channels carry the
        positions through every layer, the others keep their random weights.

        Raises RequestError for fewer channels than coordinates, or a width below two for each.
        """
        count = self.encoder.first.in_channels
        if self.channels < count or self.encoder.first.out_channels < 2 * count:
            raise RequestError(
                f"an auto-encoder that starts as a copy of {count} coordinates needs {count} "
                f"channels and a width of {2 * count}: give more, or start_as_copy=false"
            )
        for name, module in self.named_modules():
            if isinstance(module, ResidualBlock):
                _silence(module.conv2, count)
            elif isinstance(module, nn.Conv2d) and not name.endswith(("conv1", "conv2")):
                _pass_on(module, count)
        # x = SiLU(x) - SiLU(-x) passes the one layer that has no way around its nonlinearity.
        hidden, last = self.decoder.hidden, self.decoder.last
        hidden.weight[count : 2 * count] = -hidden.weight[:count]
        hidden.bias[count : 2 * count] = 0
        last.weight[:, count : 2 * count] = -last.weight[:, :count]

    @torch.no_grad()
    def fit_rescaling(self, clips: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set shift and scale to mean and deviation per channel of the latents of (x, mask) pairs.

        Raises RequestError where a channel of the latents never changes, or there is none.
        """
        self.latent_shift.zero_()
        self.latent_scale.fill_(1)
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for x, mask in clips:
            values = self.encode(x, mask)[token_mask(mask)].reshape(-1, self.channels).double()
            count += len(values)
            total, squares = total + values.sum(0), squares + values.square().sum(0)
        mean = total / max(count, 1)
        deviation = (squares / max(count, 1) - mean.square()).clamp(min=0).sqrt()
        if not (deviation > 0).all():
            raise RequestError("latents that never change have no scale: train the auto-encoder")
        self.latent_shift.copy_(mean)
        self.latent_scale.copy_(deviation)


def token_mask(mask: Bool[Tensor, "batch frames"]) -> Bool[Tensor, "batch tokens"]:
    """Which latents are real: those with a real frame among their four."""
    return group_mask(mask, FRAMES_PER_TOKEN)


class _Encoder(nn.Module):
    def __init__(self, coordinates: int, channels: int, width: int, blocks: Callable):
        super().__init__()
        self.first = nn.Conv2d(coordinates, width, (3, 1))
        self.layers = nn.Sequential(
            *(nn.ZeroPad2d((0, 0, 2, 0)), nn.Conv2d(width, width, (4, 1), (2, 1)), *blocks()),
            *(nn.ZeroPad2d((0, 0, 2, 0)), nn.Conv2d(width, width, (4, 1), (2, 1)), *blocks()),
        )
        self.last = nn.Conv2d(width, channels, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, coordinates, frames, joints) -> (batch, channels, frames / 4, joints)."""
        return _causal(self.last, self.layers(_causal(self.first, x)))


class _Decoder(nn.Module):
    def __init__(self, coordinates: int, channels: int, width: int, blocks: Callable):
        super().__init__()
        self.first = nn.Conv2d(channels, width, (3, 1))
        self.layers = nn.Sequential(*blocks(), _Doubling(width), *blocks(), _Doubling(width))
        self.hidden = nn.Conv2d(width, width, (3, 1))
        self.last = nn.Conv2d(width, coordinates, (3, 1))

    def forward(self, z: Tensor) -> Tensor:
        """(batch, channels, tokens, joints) -> (batch, coordinates, 4 tokens, joints)."""
        hidden = _causal(self.hidden, self.layers(_causal(self.first, z)))
        return _causal(self.last, silu(hidden))


class ResidualBlock(nn.Module):
    """x + Conv 1(SiLU(dilated causal Conv 3(SiLU(x)))), with dropout on what is added."""

    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, (3, 1), dilation=(dilation, 1))
        self.conv2 = nn.Conv2d(width, width, (1, 1))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, frames, joints) -> the same shape."""
        return x + self.dropout(self.conv2(silu(_causal(self.conv1, silu(x)))))


class _Doubling(nn.Module):
    """Every frame twice, then a causal convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return _causal(self.conv, interpolate(x, scale_factor=(2.0, 1.0), mode="nearest"))


def _silence(conv: nn.Conv2d, count: int) -> None:
    """Let the first ``count`` outputs be zero."""
    conv.weight[:count] = 0
    conv.bias[:count] = 0


def _pass_on(conv: nn.Conv2d, count: int) -> None:
    """Let the first ``count`` outputs be the same inputs of the present frame (the last tap)."""
    _silence(conv, count)
    places = range(count)
    conv.weight[places, places, -1] = 1


def _causal(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The convolution (stride 1) with zeros before the first frame and none after the last."""
    return conv(pad(x, (0, 0, (conv.kernel_size[0] - 1) * conv.dilation[0], 0)))
