"""CLIP's text tower (Radford et al. 2021, https://arxiv.org/abs/2103.00020), by transformers."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.sizes import Some
from lead.models.text_encoders.base import TextEmbedding
from lead.models.text_encoders.loading import FolderEncoder, load_model, load_tokenizer
from lead.models.text_encoders.locate import locate_model


class ClipTextEncoder(FolderEncoder):
    """CLIP's text tower; ``pooled`` is the vector that CLIP compares with images, not normalised.

    ``tokens`` are the last hidden states after the final layer norm, ``pooled`` is the projection
    of the state at the first end-of-text mark. The mark is found by its id: the largest id of a
    sentence, which transformers takes for configurations of 2021, is another word as soon as the
    vocabulary has grown.
    """

    def __init__(
        self,
        name: str = "clip_l14",
        path: str | Path | None = None,
        hub: str | None = "openai/clip-vit-large-patch14",
        batch_size: Some = 64,
    ):
        folder = locate_model(name, path=path, hub=hub)
        super().__init__("clip", name, folder, batch_size)
        self.tokenizer = load_tokenizer(self._folder, name, "CLIPTokenizer")
        self.model = load_model("CLIPTextModelWithProjection", self._folder, name)
        self.unknown_id = self.tokenizer.unk_token_id
        self.max_words = self.model.config.max_position_embeddings
        self.dim = self.model.config.projection_dim
        self._check()
        freeze(self)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Start mark, word pieces, and one end mark, within the model's 77 positions."""
        rows = self.tokenizer(list(texts), truncation=True, max_length=self.max_words)["input_ids"]
        end = self.tokenizer.eos_token_id
        return [row[: row.index(end) + 1] for row in rows]

    def pieces(self, text: str, *, spaced: bool = True) -> list[int]:  # noqa: ARG002
        """Word pieces; CLIP's end with the word and know nothing of spaces."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def add_marks(self, ids: list[int]) -> list[int]:
        """Start mark, the ids, and one end mark."""
        start, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        row = [start, *ids[: self.max_words - 2], end]
        return row[: row.index(end) + 1]

    def embed_ids(self, ids: Int[Tensor, "batch words"]) -> Float[Tensor, "batch words width"]:
        """Look up the input vector of each id (positions are added later)."""
        return self.model.get_input_embeddings()(ids)

    def encode_embeddings(
        self, inputs_embeds: Float[Tensor, "batch words width"], mask: Bool[Tensor, "batch words"]
    ) -> TextEmbedding:
        """Run the tower on input vectors; the last real word must be the end mark.

        Attention is causal and padding follows the end mark, so that no real word sees padding.
        """
        tower, words = self.model.text_model, inputs_embeds.shape[1]
        hidden = tower.encoder(
            inputs_embeds=tower.embeddings(inputs_embeds=inputs_embeds),
            attention_mask=inputs_embeds.new_full((1, 1, words, words), -torch.inf).triu(1),
        ).last_hidden_state
        hidden = tower.final_layer_norm(hidden)
        pooled = self.model.text_projection(at_end_mark(hidden, mask))
        return TextEmbedding(hidden * mask[..., None], mask, pooled)

    def _check(self) -> None:
        config, size = self.model.config, len(self.tokenizer)
        place = f"text encoder '{self.name}': {self._folder}"
        if size != config.vocab_size:
            raise RequestError(
                f"{place} has a tokenizer of {size} entries for a model of {config.vocab_size}: "
                "copy vocab.json, merges.txt and tokenizer.json of the same model"
            )
        empty = self.tokenizer([""])["input_ids"][0]
        if empty != [self.tokenizer.bos_token_id, self.tokenizer.eos_token_id]:
            raise RequestError(
                f"{place} has a tokenizer that sets no start and end mark (ids {empty} for the "
                "empty sentence): copy vocab.json and merges.txt of the same model"
            )
        if config.hidden_size != config.projection_dim:
            raise RequestError(
                f"{place} has words of {config.hidden_size} and sentences of "
                f"{config.projection_dim} dimensions: use a CLIP where the two are equal"
            )


def at_end_mark(
    hidden: Float[Tensor, "batch words width"], mask: Bool[Tensor, "batch words"]
) -> Float[Tensor, "batch width"]:
    """The state at the last real word of each sentence."""
    last = mask.sum(dim=1) - 1
    return hidden[torch.arange(len(last), device=hidden.device), last]
