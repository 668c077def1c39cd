"""Sentences <-> numbers of pieces: a byte-level byte-pair vocabulary, our own or GPT-2's."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from lead.core.errors import WorkError
from lead.core.files import atomic_path
from lead.core.reading import read_text

FILE = "tokenizer.json"
END = "<|endoftext|>"  # GPT-2's name of it


class SentencePieces:
    """Pieces of sentences, each of which ends with ``end``; a sentence begins with a space.

    So its first word is the piece that it is anywhere else.
    """

    def __init__(self, tokenizer: Tokenizer):
        end = tokenizer.token_to_id(END)
        if end is None:
            raise WorkError(f"this vocabulary has no {END}: take GPT-2's, or train one")
        self.tokenizer, self.end = tokenizer, end

    @classmethod
    def learned(cls, sentences: Iterable[str], size: int) -> "SentencePieces":
        """Up to ``size`` pieces of lower-case sentences, all 256 bytes among them."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[END],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator((_spaced(text) for text in sentences), trainer)
        return cls(tokenizer)

    @classmethod
    def read(cls, folder: Path) -> "SentencePieces":
        """Those of a run, or of a folder in Hugging Face's layout; WorkError where it is broken."""
        path = folder / FILE
        text = read_text(path)
        try:
            return cls(Tokenizer.from_str(text))
        except Exception as error:  # the library raises Exception itself
            raise WorkError(f"{path}: no vocabulary of pieces: copy it anew") from error

    def keep(self, folder: Path) -> None:
        """Write them into a run."""
        with atomic_path(folder / FILE) as temporary:
            temporary.write_text(self.tokenizer.to_str(), encoding="utf-8")

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def encode(self, sentences: Sequence[str], most: int) -> list[list[int]]:
        """Pieces of each sentence, at most so many, of which the last is its end."""
        read = self.tokenizer.encode_batch([_spaced(text) for text in sentences])
        return [[*one.ids[: most - 1], self.end] for one in read]

    def decode(self, ids: Sequence[int]) -> str:
        """The sentence of pieces, up to its end."""
        ids = list(ids)
        ids = ids[: ids.index(self.end)] if self.end in ids else ids
        return self.tokenizer.decode(ids).strip()


def padded(rows: Sequence[Sequence[int]], end: int) -> tuple[Int[Tensor, "batch pieces"], Tensor]:
    """Rows of pieces as one tensor, and the length of each."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.full((len(rows), int(lengths.max())), end)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    return ids, lengths


def _spaced(text: str) -> str:
    return " " + " ".join(text.split())
