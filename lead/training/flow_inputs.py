"""What a flow is trained on: latents of a data set that keep time, and its captions' words."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lead.core.batches import MotionBatch
from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.files import content_hash, write_tensors
from lead.core.runs import Run
from lead.data.cache import cached_array
from lead.data.clips import ClipDataset, length_sorted_batches, pad_clips
from lead.data.flow_latents import FlowDataset
from lead.data.joints import JointDataset, pad_joints
from lead.data.latents import keep
from lead.data.packed import PackedDataset
from lead.data.words import CaptionWords, caption_words
from lead.generation.flow_coders import latent_frame
from lead.generation.lead_model import load_vae
from lead.representation.normalizer import Normalizer, load_normalizer
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.latent_inputs import earlier_run
from lead.training.stage import TrainRequest

TOGETHER = 64  # clips


def run_below(request: TrainRequest, dataset: PackedDataset) -> Run:
    """The run that a flow stands on; RequestError where two are named, or one that does not fit."""
    named = [key for key in ("autoencoder", "vae") if key in request.earlier] or ["autoencoder"]
    if len(named) > 1:
        raise RequestError("a flow stands on one earlier run: name autoencoder= or vae=, not both")
    return earlier_run(request, named[0], dataset, "autoencoder=RUN or vae=RUN")


class FlowInputs:
    """Latents and words from the cache of the data set, where they are there.

    Frozen encoders make what is not. A flow's stage sets ``text_scale`` and ``word_scale`` of the
    network to ``scales``, one over the root mean square of an entry of the training captions'
    pooled vectors and words: text of every encoder enters the network at unit size.

    Latents have unit variance, as noise has: an auto-encoder gives them so; the posterior means of
    a VAE are standardised here, channel by channel, with ``statistics`` of all training clips.
    They are the means, without the posterior's noise (see ``TimedCoder``), and the cache keeps them
    as the VAE gives them. Raises RequestError for a VAE that has latents of whole clips, unless
    ``whole_clips``.
    """

    whole_clips: ClassVar[bool] = False

    def __init__(self, request: TrainRequest, dataset: PackedDataset, run: Run):
        self.request, self.dataset, self.run = request, dataset, run
        self.latent_frame = latent_frame(run, self.whole_clips)
        self.encoder = build("text_encoder", request.text_encoder, "text_encoder")
        on_gpu = request.trainer.accelerator != "cpu" and torch.cuda.is_available()
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self.splits = tuple(dict.fromkeys(("train", validation_split(dataset))))
        self.words: dict[str, CaptionWords] = {
            split: caption_words(dataset, split, self.encoder.fingerprint, self._embed)
            for split in self.splits
        }
        self._encoder: Callable[[MotionBatch], Tensor] | None = None
        self.statistics: Normalizer | None = None  # of a VAE's latents, once they are there

    @property
    def record(self) -> dict[str, object]:
        """What run.json says of the text encoder."""
        fingerprint = self.encoder.fingerprint
        return {"text_encoder": dict(self.request.text_encoder), "text_fingerprint": fingerprint}

    @property
    def scales(self) -> dict[str, float]:
        """The network's options of these names."""
        return dict(zip(("text_scale", "word_scale"), self.words["train"].scales(), strict=True))

    @property
    def sizes(self) -> dict[str, int]:
        """The network's options that follow from the latents; of one joint there is one patch."""
        _, joints, channels, _ = self.latent_frame
        return {"channels": channels, "joints": joints} | ({"patch": 1} if joints == 1 else {})

    def keep(self) -> None:
        """Write the statistics of a VAE's latents beside the weights of the flow's run."""
        if self.statistics is not None:
            path = self.request.run / "weights" / "normalizer.safetensors"
            write_tensors(path, self.statistics.state_dict())

    def data(self) -> StepDataModule:
        """The training and validation splits, batches of neighbouring lengths."""
        request = self.request
        made = {split: self._load(split) for split in self.splits}
        train, validation = made["train"], made[self.splits[-1]]
        return StepDataModule(
            *(train, train.lengths, validation, validation.lengths, keep),
            *(request.options.batch_size, request.trainer.max_steps, request.seed),
            self.dataset.split("train").weights,
        )

    def _load(self, split: str) -> FlowDataset:
        packed, below = self.dataset.split(split), self.run.stage
        _, joints, channels, _ = self.latent_frame
        lengths = self.latent_frame.count(packed.frames)
        hashes = (self.run.weights_hash(part) for part in (below, "normalizer"))
        key = content_hash(self.dataset.data_hash, split, *hashes)[:16]
        path = self.dataset.folder / "cache" / f"latents-{split}-{key}.npy"

        def fill(latents: np.ndarray) -> None:
            self._encode(split, lengths, latents)

        shape = (int(lengths.sum()), joints, channels)
        latents = cached_array(path, shape, "float32", fill)
        if below == "vae":
            self.statistics = self.statistics or statistics_of(latents[:, 0])
            latents = self.statistics.normalize(torch.from_numpy(np.array(latents))).numpy()
        return FlowDataset(packed, latents, lengths, self.words[split], self.request.seed)

    @torch.no_grad()
    def _encode(self, split: str, lengths: np.ndarray, latents: np.ndarray) -> None:
        """Fill in the latents of all clips, one after the other."""
        timed, ends = self.run.stage == "vae", np.cumsum(lengths)
        clips = ClipDataset(self.dataset, split) if timed else JointDataset(self.dataset, split)
        collate, encode = pad_clips if timed else pad_joints, self._frozen()
        batches = length_sorted_batches(self.dataset.split(split).frames, TOGETHER)
        for places in tqdm(batches, desc=f"encode {split} motions", unit="batch", disable=None):
            batch = collate([clips[0, place] for place in places]).to(self.device)
            for place, z in zip(places, encode(batch).cpu(), strict=True):
                latents[ends[place] - lengths[place] : ends[place]] = z[: lengths[place]]

    def _frozen(self) -> Callable[[MotionBatch], Tensor]:
        """From batches to latents (batch, tokens, joints, channels); the network is loaded once."""
        if self._encoder is None and self.run.stage == "vae":
            vae = load_vae(self.run).to(self.device)
            self._encoder = lambda batch: vae.encode(batch.x, batch.mask)[0][:, :, None]
        elif self._encoder is None:
            network = self.run.load_part("autoencoder", coordinates=3).eval().to(self.device)
            normalize = load_normalizer(self.run, 3).to(self.device).normalize
            self._encoder = lambda batch: network.encode(
                normalize(batch.x.unflatten(-1, (-1, 3))), batch.mask
            )
        return self._encoder

    def _embed(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        made = self.encoder.encode(texts)
        return made.tokens, made.mask, made.pooled


def statistics_of(latents: np.ndarray) -> Normalizer:
    """Mean and deviation of each channel of latents (tokens, channels); 1 of one that is still."""
    mean, std = (of(latents, axis=0, dtype=np.float64) for of in (np.mean, np.std))
    return Normalizer(mean, np.where(std > 1e-6, std, 1.0))
