"""Sentence-T5 (Ni et al. 2021, https://arxiv.org/abs/2108.08877) from sentence-transformers' files.

The layout: a T5 encoder in the folder itself, and ``modules.json`` naming the folders of the
pooling (mean over words) and of the dense layer (1024 -> 768 without bias for the large model).
"""

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import ConfigDict, Field, RootModel
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.reading import check_regular, read_json_value, read_tensors
from lead.core.schema import FileName, Schema, read_file
from lead.core.sizes import Some
from lead.models.text_encoders.base import TextEmbedding, mean_of_words
from lead.models.text_encoders.loading import FolderEncoder, load_model, load_tokenizer
from lead.models.text_encoders.locate import TRANSFORMERS_FILES, locate_model

SPACE = "▁"


class SentenceT5Encoder(FolderEncoder):
    """Sentence-T5: T5 encoder, dense layer, mean over words, unit length.

    The dense layer is linear, so it is applied to each word before the mean instead of after it:
    ``tokens`` then live in the space of ``pooled``, which is the same as in the original order.
    """

    def __init__(
        self,
        name: str = "sentence_t5",
        path: str | Path | None = None,
        hub: str | None = "sentence-transformers/sentence-t5-large",
        batch_size: Some = 32,
        max_words: Some = 256,
    ):
        files = (*TRANSFORMERS_FILES, "*_Dense/*.bin")
        folder = locate_model(name, path=path, hub=hub, files=files)
        super().__init__(f"sentence_t5 {max_words}", name, folder, batch_size)
        self.max_words = max_words
        self.dense = _load_dense(self._folder, name)
        self.tokenizer = load_tokenizer(self._folder, name)
        self.model = load_model("T5EncoderModel", self._folder, name)
        self.unknown_id = self.tokenizer.unk_token_id
        self.dim = self.dense.out_features
        self._check()
        freeze(self)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Word pieces and the end mark."""
        return self.tokenizer(list(texts), truncation=True, max_length=self.max_words)["input_ids"]

    def pieces(self, text: str, *, spaced: bool = True) -> list[int]:
        """Word pieces; the mark of a space is left out where the part follows without one."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        space = self.tokenizer.convert_tokens_to_ids(SPACE)
        return ids[1:] if not spaced and ids[:1] == [space] else ids

    def add_marks(self, ids: list[int]) -> list[int]:
        """The ids and the end mark."""
        return [*ids[: self.max_words - 1], self.tokenizer.eos_token_id]

    def embed_ids(self, ids: Int[Tensor, "batch words"]) -> Float[Tensor, "batch words width"]:
        """Look up the input vector of each id (T5's positions live in its attention)."""
        return self.model.get_input_embeddings()(ids)

    def encode_embeddings(
        self, inputs_embeds: Float[Tensor, "batch words width"], mask: Bool[Tensor, "batch words"]
    ) -> TextEmbedding:
        """Run the network on input vectors."""
        hidden = self.model(
            inputs_embeds=inputs_embeds, attention_mask=mask.long()
        ).last_hidden_state
        words = self.dense(hidden)
        return TextEmbedding(words * mask[..., None], mask, mean_of_words(words, mask))

    def _check(self) -> None:
        place = f"text encoder '{self.name}': {self._folder}"
        width, size = self.model.config.d_model, len(self.tokenizer)
        if self.dense.in_features != width:
            raise RequestError(
                f"{place} has a dense layer for {self.dense.in_features} inputs behind a T5 of "
                f"width {width}: copy both from the same model"
            )
        if size > self.model.config.vocab_size or not self.tokenizer([""])["input_ids"][0]:
            raise RequestError(
                f"{place} has a tokenizer ({size} entries) that does not belong to its T5 "
                f"({self.model.config.vocab_size}): copy tokenizer.json of the same model"
            )


class _Module(Schema):
    type: str  # dotted, of sentence-transformers
    path: FileName | Literal[""]


class _Modules(RootModel[list[_Module]]):
    """modules.json: the parts of a sentence-transformers model and their folders."""


class _Pooling(Schema):
    model_config = ConfigDict(extra="allow")  # pooling_mode_WAY: true, one of them

    pooling_mode: str | None = None


_Width = Annotated[int, Field(ge=1, le=8192)]


class _Dense(Schema):
    in_features: _Width
    out_features: _Width
    bias: bool
    activation_function: str = ""


def _load_dense(folder: Path, name: str) -> nn.Linear:
    advice = "copy the whole folder of a Sentence-T5 in sentence-transformers' layout"
    listed = read_file(_Modules, folder / "modules.json", advice, load=read_json_value).root
    modules = {entry.type.rpartition(".")[2]: folder / entry.path for entry in listed}
    if not {"Pooling", "Dense"} <= set(modules):
        raise RequestError(
            f"text encoder '{name}': {folder / 'modules.json'} names no Pooling and Dense module: "
            f"{advice}"
        )
    pooling = read_file(_Pooling, modules["Pooling"] / "config.json", advice)
    ways = {key for key, value in pooling if key.startswith("pooling_mode_") and value is True}
    if ways != {"pooling_mode_mean_tokens"} and pooling.pooling_mode != "mean":
        raise RequestError(f"text encoder '{name}': {folder} does not pool by the mean of words")
    config = read_file(_Dense, modules["Dense"] / "config.json", advice)
    activation = config.activation_function.rpartition(".")[2]
    if activation != "Identity":
        raise RequestError(
            f"text encoder '{name}': {modules['Dense']} is not linear ({activation:.40})"
        )
    dense = nn.Linear(config.in_features, config.out_features, bias=config.bias)
    weights = _dense_weights(modules["Dense"])
    try:
        dense.load_state_dict(
            {key.removeprefix("linear."): value.float() for key, value in weights.items()}
        )
    except (RuntimeError, AttributeError) as error:
        raise RequestError(
            f"text encoder '{name}': the weights in {modules['Dense']} do not fit its config.json: "
            f"{advice}"
        ) from error
    return dense


def _dense_weights(folder: Path) -> dict[str, Tensor]:
    pickled = folder / "pytorch_model.bin"
    if (folder / "model.safetensors").is_file() or not pickled.is_file():
        return read_tensors(folder / "model.safetensors")
    try:
        return dict(torch.load(check_regular(pickled), map_location="cpu", weights_only=True))
    except (UnpicklingError, RuntimeError, EOFError, TypeError, ValueError) as error:
        raise RequestError(f"{pickled} is not a whole weight file: copy it anew") from error
