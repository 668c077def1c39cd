"""Stage 3: the projector that realigns VAE latents with the text encoder's space (LEAD 4.1)."""

from inspect import signature
from typing import Annotated

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lead.core.schema import one_of
from lead.core.sizes import Dropout, Layers, Size
from lead.models.blocks.positions import SinusoidalPositions
from lead.models.blocks.skip_stack import SkipStack, check_heads


class _Tokenwise(nn.Sequential):
    """Layers one after the other; those that look from token to token are told what is real."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (batch, tokens, inputs) -> (batch, tokens, outputs)."""
        padding = {} if mask is None else {"src_key_padding_mask": ~mask}
        for layer in self:
            takes = signature(layer.forward).parameters.keys() & {"src_key_padding_mask", "masks"}
            x = layer(x, **padding) if padding and takes else layer(x)
        return x


def _between(inputs: int, width: int, outputs: int, *body: nn.Module) -> nn.Module:
    return _Tokenwise(nn.Linear(inputs, width), *body, nn.Linear(width, outputs))


def _layer(width: int, heads: int, feed_forward: int, dropout: float) -> nn.Module:
    check_heads(width, heads)
    return nn.TransformerEncoderLayer(
        width, heads, feed_forward, dropout, activation="gelu", batch_first=True
    )


class _ResidualBlock(nn.Module):
    """Two linear maps with GELU between, added to the input: without it 18 maps let nothing by."""

    def __init__(self, width: int, feed_forward: int, dropout: float):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.LayerNorm(width), nn.Linear(width, feed_forward), nn.GELU(), nn.Dropout(dropout)),
            nn.Linear(feed_forward, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, tokens, width) -> the same shape."""
        return x + self.body(x)


def _transformer(inputs, width, outputs, layers, heads, feed_forward, dropout) -> nn.Module:
    blocks = [_layer(width, heads, feed_forward, dropout) for _ in range(layers)]
    return _between(
        inputs, width, outputs, SinusoidalPositions(width), *blocks, nn.LayerNorm(width)
    )


def _skip(inputs, width, outputs, layers, heads, feed_forward, dropout) -> nn.Module:
    stack = SkipStack(lambda: _layer(width, heads, feed_forward, dropout), layers, width)
    return _between(inputs, width, outputs, SinusoidalPositions(width), stack)


def _mlp(inputs, width, outputs, layers, heads, feed_forward, dropout) -> nn.Module:  # noqa: ARG001
    blocks = [_ResidualBlock(width, feed_forward, dropout) for _ in range(layers)]
    return _between(inputs, width, outputs, *blocks, nn.LayerNorm(width))


def _linear(inputs, width, outputs, layers, heads, feed_forward, dropout) -> nn.Module:  # noqa: ARG001
    return nn.Linear(inputs, outputs)


def _through(body: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    alone = mask is None or not isinstance(body, _Tokenwise)
    return body(x) if alone else body(x, mask)


Real = Bool[Tensor, "batch tokens"] | None
BODIES = {"transformer": _transformer, "skip": _skip, "mlp": _mlp, "linear": _linear}


class Projector(nn.Module):
    """Auto-encoder P = (E_proj, D_proj) between latents and the text encoder's space (LEAD eq. 3).

    ``kind`` is one of transformer (the paper's choice), skip, mlp, linear (table 6 and a control).
    The paper's "hidden size 1024" is read as MLD's feed-forward width, with model width 256; both
    are options. With several latent tokens each is projected, and their mean is what is aligned.
    Where they keep time ``mask`` says which are real; what padding becomes means nothing.
    """

    def __init__(
        self,
        latent_dim: Size = 256,
        text_dim: Size = 768,
        kind: Annotated[str, one_of(BODIES)] = "transformer",
        width: Size = 256,
        layers: Layers = 9,
        heads: Size = 4,
        feed_forward: Size = 1024,
        dropout: Dropout = 0.1,
    ):
        super().__init__()
        options = {"heads": heads, "feed_forward": feed_forward, "dropout": dropout}
        body = BODIES[kind]
        self.encoder = body(latent_dim, width, text_dim, layers, **options)
        self.decoder = body(text_dim, width, latent_dim, layers, **options)

    def encode(
        self, z: Float[Tensor, "batch tokens dim"], mask: Real = None
    ) -> Float[Tensor, "batch tokens text_dim"]:
        """Latents -> the realigned space."""
        return _through(self.encoder, z, mask)

    def decode(
        self, z_proj: Float[Tensor, "batch tokens text_dim"], mask: Real = None
    ) -> Float[Tensor, "batch tokens dim"]:
        """The realigned space -> latents."""
        return _through(self.decoder, z_proj, mask)

    def forward(
        self, z: Float[Tensor, "batch tokens dim"], mask: Real = None
    ) -> Float[Tensor, "batch tokens dim"]:
        """Latents through the realigned space and back: what LEAD does after sampling."""
        return self.decode(self.encode(z, mask), mask)
