"""What stages after the first are trained on: latents of an earlier run, and embedded captions."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lead.core.batches import MotionBatch
from lead.core.building import build, check_fit
from lead.core.files import content_hash
from lead.core.runs import Run
from lead.data.cache import cached_array, cached_posteriors
from lead.data.clips import ClipDataset, length_sorted_batches, pad_clips
from lead.data.joints import JointDataset, pad_joints
from lead.data.latents import LatentDataset, TimedLatents
from lead.data.packed import PackedDataset
from lead.data.words import CaptionWords, caption_words
from lead.generation.flow_coders import latent_frame
from lead.generation.lead_model import keeps_time, load_vae
from lead.representation.normalizer import Normalizer, load_normalizer
from lead.training.clip_captions import pooled_captions
from lead.training.datamodule import StepDataModule, latent_data, validation_split
from lead.training.fit import choose_precision
from lead.training.stage import (
    Description,
    Prepared,
    Stage,
    TrainRequest,
    keep_statistics,
)

TOGETHER = 64  # clips


class LatentInputs:
    """Latents of a stage-1 run and captions of a data set, from its cache where they are there.

    Frozen encoders make what is not, and are loaded only then. ``text_encoder`` describes another
    one than the request's.

    A VAE of whole clips has posteriors of one size, to which captions come as pooled vectors. Where
    a run's latents keep time, captions come word by word, and latents have unit variance, as noise
    has: an auto-encoder gives them so; the posterior means of a VAE are standardised, channel by
    channel, with ``statistics`` of all training clips, or those that the run ``like`` keeps. They
    are the means, without the posterior's noise (see ``VaeCoder``); the cache has them as the VAE
    gives them. A network of such latents has the options ``scales``: one over the root mean square
    of an entry of the training captions' pooled vectors and words, so that text of every encoder
    enters it at unit size.
    """

    def __init__(
        self,
        request: TrainRequest,
        dataset: PackedDataset,
        run: Run,
        text_encoder: Description | None = None,
        like: Run | None = None,
    ):
        self.request, self.dataset, self.run = request, dataset, run
        self.text_encoder = dict(text_encoder or request.text_encoder)
        self.encoder = build("text_encoder", self.text_encoder, "text_encoder")
        trainer = request.trainer
        on_gpu = trainer.accelerator != "cpu" and torch.cuda.is_available()
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self.half = "bf16" in choose_precision(trainer.precision, trainer.accelerator)
        self.timed = keeps_time(run)
        self.statistics: Normalizer | None = None  # of a VAE's latents, once they are there
        if like is not None and self.timed:
            self.statistics = load_normalizer(like, latent_frame(run).channels)

    @property
    def record(self) -> dict[str, object]:
        """What run.json says of the text encoder."""
        fingerprint = self.encoder.fingerprint
        return {"text_encoder": self.text_encoder, "text_fingerprint": fingerprint}

    @property
    def splits(self) -> tuple[str, str]:
        """Of training and validation."""
        return "train", validation_split(self.dataset)

    @cached_property
    def words(self) -> dict[str, CaptionWords]:
        """Captions of each split, word by word."""
        return {
            split: caption_words(self.dataset, split, self.encoder.fingerprint, self._read)
            for split in dict.fromkeys(self.splits)
        }

    @property
    def scales(self) -> dict[str, float]:
        """The network's options of these names; none for latents of whole clips."""
        if not self.timed:
            return {}
        return dict(zip(("text_scale", "word_scale"), self.words["train"].scales(), strict=True))

    def keep(self) -> None:
        """Write the statistics of a VAE's latents beside the weights of the new run."""
        if self.statistics is not None:
            keep_statistics(self.request.run, self.statistics)

    def prepared(
        self, module: Stage, data: StepDataModule, parts: dict[str, Description], *below: Run
    ) -> Prepared:
        """The training of ``module`` on what these inputs give, which stands on the runs below."""
        record = {"parts": parts, "parents": {}, **self.record}
        record["parents"] = {run.stage: run.as_parent(self.request.run) for run in below}
        if hasattr(self.request.options, "sampling"):
            record["sampling"] = self.request.options.sampling
        return Prepared(module, data, record, self.keep)

    def data(self) -> StepDataModule:
        """The training and validation splits."""
        request = self.request
        if self.timed:
            made = {split: self._timed(split) for split in dict.fromkeys(self.splits)}
            train, validation = (made[split] for split in self.splits)
            train.longest = validation.longest = max(train.longest, validation.longest)
        else:
            train, validation = (self._whole(split) for split in self.splits)
        return latent_data(
            *(train, validation, request.options.batch_size, request.trainer.max_steps),
            *(request.seed, self.dataset.split("train").weights),
        )

    # Of whole clips

    def _whole(self, split: str) -> LatentDataset:
        texts, rows = pooled_captions(self.dataset, split, self.encoder)
        packed = self.dataset.split(split)
        return LatentDataset(packed, self._posteriors(split), texts, rows, self.request.seed)

    def _posteriors(self, split: str) -> tuple[Tensor, Tensor]:
        run = self.run
        key = f"{run.weights_hash('vae')} {'bf16' if self.half else 'fp32'}"
        mu, logvar = cached_posteriors(self.dataset, split, key, self._encode)
        sizes = {"latent_tokens": mu.shape[1], "latent_dim": mu.shape[2]}
        check_fit(run.options("vae"), f"{run.file} (vae)", **sizes)
        return mu, logvar

    @torch.no_grad()
    def _encode(self, batch: MotionBatch) -> tuple[Tensor, Tensor]:
        moved = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self._vae.encode(moved.x, moved.mask)

    @cached_property
    def _vae(self) -> torch.nn.Module:
        return load_vae(self.run).to(self.device)

    # Of latents that keep time

    def _timed(self, split: str) -> TimedLatents:
        packed, below = self.dataset.split(split), self.run.stage
        lengths, joints, channels = self._sizes(packed.frames)
        hashes = (self.run.weights_hash(part) for part in (below, "normalizer"))
        key = content_hash(self.dataset.data_hash, split, *hashes)[:16]
        path = self.dataset.folder / "cache" / f"latents-{split}-{key}.npy"

        def fill(latents: np.ndarray) -> None:
            self._fill(split, lengths, latents)

        latents = cached_array(path, (int(lengths.sum()), joints, channels), "float32", fill)
        if below == "vae":
            latents = latents[:, 0]
            self.statistics = self.statistics or statistics_of(latents)
            latents = self.statistics.normalize(torch.from_numpy(np.array(latents))).numpy()
        return TimedLatents(packed, latents, lengths, self.words[split], self.request.seed)

    def _sizes(self, frames: np.ndarray) -> tuple[np.ndarray, int, int]:
        """How many latents clips of so many frames have, and the joints and channels of each."""
        own, joints, channels = latent_frame(self.run)
        return -(-frames // own), joints, channels

    @torch.no_grad()
    def _fill(self, split: str, lengths: np.ndarray, latents: np.ndarray) -> None:
        """Fill in the latents of all clips, one after the other."""
        of_vae, ends = self.run.stage == "vae", np.cumsum(lengths)
        clips = ClipDataset(self.dataset, split) if of_vae else JointDataset(self.dataset, split)
        collate, encode = pad_clips if of_vae else pad_joints, self._frozen
        batches = length_sorted_batches(self.dataset.split(split).frames, TOGETHER)
        for places in tqdm(batches, desc=f"encode {split} motions", unit="batch", disable=None):
            batch = collate([clips[0, place] for place in places]).to(self.device)
            for place, z in zip(places, encode(batch).cpu(), strict=True):
                latents[ends[place] - lengths[place] : ends[place]] = z[: lengths[place]]

    @cached_property
    def _frozen(self) -> Callable[[MotionBatch], Tensor]:
        """From batches to latents (batch, tokens, joints, channels)."""
        if self.run.stage == "vae":
            return lambda batch: self._vae.encode(batch.x, batch.mask)[0][:, :, None]
        network = self.run.load_part("autoencoder", coordinates=3).eval().to(self.device)
        normalize = load_normalizer(self.run, 3).to(self.device).normalize
        return lambda batch: network.encode(normalize(batch.x.unflatten(-1, (-1, 3))), batch.mask)

    def _read(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        made = self.encoder.encode(texts)
        return made.tokens, made.mask, made.pooled


def statistics_of(latents: np.ndarray) -> Normalizer:
    """Mean and deviation of each channel of latents (tokens, channels); 1 of one that is still."""
    mean, std = (of(latents, axis=0, dtype=np.float64) for of in (np.mean, np.std))
    return Normalizer(mean, np.where(std > 1e-6, std, 1.0))
