"""What MoTe's diffusion is trained on: latents of motions, and those of their captions."""

from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lead.core.errors import RequestError
from lead.core.files import content_hash
from lead.core.runs import Run
from lead.data.cache import cached_array
from lead.data.latents import TimedLatents
from lead.data.packed import PackedDataset
from lead.data.words import CaptionWords
from lead.generation.lead_model import keeps_time
from lead.representation.normalizer import Normalizer, load_normalizer
from lead.training.latent_inputs import LatentInputs, statistics_of
from lead.training.stage import TrainRequest, keep_statistics

TOGETHER = 256  # sentences


class JointInputs(LatentInputs):
    """A flow's inputs with the latents of each caption, entry by entry of unit variance.

    Latents of whole clips are taken as those that keep time: posterior means, standardised, with
    captions word by word. With ``like``, a run of both, the statistics are its own. Raises
    RequestError where the sentences' run was trained with another text encoder.
    """

    def __init__(
        self,
        request: TrainRequest,
        dataset: PackedDataset,
        run: Run,
        sentences: Run,
        like: Run | None = None,
    ):
        super().__init__(request, dataset, run)
        if sentences.record.text_fingerprint != self.encoder.fingerprint:
            raise RequestError(
                f"{sentences.folder} was trained with another text encoder: take the same one for "
                "both, text_encoder=NAME"
            )
        self.timed, self.sentences = True, sentences
        self.of_sentences: Normalizer | None = None  # once they are there
        options = sentences.options("text_autoencoder")
        self.sentence_shape = (options["latent_tokens"], options["latent_dim"])
        if like is not None:
            channels = like.options("joint_denoiser")["channels"]
            self.statistics = load_normalizer(like, channels)
            count = int(np.prod(self.sentence_shape))
            self.of_sentences = load_normalizer(like, count, "sentences")

    def keep(self) -> None:
        """Write both statistics beside the weights."""
        super().keep()
        keep_statistics(self.request.run, self.of_sentences, "sentences")

    def _sizes(self, frames: np.ndarray) -> tuple[np.ndarray, int, int]:
        if keeps_time(self.run):
            return super()._sizes(frames)
        options = self.run.options("vae")
        return np.full_like(frames, options["latent_tokens"]), 1, options["latent_dim"]

    def _timed(self, split: str) -> TimedLatents:
        motions = super()._timed(split)
        words, run = motions.words, self.sentences
        hashes = (self.encoder.fingerprint, run.weights_hash("text_autoencoder"))
        key = content_hash(*hashes, *words.rows)[:16]
        path = self.dataset.folder / "cache" / f"sentences-{split}-{key}.npy"
        flat = cached_array(
            *(path, (len(words.rows), int(np.prod(self.sentence_shape))), "float32"),
            partial(self._encode_sentences, words),
        )
        self.of_sentences = self.of_sentences or statistics_of(flat)
        made = self.of_sentences.normalize(torch.from_numpy(np.array(flat)))
        motions.sentences = made.unflatten(1, self.sentence_shape)
        return motions

    @torch.no_grad()
    def _encode_sentences(self, words: CaptionWords, latents: np.ndarray) -> None:
        network = self.sentences.load_part("text_autoencoder").eval().to(self.device)
        rows = range(len(words.rows))
        for start in tqdm(rows[::TOGETHER], desc="encode captions", unit="batch", disable=None):
            text, mask = words.batch(rows[start : start + TOGETHER])
            made: Tensor = network.encode(text.to(self.device), mask.to(self.device))
            latents[start : start + len(made)] = made.flatten(1).cpu()
