"""The stages end to end: from resolved values to a finished run directory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
import yaml
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from lead.core.building import build, check_fit, full_options
from lead.core.errors import LeadError, RequestError, did_you_mean
from lead.core.files import atomic_path, claimed, write_json, write_tensors
from lead.core.run_record import SCHEMA_VERSION, RunRecord
from lead.core.runs import Run
from lead.core.schema import check
from lead.core.seeding import derive_seed
from lead.data.packed import PackedDataset, open_dataset
from lead.models.mlp_denoiser import MlpDenoiser
from lead.training.classifier_run import classifier_stage
from lead.training.clip_captions import ClipCaptions, clip_captions
from lead.training.datamodule import motion_data, validation_split
from lead.training.distill_run import distill_stage
from lead.training.environment import environment
from lead.training.evaluator_run import evaluator_stage
from lead.training.fit import TrainerOptions, fit
from lead.training.generated_latents import regeneration
from lead.training.latent_inputs import earlier_run, latent_module, latent_sources
from lead.training.stage_module import make_stage_module, stage_options
from lead.training.starting import settle, started_anew

CLIPS_OF_PRINCIPAL_MOTIONS = 4000
HANDS = ("left_elbow", "right_elbow", "left_wrist", "right_wrist")
UNFINISHED = ("started", "running", "interrupted")


def train_stage(name: str, values: dict) -> Run:
    """Train one stage from resolved values (configs/train.yaml) and return its run.

    Raises RequestError for a missing earlier run, dataset or option before anything is written.
    """
    if name not in STAGES:
        raise RequestError(f"unknown stage '{name}': {did_you_mean(name, STAGES)}")
    options = TrainerOptions(**{**values["trainer"], "logger": tuple(values["trainer"]["logger"])})
    dataset = open_dataset(values["dataset"])
    run = Run(Path(values["run"]))
    first = rank_zero_only.rank == 0  # of several processes that train together
    with ExitStack() as held:
        if first:
            held.enter_context(claimed(run.folder / "run.json"))
            settle(run)
            _check_folder(run, name, values)
        torch.manual_seed(derive_seed(values["seed"], "weights", name))
        module, data, record, prepare = STAGES[name](values, dataset, run.folder)
        record["dataset"] = _dataset_record(dataset)
        own = check(RunRecord, {"stage": name, **record}, str(dataset.folder), "prepare it again")
        if first and values["resume"] and run.exists():
            _check_inputs(run, own)

        def begin() -> None:
            if not (values["resume"] and run.exists() and run.state_path.is_file()):
                held.enter_context(started_anew(run))
                _start_run(run, name, values, record)
                prepare()

        return fit(
            *(module, data, run, options),
            seed=values["seed"],
            resume=values["resume"],
            begin=begin if first else _nothing,
        )


def _check_folder(run: Run, name: str, values: dict) -> None:
    """An existing run is resumed or overwritten only where that was asked for."""
    if not run.exists():
        # Hidden entries are what a process left that was killed while it wrote its first file.
        if run.folder.is_dir() and any(e.name[0] != "." for e in run.folder.iterdir()):
            raise RequestError(f"{run.folder} exists and is not a run: give another run=DIR")
        return
    if values["resume"]:
        if run.stage != name:
            raise RequestError(f"{run.folder} is a {run.stage} run: it cannot resume as {name}")
        if run.record.status not in UNFINISHED and not run.state_path.is_file():
            raise RequestError(
                f"{run.folder} is {run.record.status} and keeps no trainer state to go on "
                "from: overwrite=true starts again, run=DIR names another"
            )
        before, now = (_own_options(name, of) for of in (run.record.values, values))
        for key in now:
            if before[key] != now[key]:
                raise RequestError(
                    f"{run.folder} was started with another '{key}': resume with the same "
                    "options, or give another run=DIR"
                )
        return
    if not values["overwrite"]:
        raise RequestError(
            f"{run.folder} exists: resume=true goes on with it, overwrite=true starts again, "
            "run=DIR names another"
        )
    try:
        _ = run.record
    except LeadError as error:
        raise RequestError(
            f"{run.folder} is not replaced, its run.json is none that lead wrote ({error}): give "
            "another run=DIR, or remove it yourself"
        ) from error


def _own_options(name: str, values: dict) -> dict:
    """The options that decide how a stage trains; those of the other stages may change."""
    stages = values.get("stages", {})
    return {
        "seed": values.get("seed"),
        "stage": values.get("stage"),
        f"stages.{name}": stages.get(name),
    }


def _check_inputs(run: Run, record: RunRecord) -> None:
    """A run goes on with the model, data, earlier runs and text encoder that it began with."""

    def inputs(of: RunRecord) -> dict:
        hashes = {stage: parent.hash for stage, parent in of.parents.items()}
        return {
            "model": of.parts,
            "dataset": of.dataset.data_hash,
            "text encoder": of.text_fingerprint,
            **{f"{stage} run": hashes.get(stage) for stage in STAGES},
        }

    now = inputs(record)
    for name, before in inputs(run.record).items():
        if before != now[name]:
            raise RequestError(
                f"{run.folder} was started with another {name}, or it has changed since: resume "
                "with the same, or start again with overwrite=true"
            )


def _kept(values: dict) -> dict:
    """The values that a run keeps: all but where it stands and whether it resumes."""
    left_out = ("resume", "overwrite", "run")
    return {key: value for key, value in values.items() if key not in left_out}


def _start_run(run: Run, name: str, values: dict, record: dict) -> None:
    """Make an empty run; killed at any moment, it can be started again or overwritten."""
    write_json(
        run.folder / "run.json",
        {
            "schema": SCHEMA_VERSION,
            "stage": name,
            "status": "started",
            "step": 0,
            **record,
            "values": _kept(values),
        },
    )
    with atomic_path(run.folder / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(_kept(values), sort_keys=False))
    write_json(run.folder / "environment.json", environment(values["seed"]))


def _dataset_record(dataset: PackedDataset) -> dict:
    return {
        "name": dataset.manifest.name,
        "data_hash": dataset.data_hash,
        "skeleton": dataset.skeleton.name,
        "fps": dataset.fps,
        "licence": dataset.manifest.licence,
        "frames": _length_limits(dataset),
    }


def _length_limits(dataset: PackedDataset) -> list[int]:
    frames = dataset.split("train" if "train" in dataset.manifest.clips else "val").frames
    return [int(frames.min()), int(frames.max())]


def _vae_stage(values: dict, dataset: PackedDataset, folder: Path) -> tuple:
    description = {**values["model"]["vae"], "features": dataset.skeleton.features}
    stage = values["stages"]["vae"]
    vae = build("vae", description, "model.vae")
    if vae.principal is not None:
        weights = torch.ones(dataset.skeleton.features)
        weights[dataset.skeleton.feature_columns(*HANDS)] = vae.hands_weight
        vae.principal.fit(_some_clips(dataset), weights)
    captions, record = _captions_to_align(values, dataset)
    module = make_stage_module(
        values,
        vae=vae,
        normalizer=dataset.normalizer,
        skeleton=dataset.skeleton.name,
        captions=captions,
    )
    data = motion_data(
        dataset,
        stage["batch_size"],
        values["trainer"]["max_steps"],
        values["seed"],
        crop_unit=values["stage"]["crop_unit"],
        crop_min=values["stage"]["crop_min"],
    )

    def keep_normalizer() -> None:
        write_tensors(
            folder / "weights" / "normalizer.safetensors", dataset.normalizer.state_dict()
        )

    return module, data, {"parts": {"vae": description}, "parents": {}, **record}, keep_normalizer


def _captions_to_align(values: dict, dataset: PackedDataset) -> tuple[ClipCaptions | None, dict]:
    """Embedded captions where stage 1 is aligned with them, and what a run records of it."""
    if not stage_options(values).get("align_weight"):
        return None, {}
    splits = ("train", validation_split(dataset))
    with torch.random.fork_rng():  # filling a cache draws random numbers
        encoder = build("text_encoder", values["text_encoder"], "text_encoder")
        captions = clip_captions(dataset, splits, encoder, values["seed"])
    record = {
        "text_encoder": {**values["text_encoder"]},
        "text_fingerprint": encoder.fingerprint,
    }
    return captions, record


def _some_clips(dataset: PackedDataset) -> Iterator[Tensor]:
    """Normalised training clips, evenly spread over the split, as many as fit into memory."""
    split = dataset.split("train")
    count = min(len(split), CLIPS_OF_PRINCIPAL_MOTIONS)
    for place in np.linspace(0, len(split) - 1, count).astype(int).tolist():
        yield dataset.normalizer.normalize(torch.tensor(split.clip(place)))


def _diffusion_stage(values: dict, dataset: PackedDataset, folder: Path) -> tuple:
    vae_run = earlier_run(values, "vae", dataset)
    posterior, text, encoder = latent_sources(vae_run, values)
    vae = vae_run.options("vae")
    description = {
        **values["model"]["denoiser"],
        "latent_dim": vae["latent_dim"],
        "text_dim": encoder.dim,
    }
    schedule = build("schedule", values["model"]["schedule"], "model.schedule")
    check_fit(
        *(full_options("denoiser", description, "model.denoiser"), "model.denoiser"),
        **{"latent_tokens": vae["latent_tokens"], "timesteps": schedule.num_train_timesteps},
    )
    # Before the data: filling a cache draws random numbers, and the weights start from the seed.
    denoiser = build("denoiser", description, "model.denoiser")
    data = latent_module(values, dataset, posterior, text, encoder)
    if isinstance(denoiser, MlpDenoiser):
        latents = data.train
        denoiser.preconditioning.fit(latents.mu, latents.logvar, schedule.alphas_cumprod)
    module = make_stage_module(values, denoiser=denoiser, schedule=schedule)
    record = {
        "parts": {"denoiser": description, "schedule": values["model"]["schedule"]},
        "parents": {"vae": vae_run.as_parent(folder)},
        "text_encoder": {**values["text_encoder"]},
        "text_fingerprint": encoder.fingerprint,
        "sampling": values["stages"]["diffusion"].get("sampling"),
    }
    return module, data, record, _nothing


def _projector_stage(values: dict, dataset: PackedDataset, folder: Path) -> tuple:
    earlier = earlier_run(values, "diffusion" if values["diffusion"] else "vae", dataset)
    vae_run = earlier.ancestor("vae")
    regenerate = regeneration(values, earlier)
    posterior, text, encoder = latent_sources(vae_run, values)
    description = {
        **values["model"]["projector"],
        "latent_dim": vae_run.options("vae")["latent_dim"],
        "text_dim": encoder.dim,
    }
    module = make_stage_module(values, projector=build("projector", description, "model.projector"))
    record = {
        "parts": {"projector": description},
        "parents": {earlier.stage: earlier.as_parent(folder)},
        "text_encoder": {**values["text_encoder"]},
        "text_fingerprint": encoder.fingerprint,
    }
    data = latent_module(values, dataset, posterior, text, encoder, regenerate)
    return module, data, record, _nothing


STAGES: dict[str, Callable[[dict, PackedDataset, Path], tuple]] = {
    "vae": _vae_stage,
    "diffusion": _diffusion_stage,
    "projector": _projector_stage,
    "distill": distill_stage,
    "evaluator": evaluator_stage,
    "classifier": classifier_stage,
}


def _nothing() -> None:
    """Stages 2 and 3 keep nothing beside their weights."""
