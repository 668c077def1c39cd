"""Stage 2 of flows: the velocity of joint latents, given time and text (ACMDM, MLA-Gen)."""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from lead.core.errors import RequestError
from lead.core.masks import without_padding
from lead.core.sizes import Layers, Scale, Size, SizeOrNone
from lead.models.blocks.flow_layers import (
    FlowBlock,
    check_rotary_heads,
    modulate,
    rotary_base,
    rotary_waves,
    start_silent,
)
from lead.models.blocks.positions import sinusoid
from lead.models.blocks.rms_norm import RmsNorm
from lead.models.blocks.skip_stack import check_text

TIME_WAVES = 256
Share = Annotated[float, Field(ge=0, le=1)]


class FlowTransformer(nn.Module):
    """ACMDM's transformer over patches of ``patch`` joints of one latent frame.

    The condition of all tokens is time plus the sentence's vector, through AdaLN. A vector of
    zeros means "no text": what remains is the bias of ``text_layer``. Padded tokens are read by
    nobody; their own velocity means nothing.

    MLA-Gen's parts are off by default. ``memory_slots``: so many learned slots in each layer.
    ``local_every``: every so many layers motion tokens attend to the words, weighted by
    ``local_weight`` (lambda), of which unconditional rows keep the share ``unconditional_local``.
    ``sink_threshold``: at times above it nobody reads the start token. The attributes
    ``sink_threshold``, ``sink_word`` (the word that is masked, the start token unless set) and
    ``unconditional_local`` may be changed on a trained network.

    Text encoders give sentences and words of very different lengths: ``text_scale`` multiplies the
    pooled vector, ``word_scale`` the tokens. The stage sets both such that the entries of its
    training captions have mean square one.

    Defaults are ACMDM-S's: 8 layers, 512 wide, one token a latent frame.
    """

    def __init__(
        self,
        channels: Size = 4,
        joints: Size = 22,
        patch: Size = 22,
        width: Size = 512,
        layers: Layers = 8,
        heads: Size = 8,
        text_dim: Size = 512,
        text_scale: Scale = 1.0,
        word_scale: Scale = 1.0,
        longest: Size = 49,
        memory_slots: SizeOrNone = 0,
        local_every: Annotated[int, Field(ge=0, le=99)] = 0,
        local_weight: Scale = 1.0,
        unconditional_local: Share = 0.5,
        sink_threshold: Share = 1.0,
    ):
        super().__init__()
        check_rotary_heads(width, heads)
        if joints % patch:
            raise RequestError(f"{joints} joints are no multiple of patch {patch}: take a divisor")
        self.channels, self.joints, self.patch, self.text_dim = channels, joints, patch, text_dim
        self.head_dim, self.text_scale, self.word_scale = width // heads, text_scale, word_scale
        self.base = rotary_base(longest * joints // patch)
        self.local_weight, self.unconditional_local = local_weight, unconditional_local
        self.sink_threshold, self.sink_word = sink_threshold, 0
        self.time_layers = nn.Sequential(
            nn.Linear(TIME_WAVES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.text_layer = nn.Linear(text_dim, width)
        self.input_layer = nn.Conv2d(channels, width, (1, patch), stride=(1, patch))
        self.blocks = nn.ModuleList(
            FlowBlock(
                *(width, heads, memory_slots),
                text_dim=text_dim if local_every and (layer + 1) % local_every == 0 else 0,
            )
            for layer in range(layers)
        )
        self.final_norm = RmsNorm(width)
        self.final_modulation = nn.Linear(width, 2 * width)
        self.output_layer = nn.Linear(width, patch * channels)
        silent = [layer for block in self.blocks for layer in block.silent]
        silent += [self.final_modulation, self.output_layer]
        start_silent(self, (self.time_layers[0], self.time_layers[2]), silent)

    def forward(
        self,
        z_t: Float[Tensor, "batch tokens joints channels"],
        time: Float[Tensor, " batch"],
        text_embedding: Float[Tensor, "batch words text_dim"],
        mask: Bool[Tensor, "batch tokens"] | None = None,
        word_mask: Bool[Tensor, "batch words"] | None = None,
        conditional: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch tokens joints channels"]:
        """Velocity at ``time`` (0 noise, 1 data). ``mask`` says which latent frames are real.

        The first of the words is the sentence's pooled vector; behind it stand, for local
        conditioning, the text encoder's tokens with the start token first (where there are none,
        the pooled vector is the only one), and ``word_mask`` says which of all these are real.
        Rows that are not ``conditional`` lose the pooled vector and keep
        ``unconditional_local`` of the local condition; None means that all are conditional.
        Raises RequestError for text of another width.
        """
        check_text(text_embedding, self.text_dim, "flow")
        given = time.new_ones(len(time)) if conditional is None else conditional.to(time)
        text = text_embedding.to(z_t.dtype)
        pooled = self.text_layer(text[:, 0] * (self.text_scale * given[:, None]))
        waves = sinusoid(time, TIME_WAVES).to(z_t.dtype)
        local = self._local(text, time, word_mask, given)
        return self.transform(z_t, self.time_layers(waves) + pooled, local, mask)

    def transform(
        self,
        z_t: Float[Tensor, "batch tokens joints channels"],
        condition: Float[Tensor, "batch width"],
        local: tuple,
        mask: Bool[Tensor, "batch tokens"] | None,
    ) -> Float[Tensor, "batch tokens joints channels"]:
        """What all layers make of latents, given time and sentence in one vector, and the words."""
        x, seen, condition = self._patches(z_t), self._seen(mask), condition[:, None]
        rotary = rotary_waves(x.shape[1], self.head_dim, self.base, x.device)
        for block in self.blocks:
            x = block(x, condition, rotary, seen, local)
        shift, scale = self.final_modulation(silu(condition)).chunk(2, dim=-1)
        out = self.output_layer(modulate(self.final_norm(x), shift, scale))
        return out.unflatten(-1, (self.patch, self.channels)).reshape(z_t.shape)

    def _patches(self, z_t: Tensor) -> Tensor:
        """The convolution over joints as the product that it is: (batch, patches, width).

        In bfloat16 torch's own has given NaN on some processors, for so few channels.
        """
        patches = z_t.unflatten(2, (-1, self.patch)).flatten(1, 2).flatten(2)
        weight = self.input_layer.weight[:, :, 0].transpose(1, 2).flatten(1)
        return linear(patches, weight, self.input_layer.bias)

    def _seen(self, mask: Tensor | None) -> Tensor | None:
        """Which tokens may be read (batch, 1, 1, tokens); every patch of a real latent frame."""
        if mask is None or without_padding(mask):
            return None
        return mask.repeat_interleave(self.joints // self.patch, dim=1)[:, None, None]

    def _local(
        self, text: Tensor, time: Tensor, word_mask: Tensor | None, given: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Words, which of them are seen, and the weight of what is read from them, per row."""
        start = 1 if text.shape[1] > 1 else 0
        seen = None if word_mask is None else word_mask[:, start:]
        if self.sink_threshold < 1 and start:
            seen = torch.ones_like(text[:, start:, 0], dtype=torch.bool) if seen is None else seen
            seen = sink_mask(seen, time, self.sink_threshold, self.sink_word)
        weight = self.local_weight * (self.unconditional_local * (1 - given) + given)
        words = text[:, start:] * (self.word_scale if start else self.text_scale)
        return words, seen, weight[:, None, None].to(text)


def sink_mask(
    words: Bool[Tensor, "batch words"],
    time: Float[Tensor, " batch"],
    threshold: float,
    word: int | Tensor = 0,
) -> Bool[Tensor, "batch words"]:
    """MLA-Gen's sink-mask: the words that are read, without the start token where t > threshold.

    Their logits become minus infinity, so that the others share all of the attention. ``word``
    names another word, one for all rows or one per row, as a control.
    """
    places = torch.arange(words.shape[1], device=words.device)
    masked = places == torch.as_tensor(word, device=words.device).reshape(-1, 1)
    return words & ~(masked & (time > threshold)[:, None])
