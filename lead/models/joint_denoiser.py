"""MoTe's MTDM: the noise of latents of a motion and of its sentence, each at a time of its own."""

from typing import Annotated, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu

from lead.core.masks import without_padding
from lead.core.schema import one_of
from lead.core.sizes import Layers, Scale, Size
from lead.models.blocks.dpd import INTERACTIONS, DpdBlock
from lead.models.blocks.flow_layers import (
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
CLEAN = -1  # the timestep of latents without noise
EMPTY = ("token", "noise")
"""How "no condition" is read: a learned token, or pure noise at the last time."""


class Side(NamedTuple):
    """Latents of one modality. Rows that are not ``given`` are its empty token instead."""

    z_t: Float[Tensor, "batch tokens dim"]
    timestep: Int[Tensor, " batch"]
    given: Bool[Tensor, " batch"]
    mask: Bool[Tensor, "batch tokens"] | None = None  # None: all tokens are real


class Modality(nn.Module):
    """Latents of one modality in and out of the blocks, and its time as a vector."""

    def __init__(self, dim: int, width: int, longest: int, heads: int):
        super().__init__()
        self.head_dim, self.base = width // heads, rotary_base(longest)
        self.input_layer = nn.Linear(dim, width)
        self.empty = nn.Parameter(0.02 * torch.randn(width))
        self.time_layers = nn.Sequential(
            nn.Linear(TIME_WAVES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.absent = nn.Parameter(torch.zeros(width))  # in place of a time
        self.final_norm = RmsNorm(width)
        self.final_modulation = nn.Linear(width, 2 * width)
        self.output_layer = nn.Linear(width, dim)

    def tokens(self, side: Side) -> tuple[Tensor, Tensor | None]:
        """Tokens (batch, tokens, width), and which may be read (batch, 1, 1, tokens).

        Of an empty modality it is the first one alone: how many there would be is not told.
        """
        given = side.given[:, None, None]
        x = self.input_layer(side.z_t)
        x = torch.where(given, x, self.empty.to(x.dtype))
        whole = side.mask is None or without_padding(side.mask)
        if whole and x.device.type == "cpu" and bool(side.given.all()):
            return x, None
        first = torch.arange(x.shape[1], device=x.device) == 0
        mask = torch.ones_like(x[..., 0], dtype=torch.bool) if side.mask is None else side.mask
        return x, (mask & (given[:, 0] | first))[:, None, None]

    def time(self, side: Side) -> Float[Tensor, "batch width"]:
        """The time of each row; clean latents are at 0, the first timestep is 1."""
        waves = sinusoid(side.timestep + 1, TIME_WAVES).to(side.z_t.dtype)
        vector = self.time_layers(waves)
        return torch.where(side.given[:, None], vector, self.absent.to(vector.dtype))

    def rotary(self, x: Tensor) -> Tensor:
        """The places of so many tokens."""
        return rotary_waves(x.shape[1], self.head_dim, self.base, x.device)

    def noise(self, x: Tensor, condition: Tensor) -> Tensor:
        """What the tokens say of the noise."""
        shift, scale = self.final_modulation(silu(condition)).chunk(2, dim=-1)
        return self.output_layer(modulate(self.final_norm(x), shift, scale))


class JointDenoiser(nn.Module):
    """``layers`` blocks of two transformer layers, for motion and for text, and an interaction.

    Either modality has a time: clean latents are a condition, pure noise at the last time is none.
    The condition of all layers is the sum of both times. ``interaction`` is in_context (attention
    among the tokens of both), cross_attention (each reads the other) or adaln (each is scaled by
    the other's mean).

    ``empty`` says what stands for a modality that is not there, in training and afterwards, see
    ``nothing``.

    ``reads_words``: where the sentence is a condition, and there alone, motion also reads the
    vectors of the text encoder that its latents were made of, as a flow does: pooled vector in the
    condition, tokens by attention. Small latents of sentences leave out what is rarely said.
    ``text_scale`` and ``word_scale`` bring them to unit size.
    """

    def __init__(
        self,
        channels: Size = 32,
        sentence_tokens: Size = 8,
        sentence_dim: Size = 32,
        width: Size = 192,
        layers: Layers = 4,
        heads: Size = 3,
        interaction: Annotated[str, one_of(INTERACTIONS)] = "in_context",
        empty: Annotated[str, one_of(EMPTY)] = "token",
        reads_words: bool = True,
        text_dim: Size = 384,
        text_scale: Scale = 1.0,
        word_scale: Scale = 1.0,
        longest: Size = 49,
    ):
        super().__init__()
        check_rotary_heads(width, heads)
        self.channels, self.reads_words, self.text_dim = channels, reads_words, text_dim
        self.empty, self.interaction = empty, interaction
        self.sentence_shape = (sentence_tokens, sentence_dim)
        self.text_scale, self.word_scale = text_scale, word_scale
        self.motion = Modality(channels, width, longest, heads)
        self.text = Modality(sentence_dim, width, sentence_tokens, heads)
        self.text_layer = nn.Linear(text_dim, width) if reads_words else None
        self.blocks = nn.ModuleList(
            DpdBlock(width, heads, interaction, text_dim if reads_words else 0)
            for _ in range(layers)
        )
        sides = (self.motion, self.text)
        silent = [layer for block in self.blocks for layer in block.silent]
        silent += [layer for of in sides for layer in (of.final_modulation, of.output_layer)]
        times = [layer for of in sides for layer in (of.time_layers[0], of.time_layers[2])]
        start_silent(self, times, silent)

    def nothing(self, noise: Tensor, last: int, mask: Tensor | None = None) -> Side:
        """A modality that is not there; ``last`` is the last timestep."""
        timestep = torch.full((len(noise),), last, device=noise.device)
        given = torch.full_like(timestep, self.empty == "noise", dtype=torch.bool)
        return Side(noise, timestep, given, mask)

    def forward(
        self,
        motion: Side,
        text: Side,
        words: Float[Tensor, "batch words text_dim"] | None = None,
        word_mask: Bool[Tensor, "batch words"] | None = None,
    ) -> tuple[Float[Tensor, "batch tokens channels"], Float[Tensor, "batch latents dim"]]:
        """The noise in the latents of motion and of text.

        ``words`` are the text encoder's vectors of the sentences, the pooled one first; rows whose
        text is not clean and given read nothing of them. None stands for no words at all.
        """
        common = (self.motion.time(motion) + self.text.time(text))[:, None]
        (x, seen_x), (y, seen_y) = self.motion.tokens(motion), self.text.tokens(text)
        condition, local = self._read(common, text, words, word_mask)
        places = (self.motion.rotary(x), self.text.rotary(y))
        for block in self.blocks:
            x, y = block(x, y, (condition, common), places, (seen_x, seen_y), local)
        return self.motion.noise(x, condition).float(), self.text.noise(y, common).float()

    def _read(
        self, common: Tensor, text: Side, words: Tensor | None, word_mask: Tensor | None
    ) -> tuple[Tensor, tuple]:
        """The condition of motion's layers, and what they read from words."""
        if self.text_layer is None:
            return common, ()
        if words is None:
            words, word_mask = common.new_zeros(len(common), 1, self.text_dim), None
            reads = torch.zeros_like(text.given)
        else:
            check_text(words, self.text_dim, "run")
            reads = text.given & (text.timestep == CLEAN)
        share = reads.to(common)[:, None, None]
        words = words.to(common) * share
        condition = common + self.text_layer(words[:, :1] * self.text_scale)
        start = min(1, words.shape[1] - 1)
        seen = None if word_mask is None else word_mask[:, start:]
        return condition, (words[:, start:] * self.word_scale, seen, share)
