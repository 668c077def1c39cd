"""The network behind CLIP-score (MARDM, Meng et al. 2024): sentences and motions as unit vectors.

Two transformers, trained contrastively; CLIP gave the words their vectors and ids. Modules carry
the names of the published checkpoint, so that its tensors load as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from lead.core.errors import RequestError
from lead.core.files import content_hash
from lead.core.masks import lengths_to_mask

HEADS = 8
LONGEST = 2000  # rows of the published table of positions
WORDS = "clip/vocab.json and merges.txt, of any CLIP of OpenAI's"


class ClipScorer(nn.Module):
    """Unit vectors of sentences and motions, compared by their cosine.

    ``read`` features of a frame are looked at, ``places`` words of a sentence.
    """

    def __init__(
        self,
        *,
        read: int,
        vocabulary: int,
        places: int,
        width: int,
        feed_forward: int,
        layers: int,
        dim: int,
    ):
        super().__init__()
        self.dim, self.places = dim, places
        self.motion_encoder = MotionTransformer(read, width, feed_forward, layers, dim)
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.zeros(places, width))
        self.logit_scale = nn.Parameter(torch.zeros(()))  # of the training alone
        self.textTransEncoder = _transformer(width, feed_forward, layers)
        self.text_ln, self.out = nn.LayerNorm(width), nn.Linear(width, dim)

    def embed_text(self, ids: Int[Tensor, "batch places"]) -> Float[Tensor, "batch dim"]:
        """Unit vectors of sentences: the state at the end mark, the largest id.

        As in the published code every place is read, the zeros behind the mark included.
        """
        h = self.textTransEncoder(self.token_embedding(ids) + self.positional_embedding)
        rows = torch.arange(len(ids), device=ids.device)
        return normalize(self.out(self.text_ln(h)[rows, ids.argmax(dim=1)]), dim=1)

    def embed_motion(
        self, x: Float[Tensor, "batch frames features"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch dim"]:
        """Unit vectors of normalised motions; ``lengths`` count frames, no other is read."""
        return normalize(self.motion_encoder(x, lengths), dim=1)


class MotionTransformer(nn.Module):
    """A learned query before the frames; what it has become is the motion's vector."""

    def __init__(self, read: int, width: int, feed_forward: int, layers: int, dim: int):
        super().__init__()
        self.read = read
        self.query_token = nn.Parameter(torch.zeros(1, width))
        self.embed_motion = nn.Linear(read, width)
        self.sequence_pos_encoder = _Positions(width)
        self.transformer = _transformer(width, feed_forward, layers)
        self.out_ln, self.out = nn.LayerNorm(width), nn.Linear(width, dim)

    def forward(
        self, x: Float[Tensor, "batch frames features"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch dim"]:
        """One vector a motion."""
        frames = self.embed_motion(x[..., : self.read])
        h = torch.cat([self.query_token.expand(len(x), 1, -1), frames], dim=1)
        real = lengths_to_mask(lengths.to(x.device) + 1, h.shape[1])
        h = h + self.sequence_pos_encoder.pe[: h.shape[1]]
        return self.out(self.out_ln(self.transformer(h, src_key_padding_mask=~real)[:, 0]))


class _Positions(nn.Module):
    """Sines in even places, cosines in odd ones; the published file holds the table."""

    def __init__(self, width: int):
        super().__init__()
        rates = 10000.0 ** (-torch.arange(0, width, 2) / width)
        angles = torch.arange(LONGEST)[:, None] * rates
        self.register_buffer("pe", torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1))


def _transformer(width: int, feed_forward: int, layers: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        *(width, HEADS, feed_forward, 0.2), activation="gelu", batch_first=True
    )
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def scorer_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes of a published network; KeyError or ValueError where it is another."""
    vocabulary, width = tensors["token_embedding.weight"].shape
    dim, _ = tensors["out.weight"].shape
    if width % HEADS:
        raise ValueError(f"{width} numbers a word do not divide into {HEADS} heads")
    return {
        "read": tensors["motion_encoder.embed_motion.weight"].shape[1],
        "vocabulary": vocabulary,
        "places": len(tensors["positional_embedding"]),
        "width": width,
        "feed_forward": len(tensors["textTransEncoder.layers.0.linear1.weight"]),
        "layers": sum(
            name.startswith("textTransEncoder") and name.endswith("linear1.weight")
            for name in tensors
        ),
        "dim": dim,
    }


@dataclass(frozen=True)
class ClipWords:
    """CLIP's word pieces, from the vocabulary in a folder."""

    folder: Path
    places: int
    vocabulary: int

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the vocabulary."""
        files = sorted(file for file in self.folder.iterdir() if file.suffix in (".json", ".txt"))
        return content_hash(*(file.read_bytes() for file in files))

    @cached_property
    def tokenizer(self):
        """transformers' own; RequestError where the files are broken or of another model."""
        from transformers import CLIPTokenizer

        try:
            made = CLIPTokenizer.from_pretrained(self.folder, local_files_only=True)
        except Exception as error:  # broken JSON, files missing, ...
            raise RequestError(
                f"{self.folder} holds no vocabulary of CLIP: put {WORDS} there"
            ) from error
        if len(made) != self.vocabulary:
            raise RequestError(
                f"{self.folder} has {len(made)} word pieces, the CLIP-score network "
                f"{self.vocabulary}: put {WORDS} there"
            )
        return made

    def __call__(self, captions: Sequence[str]) -> Int[Tensor, "captions places"]:
        """Ids with both marks, zeros behind them; a longer sentence is cut before its end mark."""
        rows = self.tokenizer([*captions], truncation=True, max_length=self.places)["input_ids"]
        ids = torch.zeros(len(rows), self.places, dtype=torch.long)
        for row, given in zip(ids, rows, strict=True):
            row[: len(given)] = torch.tensor(given)
        return ids


@dataclass(frozen=True)
class CaptionScore:
    """What makes a CLIP-score: the network, and the words that it reads."""

    network: ClipScorer
    words: ClipWords
