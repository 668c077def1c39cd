"""Sentences <-> latents of unit variance: what MoTe's diffusion works on beside motions."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lead.core.freezing import freeze
from lead.core.runs import Run
from lead.generation.motion_model import Caption
from lead.models.sentence_pieces import SentencePieces
from lead.models.sentence_writing import write_sentences
from lead.models.text_autoencoder import TextAutoencoder
from lead.representation.normalizer import Normalizer, load_normalizer

Latents = Float[Tensor, "batch tokens dim"]


@dataclass(frozen=True, kw_only=True)
class SentenceCoder:
    """The auto-encoder with its pieces, and the ``statistics`` of each entry of its latents."""

    network: TextAutoencoder
    pieces: SentencePieces
    statistics: Normalizer

    @property
    def shape(self) -> tuple[int, int]:
        """Tokens of a sentence, and numbers of each."""
        return self.network.latent_tokens, self.network.latent_dim

    def modules(self) -> list[nn.Module]:
        """Networks and statistics."""
        return [self.network, self.statistics]

    def encode(
        self,
        text: Float[Tensor, "batch words text_dim"],
        word_mask: Bool[Tensor, "batch words"] | None = None,
    ) -> Latents:
        """Latents of sentences, given as the text encoder's vectors, the pooled one first."""
        made = self.network.encode(text, word_mask)
        return self.statistics.normalize(made.flatten(1)).view(made.shape)

    @torch.no_grad()
    def write(self, latents: Latents, *, beams: int = 1) -> list[Caption]:
        """The sentence of each row with its score: the mean log-probability of its pieces."""
        raw = self.statistics.denormalize(latents.flatten(1)).view(latents.shape)
        return [
            Caption(text, score)
            for text, score in write_sentences(self.network, self.pieces, raw, beams=beams)
        ]


def load_sentence_coder(run: Run) -> SentenceCoder:
    """Of a run of stages joint_diffusion and captioner; of text_autoencoder without statistics."""
    below = run.holding("text_autoencoder", "text_autoencoder")
    network = freeze(below.load_part("text_autoencoder"))
    count = network.latent_tokens * network.latent_dim
    if run.stage == "text_autoencoder":
        statistics = Normalizer(np.zeros(count), np.ones(count))
    else:
        joint = run.holding("joint_denoiser", "joint_diffusion")
        statistics = load_normalizer(joint, count, "sentences")
    return SentenceCoder(
        network=network, pieces=SentencePieces.read(below.folder), statistics=statistics
    )
