"""CLIP's text tower by the open_clip package (extra ``openclip``), e.g. for LAION's weights.

The layout is the one open_clip publishes: ``open_clip_config.json`` beside
``open_clip_model.safetensors``. Only the text half of the weights is read.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.reading import check_regular, read_json, read_tensors
from lead.core.schema import ClosedSchema, Positive, Schema, check
from lead.core.sizes import Some
from lead.models.text_encoders.base import TextEmbedding
from lead.models.text_encoders.clip import at_end_mark
from lead.models.text_encoders.loading import FolderEncoder
from lead.models.text_encoders.locate import locate_model

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
COPY = "copy it from the model's folder on the hub"

_Size = Annotated[int, Field(ge=1, le=1 << 20)]


class _Tower(ClosedSchema):
    """A plain CLIP text tower; what open_clip calls it otherwise is another kind."""

    context_length: _Size = 77
    vocab_size: _Size = 49408
    width: _Size
    heads: _Size
    layers: Annotated[int, Field(ge=1, le=1000)]
    mlp_ratio: Positive = 4.0


class _Config(Schema):
    """open_clip_config.json, or its entry ``model_cfg``."""

    embed_dim: _Size
    quick_gelu: bool = False
    text_cfg: _Tower


class OpenClipTextEncoder(FolderEncoder):
    """CLIP's text tower, the same numbers as ClipTextEncoder for the same weights.

    ``tokens`` are the states after the final layer norm, ``pooled`` is the projection of the
    state at the first end-of-text mark, not normalised.
    """

    def __init__(
        self,
        name: str = "open_clip_l14",
        path: str | Path | None = None,
        hub: str | None = "timm/vit_large_patch14_clip_224.openai",
        batch_size: Some = 64,
    ):
        package = _import_open_clip(name)
        folder = locate_model(name, path=path, hub=hub, files=(CONFIG, WEIGHTS))
        super().__init__("open_clip", name, folder, batch_size)
        self.model = _load_tower(package, self._folder, name)
        self.max_words = self.model.context_length
        self.tokenizer = package.SimpleTokenizer(context_length=self.max_words)
        self.dim = self.model.output_dim
        self._check()
        freeze(self)

    def pieces(self, text: str, *, spaced: bool = True) -> list[int]:  # noqa: ARG002
        """Word pieces; CLIP's end with the word and know nothing of spaces."""
        return self.tokenizer.encode(text)

    def add_marks(self, ids: list[int]) -> list[int]:
        """Start mark, the ids, and one end mark, within the model's 77 positions."""
        start, end = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id
        row = [start, *ids[: self.max_words - 2], end]
        return row[: row.index(end) + 1]

    def embed_ids(self, ids: Int[Tensor, "batch words"]) -> Float[Tensor, "batch words width"]:
        """Look up the input vector of each id (positions are added later)."""
        return self.model.token_embedding(ids)

    def encode_embeddings(
        self, inputs_embeds: Float[Tensor, "batch words width"], mask: Bool[Tensor, "batch words"]
    ) -> TextEmbedding:
        """Run the tower on input vectors; the last real word must be the end mark."""
        tower, words = self.model, inputs_embeds.shape[1]
        hidden = tower.transformer(
            inputs_embeds + tower.positional_embedding[:words],
            attn_mask=tower.attn_mask[:words, :words],
        )
        hidden = tower.ln_final(hidden)
        pooled = at_end_mark(hidden, mask) @ tower.text_projection
        return TextEmbedding(hidden * mask[..., None], mask, pooled)

    def _check(self) -> None:
        place = f"text encoder '{self.name}': {self._folder / CONFIG}"
        size = self.tokenizer.vocab_size
        if self.model.vocab_size != size:
            raise RequestError(
                f"{place} has a vocabulary of {self.model.vocab_size}, open_clip's tokenizer "
                f"{size}: use a CLIP with the original vocabulary"
            )
        if self.model.width != self.dim:
            raise RequestError(
                f"{place} has words of {self.model.width} and sentences of {self.dim} dimensions: "
                "use a CLIP where the two are equal"
            )


def _import_open_clip(name: str) -> Any:
    try:
        import open_clip
    except (ImportError, RuntimeError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RequestError(
            f"text encoder '{name}' needs open_clip, which does not load here ({reason}): "
            "pip install '.[openclip]' in lead's folder (with a torchvision that fits torch), "
            "or take text_encoder=clip_l14, the same model by transformers"
        ) from error
    return open_clip


def _load_tower(package: Any, folder: Path, name: str) -> nn.Module:
    found = read_json(folder / CONFIG)
    where = f"text encoder '{name}': {folder / CONFIG}"
    advice = "a plain CLIP text tower is needed"
    config = check(_Config, found.get("model_cfg", found), where, advice, error=RequestError)
    activation = package.transformer.QuickGELU if config.quick_gelu else nn.GELU
    sizes = {"output_dim": config.embed_dim, **config.text_cfg.model_dump(exclude_unset=True)}
    build = partial(package.transformer.TextTransformer, act_layer=activation, **sizes)
    weights = check_regular(folder / WEIGHTS, advice=COPY)
    try:
        with torch.device("meta"):  # takes no memory: a tower larger than its file is not built
            numbers = sum(parameter.numel() for parameter in build().parameters())
        if numbers > weights.stat().st_size:
            raise ValueError
        tower = build()
        tower.load_state_dict(_text_weights(weights, set(tower.state_dict())))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise RequestError(
            f"text encoder '{name}': {folder / WEIGHTS} does not fit {CONFIG}: copy both anew"
        ) from error
    return tower


def _text_weights(file: Path, wanted: set[str]) -> dict[str, Tensor]:
    """The text tower's weights as float32, with or without the prefix ``text.``."""
    tensors = read_tensors(file, lambda name: name.removeprefix("text.") in wanted, advice=COPY)
    return {name.removeprefix("text."): tensor.float() for name, tensor in tensors.items()}
