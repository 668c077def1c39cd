"""The three networks of the text-to-motion evaluator (Guo et al., CVPR 2022).

Modules carry the names of the published checkpoints, so that their tensors load as they are.
"""

from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from lead.core.errors import RequestError
from lead.core.sizes import Size, SizeOrNone
from lead.evaluation.extractor.tags import TAGS

CONTACTS = 4  # the last features, foot contacts, are not looked at
STRIDE = 4  # frames per snippet: two convolutions of stride 2
SLOPE = 0.2  # of all leaky rectifiers
DROPOUT = 0.2


class SnippetEncoder(nn.Module):
    """Convolutions that turn every four frames of features into one movement vector."""

    def __init__(self, read: int, width: int):
        super().__init__()
        self.read = read
        self.main = nn.Sequential(
            nn.Conv1d(read, width, kernel_size=4, stride=2, padding=1),
            nn.Dropout(DROPOUT),
            nn.LeakyReLU(SLOPE),
            nn.Conv1d(width, width, kernel_size=4, stride=2, padding=1),
            nn.Dropout(DROPOUT),
            nn.LeakyReLU(SLOPE),
        )
        self.out_net = nn.Linear(width, width)
        self.apply(_xavier)

    def forward(
        self, x: Float[Tensor, "batch frames features"]
    ) -> Float[Tensor, "batch snippets width"]:
        """Movement vectors of all snippets, those of the padding included."""
        return self.out_net(self.main(x[..., : self.read].transpose(1, 2)).transpose(1, 2))


class SentenceEncoder(nn.Module):
    """A bidirectional GRU over word vectors, to which an embedding of the word class is added."""

    def __init__(self, word_dim: int, width: int, dim: int):
        super().__init__()
        self.pos_emb = nn.Linear(len(TAGS), word_dim)
        self.input_emb = nn.Linear(word_dim, width)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.output_net = _head(width, dim)
        for part in (self.pos_emb, self.input_emb, self.output_net):
            part.apply(_xavier)
        self.hidden = nn.Parameter(torch.randn(2, 1, width))

    def forward(
        self,
        words: Float[Tensor, "batch positions word_dim"],
        pos_onehot: Float[Tensor, "batch positions tags"],
        lengths: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch dim"]:
        """One vector a sentence."""
        inputs = self.input_emb(words + self.pos_emb(pos_onehot))
        return self.output_net(_final_states(self.gru, self.hidden, inputs, lengths))


class MotionEncoder(nn.Module):
    """A bidirectional GRU over movement vectors."""

    def __init__(self, movement_width: int, width: int, dim: int):
        super().__init__()
        self.input_emb = nn.Linear(movement_width, width)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.output_net = _head(width, dim)
        for part in (self.input_emb, self.output_net):
            part.apply(_xavier)
        self.hidden = nn.Parameter(torch.randn(2, 1, width))

    def forward(
        self, movements: Float[Tensor, "batch snippets width"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch dim"]:
        """One vector a motion; ``lengths`` count snippets."""
        inputs = self.input_emb(movements)
        return self.output_net(_final_states(self.gru, self.hidden, inputs, lengths))


class FeatureExtractor(nn.Module):
    """Sentences and motions as vectors of one Euclidean space; the defaults are those published.

    ``features`` is the width of the motion representation, foot contacts included; the first
    ``read`` of them are looked at, 0 stands for all but the contacts.
    """

    def __init__(
        self,
        features: Annotated[Size, Field(gt=CONTACTS)],
        word_dim: Size = 300,
        text_width: Size = 512,
        movement_width: Size = 512,
        motion_width: Size = 1024,
        dim: Size = 512,
        read: SizeOrNone = 0,
    ):
        super().__init__()
        self.features, self.dim = features, dim
        self.text_encoder = SentenceEncoder(word_dim, text_width, dim)
        self.movement_encoder = SnippetEncoder(read or features - CONTACTS, movement_width)
        self.motion_encoder = MotionEncoder(movement_width, motion_width, dim)

    def embed_text(
        self,
        words: Float[Tensor, "batch positions word_dim"],
        pos_onehot: Float[Tensor, "batch positions tags"],
        lengths: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch dim"]:
        """Vectors of sentences, in the order given; start and end marks count in ``lengths``."""
        return self.text_encoder(words, pos_onehot, lengths)

    def embed_motion(
        self, x: Float[Tensor, "batch frames features"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch dim"]:
        """Vectors of motions, in the order given; ``lengths`` count frames.

        ``x`` is normalised with the evaluator's own statistics. As in the published code, the last
        snippet's window reaches three frames past the end of a motion, so these have to be zero
        (``pad_motions`` sees to it), and frames beyond a multiple of four are not counted.
        Raises RequestError for another number of features and for motions under four frames.
        """
        check_motions(x, lengths, self.features)
        return self.motion_encoder(self.movement_encoder(x), lengths // STRIDE)


def check_motions(
    x: Float[Tensor, "batch frames features"], lengths: Int[Tensor, " batch"], features: int
) -> None:
    """RequestError for another number of features and for motions under four frames."""
    if x.shape[-1] != features:
        raise RequestError(
            f"the evaluator reads {features} features a frame, got {x.shape[-1]}: "
            "use one that was trained on this skeleton"
        )
    if int(lengths.min()) < STRIDE:
        raise RequestError(
            f"a motion of {int(lengths.min())} frames is too short for the evaluator: "
            f"it takes {STRIDE} frames or more"
        )


def _final_states(
    gru: nn.GRU,
    hidden: Float[Tensor, "directions one width"],
    inputs: Float[Tensor, "batch steps width"],
    lengths: Int[Tensor, " batch"],
) -> Float[Tensor, "batch both"]:
    """Last states of the two directions, each over a row's own length, side by side."""
    packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
    _, last = gru(packed, hidden.repeat(1, len(inputs), 1))
    return torch.cat([last[0], last[1]], dim=-1)


def _head(width: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2 * width, width), nn.LayerNorm(width), nn.LeakyReLU(SLOPE), nn.Linear(width, dim)
    )


def _xavier(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv1d)):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
