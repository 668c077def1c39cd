"""What a flow is trained on: an auto-encoder's latents of a data set, and its captions' words."""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lead.core.building import build
from lead.core.files import content_hash
from lead.core.runs import Run
from lead.data.cache import cached_array
from lead.data.clips import length_sorted_batches
from lead.data.flow_latents import FlowDataset
from lead.data.joints import JointDataset, pad_joints
from lead.data.latents import keep
from lead.data.packed import PackedDataset
from lead.data.words import CaptionWords, caption_words
from lead.models.joint_autoencoder import FRAMES_PER_TOKEN, JointAutoencoder
from lead.representation.normalizer import Normalizer, load_normalizer
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.stage import TrainRequest

TOGETHER = 64  # clips


class FlowInputs:
    """Latents and words from the cache of the data set, where they are there.

    Frozen encoders make what is not. A flow's stage sets ``text_scale`` and ``word_scale`` of the
    network to ``scales``, one over the root mean square of an entry of the training captions'
    pooled vectors and words: text of every encoder enters the network at unit size.
    """

    def __init__(self, request: TrainRequest, dataset: PackedDataset, run: Run):
        self.request, self.dataset, self.run = request, dataset, run
        self.encoder = build("text_encoder", request.text_encoder, "text_encoder")
        on_gpu = request.trainer.accelerator != "cpu" and torch.cuda.is_available()
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self.splits = tuple(dict.fromkeys(("train", validation_split(dataset))))
        self.words: dict[str, CaptionWords] = {
            split: caption_words(dataset, split, self.encoder.fingerprint, self._embed)
            for split in self.splits
        }
        self._networks: tuple[JointAutoencoder, Normalizer] | None = None

    @property
    def record(self) -> dict[str, object]:
        """What run.json says of the text encoder."""
        fingerprint = self.encoder.fingerprint
        return {"text_encoder": dict(self.request.text_encoder), "text_fingerprint": fingerprint}

    @property
    def scales(self) -> dict[str, float]:
        """The network's options of these names."""
        return dict(zip(("text_scale", "word_scale"), self.words["train"].scales(), strict=True))

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
        packed = self.dataset.split(split)
        lengths = -(-packed.frames // FRAMES_PER_TOKEN)
        hashes = (self.run.weights_hash(part) for part in ("autoencoder", "normalizer"))
        key = content_hash(self.dataset.data_hash, split, *hashes)[:16]
        path = self.dataset.folder / "cache" / f"latents-{split}-{key}.npy"
        channels = self.run.options("autoencoder")["channels"]
        shape = (int(lengths.sum()), self.dataset.skeleton.joints, channels)

        def fill(latents: np.ndarray) -> None:
            self._encode(split, lengths, latents)

        latents = cached_array(path, shape, "float32", fill)
        return FlowDataset(packed, latents, lengths, self.words[split], self.request.seed)

    @torch.no_grad()
    def _encode(self, split: str, lengths: np.ndarray, latents: np.ndarray) -> None:
        """Fill in the latents of all clips, one after the other."""
        autoencoder, normalizer = self._frozen()
        clips, ends = JointDataset(self.dataset, split), np.cumsum(lengths)
        batches = length_sorted_batches(clips.lengths, TOGETHER)
        for places in tqdm(batches, desc=f"encode {split} joints", unit="batch", disable=None):
            batch = pad_joints([clips[0, place] for place in places]).to(self.device)
            x = normalizer.normalize(batch.x.unflatten(-1, (-1, 3)))
            for place, z in zip(places, autoencoder.encode(x, batch.mask).cpu(), strict=True):
                latents[ends[place] - lengths[place] : ends[place]] = z[: lengths[place]]

    def _frozen(self) -> tuple[JointAutoencoder, Normalizer]:
        if self._networks is None:
            autoencoder = self.run.load_part("autoencoder", coordinates=3).eval()
            normalizer = load_normalizer(self.run, 3)
            self._networks = (autoencoder.to(self.device), normalizer.to(self.device))
        return self._networks

    def _embed(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        made = self.encoder.encode(texts)
        return made.tokens, made.mask, made.pooled
