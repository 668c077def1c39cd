"""What may be started where, what a run keeps, and what a later stage may stand on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lead.cli.train_request import train_request
from lead.core.claims import beside
from lead.core.errors import LeadError, RequestError, WorkError
from lead.core.files import write_json, write_tensors
from lead.core.reading import read_tensors
from lead.core.runs import Run
from lead.data.contents import STAMPS
from lead.training.stages import train_stage


@pytest.fixture(scope="module")
def chain(train_chain) -> dict[str, Path]:
    return train_chain("trainer.precision=fp32")


@pytest.fixture
def copies(chain, tmp_path) -> dict[str, Path]:
    """The three runs as a test's own, beside each other."""
    for stage, folder in chain.items():
        shutil.copytree(folder, tmp_path / stage)
    return {stage: tmp_path / stage for stage in chain}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refused(kind: type[LeadError], values: dict, *words: str) -> None:
    """The stage is refused with one line that holds these words."""
    with pytest.raises(kind) as error:
        train_stage(train_request(values))
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


# What a run holds


@pytest.mark.parametrize(
    ("stage", "weights"),
    [
        ("vae", {"normalizer", "vae"}),
        ("diffusion", {"denoiser"}),
        ("projector", {"projector"}),
    ],
)
def test_a_run_holds_what_it_takes_to_go_on(chain, stage, weights):
    folder = chain[stage]
    assert {path.stem for path in (folder / "weights").iterdir()} == weights
    record = json.loads((folder / "run.json").read_text())
    assert record["stage"] == stage and record["status"] == "finished" and record["step"] == 7
    assert record["best"]["step"] in (3, 6)
    assert record["values"]["seed"] == 1234
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["libraries"]["torch"] == torch.__version__
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "metrics.csv", "state", "weights"} <= names
    assert not any(name.startswith(".") for name in names)


def test_the_weights_kept_are_the_average_of_the_best_validation(chain):
    state = torch.load(Run(chain["vae"]).state_path, weights_only=True)
    average = state["callbacks"]["ExponentialAverage"]
    kept = read_tensors(chain["vae"] / "weights" / "vae.safetensors")
    raw = {k.removeprefix("vae."): v for k, v in state["state_dict"].items() if "vae." in k}
    assert {f"vae.{name}" for name in kept} == set(average)
    name = "input_layer.weight"
    assert not torch.equal(kept[name], raw[name])
    # The best validation is that of step 6; the average last moved at step 4, the run has 7.
    assert torch.equal(average[f"vae.{name}"], kept[name])


@pytest.mark.parametrize(("stage", "part"), [("diffusion", "denoiser"), ("projector", "projector")])
def test_the_frozen_parts_are_nowhere_in_a_later_stage(
    chain, make_values, monkeypatch, tmp_path, stage, part
):
    modules = []
    monkeypatch.setattr(
        "lead.training.stages.fit", lambda module, _, run, *__, **___: modules.append(module) or run
    )
    earlier = {"diffusion": "vae", "projector": "diffusion"}[stage]
    train_stage(train_request(make_values(stage, tmp_path / "run", f"{earlier}={chain[earlier]}")))
    module = modules[0]
    optimised = module.configure_optimizers()["optimizer"].param_groups
    parameters = {name for name, _ in module.named_parameters()}
    assert parameters and all(name.startswith(f"{part}.") for name in parameters)
    assert sum(len(group["params"]) for group in optimised) == len(parameters)
    assert all(parameter.requires_grad for parameter in module.parameters())
    state = torch.load(Run(chain[stage]).state_path, weights_only=True)
    assert {name.split(".")[0] for name in state["state_dict"]} == {part}
    assert {name.split(".")[0] for name in state["callbacks"]["ExponentialAverage"]} == {part}


def test_no_encoder_runs_where_a_cache_is_whole(chain, make_values, monkeypatch, tmp_path):
    from lead.models.text_encoders.hash import HashTextEncoder
    from lead.models.vae import MotionVAE

    def run(*_):
        raise AssertionError("an encoder ran")

    monkeypatch.setattr(MotionVAE, "encode", run)
    monkeypatch.setattr(HashTextEncoder, "encode", run)
    train_stage(train_request(make_values("diffusion", tmp_path / "d", f"vae={chain['vae']}")))
    train_stage(train_request(make_values("projector", tmp_path / "p", f"vae={chain['vae']}")))
    with pytest.raises(AssertionError, match="an encoder ran"):
        other = make_values(
            "projector", tmp_path / "q", f"vae={chain['vae']}", "text_encoder.seed=1"
        )
        train_stage(train_request(other))


# Folders that are there already


def test_a_run_that_is_there_is_kept(copies, make_values):
    before = contents(copies["vae"])
    refused(
        *(RequestError, make_values("vae", copies["vae"])),
        *("exists: resume=true goes on with it", "overwrite=true", "run=DIR"),
    )
    assert contents(copies["vae"]) == before


def test_overwriting_starts_from_nothing(copies, make_values, assert_same_run, chain):
    run = Run(copies["vae"])
    run.update(best={"val/loss": -1e9, "step": 1}, note="old")
    write_json(run.folder / "metrics.json", {"old": 1})
    train_stage(train_request(make_values("vae", run.folder, "overwrite=true")))
    assert_same_run(run.folder, chain["vae"])
    assert "note" not in Run(run.folder).contents
    assert not (run.folder / "metrics.json").exists()


@pytest.mark.parametrize("option", ["resume=false", "resume=true", "overwrite=true"])
def test_a_folder_that_is_no_run_is_left_alone(make_values, tmp_path, option):
    folder = tmp_path / "mine"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "thesis.txt").write_text("years of work")
    refused(RequestError, make_values("vae", folder, option), "exists and is not a run")
    assert contents(folder) == {"weights/thesis.txt": b"years of work"}


def test_a_folder_killed_before_its_first_file_is_no_obstacle(make_values, tmp_path):
    folder = tmp_path / "run"
    (folder / "weights").mkdir(parents=True)
    shutil.rmtree(folder / "weights")
    (folder / ".run.json.lead-new0.json").write_text("{")
    run = train_stage(train_request(make_values("vae", folder, "resume=true")))
    assert run.record.status == "finished" and not list(folder.glob(".*"))


@pytest.mark.parametrize("missing", ["state", "state weights metrics.csv config.yaml"])
def test_a_run_killed_before_its_first_save_starts_again(
    copies, make_values, assert_same_run, chain, missing
):
    for name in missing.split():
        path = copies["vae"] / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    Run(copies["vae"]).update(status="running")
    train_stage(train_request(make_values("vae", copies["vae"], "resume=true")))
    assert_same_run(copies["vae"], chain["vae"])


def test_a_finished_run_without_state_is_not_thrown_away(copies, make_values):
    shutil.rmtree(copies["vae"] / "state")
    before = contents(copies["vae"])
    values = make_values("vae", copies["vae"], "resume=true")
    refused(RequestError, values, "is finished and keeps no trainer state", "overwrite=true")
    assert contents(copies["vae"]) == before


def test_half_written_files_are_swept_up(copies, make_values):
    rubbish = [
        beside(copies["vae"] / name, "new0", ending=True)
        for name in ("state/trainer.ckpt", "weights/vae.safetensors", "metrics.csv")
    ]
    mine = copies["vae"] / ".metrics.csv.old.csv"
    for path in (*rubbish, mine):
        path.write_bytes(b"half")
    train_stage(train_request(make_values("vae", copies["vae"], "resume=true")))
    assert not any(path.exists() for path in rubbish) and mine.exists()


# Resuming with something else


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("seed=2", "seed: 1234 there, 2 now"),
        ("stages.vae.batch_size=5", "stages.vae.batch_size: 4 there, 5 now"),
        ("stages.vae.optimizer.lr=1e-4", "stages.vae.optimizer.lr: 0.002 there, 0.0001 now"),
        ("stage.module.kl_weight=1.0", "stage.module.kl_weight: 0.0001 there, 1.0 now"),
        ("stage.crop_unit=4", "stage.crop_unit: "),
    ],
)
def test_resuming_with_other_options_is_refused(copies, make_values, override, key):
    before = contents(copies["vae"])
    values = make_values("vae", copies["vae"], "resume=true", override)
    refused(RequestError, values, f"was started with other options, {key}")
    assert contents(copies["vae"]) == before


@pytest.mark.parametrize(
    ("stage", "override", "what"),
    [
        ("vae", "model.vae.width=32", "model, model.vae.width: 16 there, 32 now"),
        (
            *("diffusion", "model.denoiser.relu_before_text=false"),
            "model, model.denoiser.relu_before_text: true there, false now",
        ),
        ("diffusion", "model.schedule.beta_end=0.02", "model, model.schedule.beta_end: 0.0"),
        ("projector", "model.projector.kind=linear", "model, model.projector.kind: 'transformer'"),
        ("projector", "text_encoder.seed=5", "text encoder"),
    ],
)
def test_resuming_with_another_model_is_refused(copies, make_values, stage, override, what):
    before = contents(copies[stage])
    earlier = {"vae": (), "diffusion": ("vae",), "projector": ("diffusion",)}[stage]
    names = [f"{name}={copies[name]}" for name in earlier]
    values = make_values(stage, copies[stage], "resume=true", override, *names)
    refused(RequestError, values, f"was started with another {what}")
    assert contents(copies[stage]) == before


def test_options_of_other_stages_may_change(copies, make_values):
    others = ("model.projector.width=32", "stages.projector.batch_size=9", "text_encoder.dim=16")
    train_stage(train_request(make_values("vae", copies["vae"], "resume=true", *others)))


def test_resuming_another_stage_is_refused(copies, make_values):
    values = make_values("vae", copies["diffusion"], "resume=true")
    refused(RequestError, values, "is a diffusion run: it cannot resume as vae")


def test_resuming_on_another_earlier_run_is_refused(copies, make_values, tmp_path):
    train_stage(train_request(make_values("vae", tmp_path / "other", "seed=3")))
    values = make_values("diffusion", copies["diffusion"], "resume=true", f"vae={tmp_path}/other")
    refused(RequestError, values, "was started with another vae run")


def test_resuming_on_other_data_is_refused(copies, make_values, micro_dataset, tmp_path):
    shutil.copytree(micro_dataset, tmp_path / "data", ignore=shutil.ignore_patterns(STAMPS))
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    write_json(tmp_path / "data" / "manifest.json", {**manifest, "data_hash": "0" * 64})
    values = make_values("vae", copies["vae"], "resume=true")
    values["dataset"] = str(tmp_path / "data")
    refused(RequestError, values, "another dataset")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a whole archive", None])
def test_a_broken_trainer_state_is_one_line(copies, make_values, damage):
    path = Run(copies["vae"]).state_path
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    values = make_values("vae", copies["vae"], "resume=true")
    refused(WorkError, values, "trainer.ckpt is broken: start again with overwrite=true")


# Earlier runs


@pytest.mark.parametrize(
    ("stage", "wanted"), [("diffusion", "vae=RUN"), ("projector", "diffusion=RUN")]
)
def test_a_later_stage_needs_the_earlier_one(make_values, tmp_path, stage, wanted):
    refused(RequestError, make_values(stage, tmp_path / "run"), f"stage {stage} stands on", wanted)
    assert not (tmp_path / "run").exists()


def test_an_earlier_run_of_another_stage_is_refused(chain, make_values, tmp_path):
    values = make_values("diffusion", tmp_path / "run", f"vae={chain['projector']}")
    refused(RequestError, values, "is a projector run, but vae= needs a vae run")
    values = make_values("diffusion", tmp_path / "run", f"vae={tmp_path}")
    refused(RequestError, values, "is not a run directory")


def test_an_earlier_run_on_other_data_is_refused(copies, make_values, tmp_path):
    record = Run(copies["vae"]).contents
    Run(copies["vae"]).update(dataset={**record["dataset"], "data_hash": "another"})
    values = make_values("diffusion", tmp_path / "run", f"vae={copies['vae']}")
    refused(RequestError, values, "was trained on other data")
    Run(copies["vae"]).update(dataset={**record["dataset"], "skeleton": "kit"})
    refused(RequestError, values, "trained on skeleton 'kit'", "has 'humanml3d'")


def test_an_earlier_run_that_changed_is_noticed(copies, make_values, tmp_path):
    path = copies["vae"] / "weights" / "vae.safetensors"
    tensors = read_tensors(path)
    tensors["output_layer.bias"][0] += 1
    write_tensors(path, tensors)
    values = make_values("projector", tmp_path / "run", f"diffusion={copies['diffusion']}")
    refused(WorkError, values, "has changed since")


def test_an_earlier_run_that_is_gone_is_named(copies, make_values, tmp_path):
    shutil.rmtree(copies["vae"])
    values = make_values("projector", tmp_path / "run", f"diffusion={copies['diffusion']}")
    refused(RequestError, values, str(copies["vae"]), "which is gone")


def test_an_earlier_run_without_weights_is_refused(copies, make_values, tmp_path):
    (copies["vae"] / "weights" / "vae.safetensors").unlink()
    values = make_values("diffusion", tmp_path / "run", f"vae={copies['vae']}")
    refused(RequestError, values, "holds no weights of its vae yet")


# The data


def test_the_test_split_is_never_opened(
    make_values, micro_dataset, assert_same_run, chain, tmp_path
):
    shutil.copytree(
        micro_dataset, tmp_path / "data", ignore=shutil.ignore_patterns("cache", "test*")
    )
    runs = {"vae": (), "diffusion": ("vae",), "projector": ("diffusion",)}
    for stage, earlier in runs.items():
        names = [f"{name}={tmp_path / name}" for name in earlier]
        values = make_values(stage, tmp_path / stage, *names)
        values["dataset"] = str(tmp_path / "data")
        train_stage(train_request(values))
        assert_same_run(tmp_path / stage, chain[stage])


@pytest.mark.parametrize("split", ["train", "val"])
def test_not_a_number_in_the_data_stops_with_the_clips(make_values, micro_dataset, tmp_path, split):
    passed_over = shutil.ignore_patterns("cache", STAMPS)
    shutil.copytree(micro_dataset, tmp_path / "data", ignore=passed_over)
    features = np.load(tmp_path / "data" / f"{split}.npy")
    features[5] = np.nan
    np.save(tmp_path / "data" / f"{split}.npy", features)
    first = json.loads((tmp_path / "data" / f"{split}.index.json").read_text())["id"][0]
    values = make_values("vae", tmp_path / "run")
    values["dataset"] = str(tmp_path / "data")
    place = f"{tmp_path / 'data' / split}.npy: clip '{first}' holds a value that is not finite"
    refused(WorkError, values, place)
    assert not (tmp_path / "run" / "weights" / "vae.safetensors").exists()


def test_without_a_val_split_the_train_split_validates(make_values, micro_dataset, tmp_path):
    shutil.copytree(
        micro_dataset, tmp_path / "data", ignore=shutil.ignore_patterns("cache", "val*")
    )
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    del manifest["clips"]["val"]
    write_json(tmp_path / "data" / "manifest.json", manifest)
    values = make_values("vae", tmp_path / "run")
    values["dataset"] = str(tmp_path / "data")
    assert train_stage(train_request(values)).record.best["step"] in (3, 6)


# Options


def test_an_unknown_stage_says_what_was_meant(make_values, tmp_path):
    values = make_values("vae", tmp_path / "run")
    with pytest.raises(RequestError, match="unknown stage 'vea': did you mean 'vae'"):
        train_request({**values, "stage": {**values["stage"], "name": "vea"}})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.logger=[wandbb]", "trainer: 'logger.0': unknown 'wandbb', did you mean 'wandb'"),
        ("trainer.ema_decay=1.0", "trainer: 'ema_decay' takes a number less than 1, got 1.0"),
        ("trainer.accelerator=gqu", "gqu"),
        ("stages.vae.optimizer.schedule=cosin", "did you mean 'cosine'"),
        (
            "stage.crop_unit=0",
            "'crop_unit' takes a number greater than or equal to 1",
        ),
        ("model.vae.heads=3", "cannot be shared by 3 heads"),
        ("model.vae.layers=4", "odd number of layers, not 4"),
    ],
)
def test_options_that_cannot_work_leave_nothing_behind(make_values, tmp_path, override, message):
    refused(RequestError, make_values("vae", tmp_path / "run", override), message)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [("latent", "smaple", "sample"), ("var_form", "softmx", "softmax"), ("rec_reduction", "s", "")],
)
def test_unknown_choices_of_the_projector_leave_nothing_behind(
    chain, make_values, tmp_path, option, value, meant
):
    values = make_values(
        "projector", tmp_path / "run", f"vae={chain['vae']}", f"stage.module.{option}={value}"
    )
    refused(RequestError, values, f"'{option}': unknown '{value}'", meant)
    assert not (tmp_path / "run").exists()


def test_a_projector_needs_no_diffusion_run(chain, make_values, tmp_path):
    values = make_values("projector", tmp_path / "p", f"vae={chain['vae']}")
    run = train_stage(train_request(values))
    assert run.ancestor("vae").folder == chain["vae"].resolve()
    with pytest.raises(RequestError, match="without a diffusion: name one with diffusion=RUN"):
        run.ancestor("diffusion")


@pytest.mark.parametrize("stage", ["vae", "projector"])
def test_a_training_shorter_than_its_validation_interval_validates_at_its_end(
    chain, make_values, tmp_path, stage
):
    more = ["trainer.validate_every=1000", *[f"vae={chain['vae']}"] * (stage == "projector")]
    run = train_stage(train_request(make_values(stage, tmp_path / "run", *more)))
    log = (run.folder / "metrics.csv").read_text().splitlines()
    assert len([line for line in log if ",val/loss," in line]) == 1
    best = Run(run.folder).record.best
    assert best["step"] == 7 and 0 < best["val/loss"] < float("inf")
    again = make_values(stage, tmp_path / "run", *more, "overwrite=true")
    assert train_stage(train_request(again)).record.best == best
