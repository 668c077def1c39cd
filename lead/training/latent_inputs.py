"""What stages after the first stand on: an earlier run, and its latents with embedded captions."""

import torch
from torch import Tensor, nn

from lead.core.batches import MotionBatch
from lead.core.building import build, check_fit
from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.data.cache import cached_posteriors, cached_texts
from lead.data.latents import LatentDataset
from lead.data.packed import PackedDataset
from lead.generation.lead_model import load_vae
from lead.representation.normalizer import load_normalizer
from lead.training.datamodule import StepDataModule, latent_data, validation_split
from lead.training.fit import choose_precision
from lead.training.generated_latents import Regeneration
from lead.training.stage import Description, TrainRequest

STAGE_OF = {"teacher": "diffusion"}
"""The stage of the run that an option names, where it is not the option's own name."""


def earlier_run(request: TrainRequest, key: str, dataset: PackedDataset, wanted: str) -> Run:
    """The run that the option ``key`` names; RequestError where it does not fit the data.

    ``wanted`` says which options would do where none is given.
    """
    if key not in request.earlier:
        raise RequestError(
            f"stage {request.stage} stands on an earlier stage: name its run, {wanted}"
        )
    run, stage = Run(request.earlier[key]), STAGE_OF.get(key, key)
    if run.stage != stage:
        raise RequestError(f"{run.folder} is a {run.stage} run, but {key}= needs a {stage} run")
    if stage == "text_autoencoder":
        return run  # it knows no motions
    skeleton = run.record.dataset.skeleton
    if skeleton != dataset.skeleton.name:
        raise RequestError(
            f"{run.folder} was trained on skeleton '{skeleton}', {dataset.folder} has "
            f"'{dataset.skeleton.name}': use one data set for all stages"
        )
    data_hash = run.record.dataset.data_hash
    if data_hash is None and stage == "autoencoder":
        return run  # its positions are in metres, and stand beside its own statistics
    if data_hash is None:
        _check_statistics(run, dataset)
    elif data_hash != dataset.data_hash and not _knows_motions(run, dataset):
        raise RequestError(
            f"{run.folder} was trained on other data than {dataset.folder} holds now: "
            "train stage 1 on it first"
        )
    return run


def _knows_motions(run: Run, dataset: PackedDataset) -> bool:
    """Whether new captions alone came since a stage 1 that reads none was trained."""
    reads_no_captions = run.stage in ("vae", "autoencoder") and run.record.text_fingerprint is None
    return reads_no_captions and run.record.dataset.data_hash in dataset.same_motions


def _check_statistics(run: Run, dataset: PackedDataset) -> None:
    """An imported run knows no data set, but how its motions were normalised."""
    own = load_normalizer(run.ancestor("vae"), dataset.skeleton.features)
    for name, statistic in dataset.normalizer.state_dict().items():
        if not torch.allclose(statistic, own.state_dict()[name], rtol=1e-4, atol=1e-5):
            raise RequestError(
                f"{run.folder} was imported with another {name} than {dataset.folder} has: "
                f"import it with mean={dataset.folder / 'Mean.npy'} "
                f"std={dataset.folder / 'Std.npy'}, if it was trained with those"
            )


class LatentInputs:
    """Latents of a VAE's run and captions of a data set, from its cache where they are there.

    Frozen encoders make what is not; the VAE is loaded only then. ``text_encoder`` describes
    another one than the request's. Raises RequestError for latents that keep time.
    """

    def __init__(
        self,
        request: TrainRequest,
        dataset: PackedDataset,
        vae_run: Run,
        text_encoder: Description | None = None,
    ):
        if vae_run.description("vae").get("_target_") == "timed_vae":
            raise RequestError(
                f"{vae_run.folder} has latents that keep time, {request.stage} needs those of "
                "whole clips: train a flow on it, stage=flow"
            )
        self.request, self.dataset, self.vae_run = request, dataset, vae_run
        self.text_encoder = dict(text_encoder or request.text_encoder)
        self.encoder = build("text_encoder", self.text_encoder, "text_encoder")
        trainer = request.trainer
        on_gpu = trainer.accelerator != "cpu" and torch.cuda.is_available()
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self.half = "bf16" in choose_precision(trainer.precision, trainer.accelerator)
        self._vae: nn.Module | None = None

    @property
    def record(self) -> dict[str, object]:
        """What run.json says of the text encoder."""
        fingerprint = self.encoder.fingerprint
        return {"text_encoder": self.text_encoder, "text_fingerprint": fingerprint}

    def data(self, regenerate: Regeneration | None = None) -> StepDataModule:
        """The training and validation splits.

        ``regenerate`` adds what a diffusion run makes of each latent.
        """
        request = self.request
        train, validation = (
            self._load(split, regenerate) for split in ("train", validation_split(self.dataset))
        )
        return latent_data(
            *(train, validation, request.options.batch_size, request.trainer.max_steps),
            *(request.seed, self.dataset.split("train").weights),
        )

    def _load(self, split: str, regenerate: Regeneration | None) -> LatentDataset:
        key = f"{self.encoder.fingerprint} pooled"
        texts, rows = cached_texts(self.dataset, split, key, self._embed)
        latents = LatentDataset(
            *(self.dataset.split(split), self._posteriors(split), texts, rows, self.request.seed)
        )
        if regenerate is not None:
            latents.generated = regenerate(self.dataset, split, latents)
        return latents

    def _posteriors(self, split: str) -> tuple[Tensor, Tensor]:
        run = self.vae_run
        key = f"{run.weights_hash('vae')} {'bf16' if self.half else 'fp32'}"
        mu, logvar = cached_posteriors(self.dataset, split, key, self._encode)
        sizes = {"latent_tokens": mu.shape[1], "latent_dim": mu.shape[2]}
        check_fit(run.options("vae"), f"{run.file} (vae)", **sizes)
        return mu, logvar

    @torch.no_grad()
    def _encode(self, batch: MotionBatch) -> tuple[Tensor, Tensor]:
        if self._vae is None:
            self._vae = load_vae(self.vae_run).to(self.device)
        moved = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self._vae.encode(moved.x, moved.mask)

    def _embed(self, texts: list[str]) -> Tensor:
        return self.encoder.encode(texts).pooled[:, None]
