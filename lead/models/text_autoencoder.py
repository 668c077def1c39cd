"""MoTe's TED: a sentence as few small latents, and back by a causal language model's prefix."""

from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear

from lead.core.errors import RequestError
from lead.core.sizes import Layers, Scale, Size
from lead.models.blocks.flow_layers import (
    GatedMlp,
    SelfAttention,
    TextAttention,
    check_rotary_heads,
    rotary_waves,
)
from lead.models.blocks.rms_norm import RmsNorm, unit_rms
from lead.models.blocks.skip_stack import check_heads, check_text

NOTHING = -100  # cross entropy passes over it
BASE = 100  # of the places of latents: there are few

Pieces = Annotated[int, Field(ge=1, le=1_000_000)]
Ids = Int[Tensor, "batch pieces"]


class LatentLayer(nn.Module):
    """Few tokens read one another, and the words of a sentence where there are any; then SwiGLU."""

    def __init__(self, width: int, heads: int, text_dim: int = 0):
        super().__init__()
        self.words = TextAttention(width, heads, text_dim) if text_dim else None
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.attention = SelfAttention(width, heads)
        self.mlp = GatedMlp(width)

    def forward(
        self, x: Tensor, text: Tensor | None = None, seen: Tensor | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """``seen`` says which words of ``text`` (batch, words, text_dim) are real."""
        if self.words is not None:
            x = x + self.words(x, text, seen)
        waves = rotary_waves(x.shape[1], x.shape[2] // self.attention.heads, BASE, x.device)
        x = x + self.attention(self.norm1(x), waves, None)
        return x + self.mlp(self.norm2(x))


class TextAutoencoder(nn.Module):
    """Vectors of a frozen text encoder -> latents -> the prefix of GPT-2, which writes.

    ``latent_tokens`` learned queries read the encoder's vectors (the pooled one first, times
    ``text_scale``, then those of its tokens, times ``word_scale``) in ``layers`` layers. Latents
    have mean square one in each token: noise of a known size can be added to them, and a decoder
    that was trained with it reads whatever lies between. Another ``layers`` layers make of them the
    prefix, one vector a latent token.

    The language model is transformers' GPT2LMHeadModel, whose outputs are its input vectors: of
    ``vocabulary`` pieces and ``longest`` of them, prefix included. ``end`` is the piece that ends a
    sentence.
    """

    def __init__(
        self,
        text_dim: Size = 384,
        text_scale: Scale = 1.0,
        word_scale: Scale = 1.0,
        latent_tokens: Size = 8,
        latent_dim: Size = 32,
        width: Size = 192,
        layers: Layers = 2,
        heads: Size = 3,
        vocabulary: Pieces = 2048,
        end: int = 0,
        longest: Size = 96,
        language_width: Size = 256,
        language_layers: Layers = 4,
        language_heads: Size = 4,
    ):
        super().__init__()
        check_rotary_heads(width, heads)
        check_heads(language_width, language_heads)
        if not 0 <= end < vocabulary:
            raise RequestError(f"end is piece {end} of {vocabulary}: it must be one of them")
        self.text_dim, self.text_scale, self.word_scale = text_dim, text_scale, word_scale
        self.latent_tokens, self.latent_dim = latent_tokens, latent_dim
        self.vocabulary, self.end, self.longest = vocabulary, end, longest
        self.queries = nn.Parameter(torch.randn(latent_tokens, width))
        self.reading = nn.ModuleList(LatentLayer(width, heads, text_dim) for _ in range(layers))
        self.to_latents = nn.Linear(width, latent_dim)
        self.from_latents = nn.Linear(latent_dim, width)
        self.writing = nn.ModuleList(LatentLayer(width, heads) for _ in range(layers))
        self.norm = RmsNorm(width)
        self.to_prefix = nn.Linear(width, language_width)
        self.language = make_language(
            vocabulary, longest, language_width, language_layers, language_heads
        )

    def encode(
        self,
        text: Float[Tensor, "batch words text_dim"],
        word_mask: Bool[Tensor, "batch words"] | None = None,
    ) -> Float[Tensor, "batch latent_tokens latent_dim"]:
        """Latents of sentences, their pooled vector first; padded words are read by nobody."""
        check_text(text, self.text_dim, "text auto-encoder")
        scale = text.new_full((text.shape[1], 1), self.word_scale)
        scale[0] = self.text_scale
        text, x = text * scale, self.queries.expand(len(text), -1, -1)
        for layer in self.reading:
            x = layer(x, text, word_mask)
        return unit_rms(self.to_latents(x).float())

    def prefix(
        self, latents: Float[Tensor, "batch latent_tokens latent_dim"]
    ) -> Float[Tensor, "batch latent_tokens language_width"]:
        """What the language model reads before it writes."""
        x = self.from_latents(latents)
        for layer in self.writing:
            x = layer(x)
        return self.to_prefix(self.norm(x))

    def logits(
        self,
        vectors: Float[Tensor, "batch places language_width"],
        cache: Any = None,
    ) -> Float[Tensor, "batch places vocabulary"]:
        """Of the piece after each place. ``cache`` holds what earlier calls were given."""
        kept = {"past_key_values": cache, "use_cache": cache is not None}
        made = self.language(inputs_embeds=vectors, **kept)
        return linear(made.last_hidden_state, self.language.wte.weight)

    def pieces(self, ids: Ids) -> Float[Tensor, "batch pieces language_width"]:
        """Input vectors of pieces."""
        return self.language.wte(ids)

    def forward(
        self, latents: Float[Tensor, "batch latent_tokens latent_dim"], ids: Ids
    ) -> Float[Tensor, "batch places vocabulary"]:
        """Logits at every place of prefix and sentence, the last of ``ids`` left out.

        Place ``latent_tokens - 1 + n`` tells the n-th of ``ids``; places before it are the
        prefix's and tell nothing.
        """
        return self.logits(torch.cat([self.prefix(latents), self.pieces(ids[:, :-1])], dim=1))


def make_language(vocabulary: int, longest: int, width: int, layers: int, heads: int) -> nn.Module:
    """transformers' GPT-2 with fresh weights and without dropout; its head is its own inputs."""
    from transformers import GPT2Config, GPT2Model

    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    config = GPT2Config(
        **{"vocab_size": vocabulary, "n_positions": longest, "n_embd": width, "n_layer": layers},
        **{"n_head": heads, "bos_token_id": None, "eos_token_id": None, **dropout},
    )
    config._attn_implementation = "eager"  # two products: torch's form trains slowly on processors
    return GPT2Model(config)


def targets(prefix: int, ids: Ids, lengths: Int[Tensor, " batch"]) -> Int[Tensor, "batch places"]:
    """What each place of ``forward`` has to tell; -100 on the prefix and behind the end: nothing.

    ``lengths`` counts the pieces of each sentence, its end included.
    """
    behind = torch.arange(ids.shape[1], device=ids.device) >= lengths[:, None]
    told = ids.masked_fill(behind, NOTHING)
    return torch.cat([told.new_full((len(ids), prefix - 1), NOTHING), told], dim=1)
