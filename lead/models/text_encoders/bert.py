"""BERT's encoder (Devlin et al. 2018) over a folder in Hugging Face's layout, without its library.

Reading a network of 22 million numbers takes less than importing the library that describes it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, layer_norm, linear, scaled_dot_product_attention

from lead.core.errors import LeadError, RequestError
from lead.core.reading import read_tensors
from lead.core.runs import misfits
from lead.core.schema import Schema, read_file

LAYERS_MOST = 1000
Count = Annotated[int, Field(ge=1, le=1 << 20)]


class BertSizes(Schema):
    """What config.json says of the network."""

    hidden_size: Count
    num_attention_heads: Count
    num_hidden_layers: Annotated[int, Field(ge=1, le=LAYERS_MOST)]
    intermediate_size: Count
    vocab_size: Count
    max_position_embeddings: Count
    type_vocab_size: Count = 2
    layer_norm_eps: Annotated[float, Field(gt=0, lt=1)] = 1e-12
    hidden_act: Literal["gelu"] = "gelu"
    position_embedding_type: Literal["absolute"] = "absolute"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each tensor of the network with its shape."""
        width, inner = self.hidden_size, self.intermediate_size
        tables = {"word": self.vocab_size, "position": self.max_position_embeddings}
        tables["token_type"] = self.type_vocab_size
        found = {f"embeddings.{of}_embeddings.weight": (rows, width) for of, rows in tables.items()}
        maps = {f"attention.self.{of}": (width, width) for of in ("query", "key", "value")}
        maps |= {"attention.output.dense": (width, width), "intermediate.dense": (inner, width)}
        maps["output.dense"] = (width, inner)
        norms = ["embeddings.LayerNorm"]
        for layer in range(self.num_hidden_layers):
            start = f"encoder.layer.{layer}"
            for of, shape in maps.items():
                found |= {f"{start}.{of}.weight": shape, f"{start}.{of}.bias": shape[:1]}
            norms += [f"{start}.attention.output.LayerNorm", f"{start}.output.LayerNorm"]
        return found | {f"{of}.{end}": (width,) for of in norms for end in ("weight", "bias")}


class Bert(nn.Module):
    """Input vectors of words -> vectors of words that have seen one another; no dropout.

    Tensors keep their names of the file, with ``__`` for a point.
    """

    def __init__(self, sizes: BertSizes, tensors: Mapping[str, Tensor]):
        super().__init__()
        self.sizes = sizes
        for name in sizes.shapes:
            self.register_parameter(name.replace(".", "__"), nn.Parameter(tensors[name].float()))

    def look_up(self, ids: Int[Tensor, "batch words"]) -> Float[Tensor, "batch words width"]:
        """The input vector of each id."""
        return embedding(ids, self._at("embeddings.word_embeddings.weight"))

    def forward(
        self, x: Float[Tensor, "batch words width"], mask: Bool[Tensor, "batch words"]
    ) -> Float[Tensor, "batch words width"]:
        """Positions and kind are added to ``x``; words outside ``mask`` are seen by none."""
        x = x + self._at("embeddings.token_type_embeddings.weight")[0]
        x = x + self._at("embeddings.position_embeddings.weight")[: x.shape[1]]
        x = self._norm(x, "embeddings")
        for layer in range(self.sizes.num_hidden_layers):
            start = f"encoder.layer.{layer}"
            heads = (
                self._map(x, f"{start}.attention.self.{of}").unflatten(
                    -1, (self.sizes.num_attention_heads, -1)
                )
                for of in ("query", "key", "value")
            )
            q, k, v = (of.transpose(1, 2) for of in heads)
            seen = scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
            seen = self._map(seen.transpose(1, 2).flatten(2), f"{start}.attention.output.dense")
            x = self._norm(x + seen, f"{start}.attention.output")
            inner = gelu(self._map(x, f"{start}.intermediate.dense"))
            x = self._norm(x + self._map(inner, f"{start}.output.dense"), f"{start}.output")
        return x

    def _at(self, name: str) -> Tensor:
        return getattr(self, name.replace(".", "__"))

    def _map(self, x: Tensor, name: str) -> Tensor:
        return linear(x, self._at(f"{name}.weight"), self._at(f"{name}.bias"))

    def _norm(self, x: Tensor, name: str) -> Tensor:
        scale, shift = (self._at(f"{name}.LayerNorm.{end}") for end in ("weight", "bias"))
        return layer_norm(x, x.shape[-1:], scale, shift, self.sizes.layer_norm_eps)


def load_bert(folder: Path, name: str) -> Bert:
    """The network of a folder, in float32; RequestError where files are broken or do not fit."""
    where = f"text encoder '{name}': {folder}"
    try:
        sizes = read_file(BertSizes, folder / "config.json", "copy the model's folder anew")
        tensors = read_tensors(folder / "model.safetensors")
    except LeadError as error:
        raise RequestError(f"text encoder '{name}': cannot read the network: {error}") from error
    if sizes.hidden_size % sizes.num_attention_heads:
        raise RequestError(f"{where} has {sizes.num_attention_heads} heads that share no width")
    tensors = {key.removeprefix("bert."): tensor for key, tensor in tensors.items()}
    known = {key: tensor for key, tensor in tensors.items() if key in sizes.shapes}
    if problems := misfits(sizes.shapes, known):
        raise RequestError(
            f"{where} holds another model than BERT: {len(problems)} weights do not fit, first "
            f"{min(problems)}"
        )
    return Bert(sizes, known)


def load_word_pieces(folder: Path, name: str):
    """The tokenizer of tokenizer.json, which neither cuts nor pads; RequestError for another."""
    from tokenizers import Tokenizer

    try:
        pieces = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library has no class of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RequestError(
            f"text encoder '{name}': cannot read the tokenizer in {folder} ({reason}): copy "
            "tokenizer.json of the same model"
        ) from error
    pieces.no_truncation()
    pieces.no_padding()
    return pieces
