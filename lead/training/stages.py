"""The stages end to end: from a request to a finished run directory."""

from collections.abc import Mapping
from contextlib import ExitStack

import torch
import yaml
from pytorch_lightning.utilities import rank_zero_only

from lead.core.building import HOLDS
from lead.core.errors import LeadError, RequestError
from lead.core.files import atomic_path, claimed, write_json
from lead.core.run_record import SCHEMA_VERSION, RunRecord
from lead.core.runs import Run
from lead.core.schema import check
from lead.core.seeding import derive_seed
from lead.data.packed import PackedDataset, open_dataset
from lead.training.environment import environment
from lead.training.first_weights import difference, first_run, start_from
from lead.training.fit import fit
from lead.training.stage import TrainRequest, stage_class
from lead.training.starting import settle, started_anew

UNFINISHED = ("started", "running", "interrupted")


def train_stage(request: TrainRequest) -> Run:
    """Train one stage and return its run.

    Raises RequestError for a missing earlier run or dataset before anything is written.
    """
    stage = stage_class(request.stage)
    dataset = open_dataset(request.dataset)
    run, started = Run(request.run), first_run(request)
    first = rank_zero_only.rank == 0  # of several processes that train together
    with ExitStack() as held:
        if first:
            held.enter_context(claimed(run.folder / "run.json"))
            settle(run)
            _check_folder(run, request)
        torch.manual_seed(derive_seed(request.seed, "weights", request.stage))
        prepared = stage.set_up(request, dataset)
        record = {**prepared.record, "dataset": _dataset_record(dataset)}
        if started is not None:
            start_from(started, prepared)
            record["init"] = started.as_parent(run.folder)
        own = {"stage": request.stage, **record}
        own = check(RunRecord, own, str(dataset.folder), "prepare it again")
        if first and request.resume and run.exists():
            _check_inputs(run, own)

        def begin() -> None:
            if not (request.resume and run.exists() and run.state_path.is_file()):
                held.enter_context(started_anew(run))
                _start_run(run, request, record)
                prepared.keep()

        return fit(
            *(prepared.module, prepared.data, run, request.trainer),
            seed=request.seed,
            resume=request.resume,
            begin=begin if first else None,
        )


def _check_folder(run: Run, request: TrainRequest) -> None:
    """An existing run is resumed or overwritten only where that was asked for."""
    if not run.exists():
        # Hidden entries are what a process left that was killed while it wrote its first file.
        if run.folder.is_dir() and any(e.name[0] != "." for e in run.folder.iterdir()):
            raise RequestError(f"{run.folder} exists and is not a run: give another run=DIR")
        return
    if request.resume:
        name = request.stage
        if run.stage != name:
            raise RequestError(f"{run.folder} is a {run.stage} run: it cannot resume as {name}")
        if run.record.status not in UNFINISHED and not run.state_path.is_file():
            raise RequestError(
                f"{run.folder} is {run.record.status} and keeps no trainer state to go on "
                "from: overwrite=true starts again, run=DIR names another"
            )
        before, now = (_own_options(name, of) for of in (run.record.values, request.kept))
        if changed := difference(before, now):
            raise RequestError(
                f"{run.folder} was started with other options, {changed}: resume with the same, or "
                "give another run=DIR"
            )
        return
    if not request.overwrite:
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


def _own_options(name: str, values: Mapping) -> dict:
    """The options that decide how a stage trains; those of the other stages may change."""
    stages = values.get("stages", {})
    return {
        "seed": values.get("seed"),
        "init": values.get("init"),
        "stage": values.get("stage"),
        f"stages.{name}": stages.get(name),
    }


def _check_inputs(run: Run, record: RunRecord) -> None:
    """A run goes on with the model, data, earlier runs and text encoder that it began with."""

    def inputs(of: RunRecord) -> dict:
        hashes = {stage: parent.hash for stage, parent in of.parents.items()}
        return {
            "dataset": of.dataset.data_hash,
            "text encoder": of.text_fingerprint,
            **{f"{stage} run": hashes.get(stage) for stage in HOLDS},
        }

    if changed := difference({"model": run.record.parts}, {"model": record.parts}):
        raise RequestError(
            f"{run.folder} was started with another model, {changed}: resume with the same, or "
            "start again with overwrite=true"
        )
    now = inputs(record)
    for name, before in inputs(run.record).items():
        if before != now[name]:
            raise RequestError(
                f"{run.folder} was started with another {name}, or it has changed since: resume "
                "with the same, or start again with overwrite=true"
            )


def _start_run(run: Run, request: TrainRequest, record: dict) -> None:
    """Make an empty run; killed at any moment, it can be started again or overwritten."""
    write_json(
        run.folder / "run.json",
        {
            "schema": SCHEMA_VERSION,
            "stage": request.stage,
            "status": "started",
            "step": 0,
            **record,
            "values": request.kept,
        },
    )
    with atomic_path(run.folder / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(request.kept, sort_keys=False))
    write_json(run.folder / "environment.json", environment(request.seed))


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
