"""What stages after the first stand on: an earlier run, and its latents with embedded captions."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lead.core.building import build, check_fit
from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.data.cache import cached_posteriors, cached_texts
from lead.data.latents import LatentDataset
from lead.data.packed import PackedDataset
from lead.generation.pipeline import load_vae
from lead.representation.normalizer import load_normalizer
from lead.training.datamodule import StepDataModule, latent_data, validation_split
from lead.training.fit import TrainerOptions, choose_precision
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
    skeleton = run.record.dataset.skeleton
    if skeleton != dataset.skeleton.name:
        raise RequestError(
            f"{run.folder} was trained on skeleton '{skeleton}', {dataset.folder} has "
            f"'{dataset.skeleton.name}': use one data set for all stages"
        )
    data_hash = run.record.dataset.data_hash
    if data_hash is None:
        _check_statistics(run, dataset)
    elif data_hash != dataset.data_hash and not _knows_motions(run, dataset):
        raise RequestError(
            f"{run.folder} was trained on other data than {dataset.folder} holds now: "
            "train stage 1 on it first"
        )
    return run


def _knows_motions(run: Run, dataset: PackedDataset) -> bool:
    """Whether new captions alone came since a VAE that reads none was trained."""
    reads_no_captions = run.stage == "vae" and run.record.text_fingerprint is None
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


def latent_sources(
    vae_run: Run, text_encoder: Description, trainer: TrainerOptions
) -> tuple[Callable, Callable, nn.Module]:
    """Frozen encoders as functions for the caches; the VAE loads only where a cache is missing."""
    encoder = build("text_encoder", text_encoder, "text_encoder")
    on_gpu = trainer.accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    half = "bf16" in choose_precision(trainer.precision, trainer.accelerator)
    loaded: list[nn.Module] = []

    @torch.no_grad()
    def posterior(batch) -> tuple[Tensor, Tensor]:
        if not loaded:
            loaded.append(load_vae(vae_run).to(device))
        moved = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return loaded[0].encode(moved.x, moved.mask)

    def embed(texts: list[str]) -> Tensor:
        return encoder.encode(texts).pooled[:, None]

    def posteriors(dataset: PackedDataset, split: str):
        key = f"{vae_run.weights_hash('vae')} {'bf16' if half else 'fp32'}"
        mu, logvar = cached_posteriors(dataset, split, key, posterior)
        sizes = {"latent_tokens": mu.shape[1], "latent_dim": mu.shape[2]}
        check_fit(vae_run.options("vae"), f"{vae_run.file} (vae)", **sizes)
        return mu, logvar

    return posteriors, embed, encoder


def latent_module(
    request: TrainRequest,
    dataset: PackedDataset,
    posteriors: Callable,
    embed: Callable,
    encoder,
    regenerate: Regeneration | None = None,
) -> StepDataModule:
    """Cached latents and captions of the training and validation splits.

    ``regenerate`` adds what a diffusion run makes of each latent.
    """

    def load(split: str) -> LatentDataset:
        texts, rows = cached_texts(dataset, split, f"{encoder.fingerprint} pooled", embed)
        latents = LatentDataset(
            dataset.split(split), posteriors(dataset, split), texts, rows, request.seed
        )
        if regenerate is not None:
            latents.generated = regenerate(dataset, split, latents)
        return latents

    return latent_data(
        load("train"),
        load(validation_split(dataset)),
        request.options.batch_size,
        request.trainer.max_steps,
        request.seed,
        dataset.split("train").weights,
    )
