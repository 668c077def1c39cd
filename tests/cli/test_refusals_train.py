"""What `lead train` refuses: data, earlier runs and options that cannot work, each in one line."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from lead.cli.main import main

CASES = {}


def case(code: int, *parts: str):
    """Register an arrangement with the exit code and what its line has to say."""

    def register(arrange):
        CASES[arrange.__name__] = (arrange, code, parts)
        return arrange

    return register


def edit_json(path, change) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


# Data


@case(2, "nowhere is not a prepared dataset", "lead prepare")
def dataset_missing(w):
    return w.train("vae", dataset="nowhere")


@case(2, "datasets/bvh is not a prepared dataset", "lead prepare", "output=datasets/bvh")
def dataset_not_prepared(w):
    return ["train", "stage=vae", "data=bvh", "size=tiny"]


@case(1, "manifest.json is not valid JSON")
def broken_manifest(w):
    manifest = w.copy_data() / "manifest.json"
    manifest.write_text(manifest.read_text()[:-20])
    return w.train("vae", dataset=w.here / "data")


@case(1, "manifest.json", "prepare")
def manifest_without_entries(w):
    (w.copy_data() / "manifest.json").write_text('{"schema": 1}')
    return w.train("vae", dataset=w.here / "data")


@case(1, "manifest.json holds a list")
def manifest_of_another_kind(w):
    (w.copy_data() / "manifest.json").write_text("[1, 2]")
    return w.train("vae", dataset=w.here / "data")


@case(1, "'schema' takes 1, got 99", "prepare it again")
def manifest_of_another_version(w):
    edit_json(w.copy_data() / "manifest.json", lambda record: record.update(schema=99))
    return w.train("vae", dataset=w.here / "data")


@case(1, "'skeleton' takes 'humanml3d' or 'kit', got 'octopus'")
def manifest_of_another_skeleton(w):
    edit_json(w.copy_data() / "manifest.json", lambda record: record.update(skeleton="octopus"))
    return w.train("vae", dataset=w.here / "data")


@case(1, "train.index.json", "prepare it again")
def broken_index(w):
    edit_json(w.copy_data() / "train.index.json", lambda index: index["frames"].pop())
    return w.train("vae", dataset=w.here / "data")


@case(2, "train.index.json is missing")
def index_missing(w):
    (w.copy_data() / "train.index.json").unlink()
    return w.train("vae", dataset=w.here / "data")


@case(1, "train.npy", "prepare it again")
def truncated_array(w):
    path = w.copy_data() / "train.npy"
    path.write_bytes(path.read_bytes()[:-1000])
    return w.train("vae", dataset=w.here / "data")


@case(1, "train.npy", "prepare it again")
def empty_array(w):
    (w.copy_data() / "train.npy").write_bytes(b"")
    return w.train("vae", dataset=w.here / "data")


@case(1, "train.npy", "(5, 7)", "263")
def array_of_another_width(w):
    np.save(w.copy_data() / "train.npy", np.zeros((5, 7), np.float32))
    return w.train("vae", dataset=w.here / "data")


@case(1, "train.npy", "prepare it again")
def pickled_array(w):
    np.save(w.copy_data() / "train.npy", np.array([{}], dtype=object), allow_pickle=True)
    return w.train("vae", dataset=w.here / "data")


@case(1, "Mean.npy", "263")
def statistics_of_another_width(w):
    np.save(w.copy_data() / "Mean.npy", np.zeros(7, np.float32))
    np.save(w.here / "data" / "Std.npy", np.ones(7, np.float32))
    return w.train("vae", dataset=w.here / "data")


@case(2, "Mean.npy is missing")
def statistics_missing(w):
    (w.copy_data() / "Mean.npy").unlink()
    return w.train("vae", dataset=w.here / "data")


# Where the run stands


@case(2, "cmu_open-tiny-vae exists", "resume=true", "overwrite=true", "run=DIR")
def run_exists(w):
    w.copy_runs()
    return w.train("vae", run=w.here / "checkpoints" / "cmu_open-tiny-vae")


@case(2, "thesis exists and is not a run")
def run_is_another_folder(w):
    w.file("thesis/chapter1.tex", "words")
    return w.train("vae", run=w.here / "thesis")


@case(2, "thesis exists and is not a run")
def overwriting_another_folder(w):
    w.file("thesis/weights/mine.pt", "words")
    return w.train("vae", run=w.here / "thesis", overwrite="true")


@case(2, "run is a file")
def run_is_a_file(w):
    w.file("run", "mine")
    return w.train("vae")


@case(2, "mine is a file")
def run_below_a_file(w):
    w.file("mine", "mine")
    return w.train("vae", run=w.here / "mine" / "run")


# Earlier runs


@case(2, "vae=RUN")
def earlier_run_not_named(w):
    return w.train("diffusion", vae="null")


@case(2, "diffusion=RUN")
def projector_alone(w):
    return w.train("projector", diffusion="null")


@case(2, "nowhere is not a run directory", "no run.json")
def earlier_run_missing(w):
    return w.train("diffusion", vae="nowhere")


@case(2, "notes is not a run directory", "no run.json")
def earlier_run_is_no_run(w):
    w.file("notes/readme.md")
    return w.train("diffusion", vae="notes")


@case(2, "is a diffusion run, but vae= needs a vae run")
def earlier_run_of_another_stage(w):
    return w.train("diffusion", vae=w.run("diffusion"))


@case(2, "is a vae run, but diffusion= needs a diffusion run")
def projector_on_a_vae_as_diffusion(w):
    return w.train("projector", diffusion=w.run("vae"))


@case(2, "was trained on other data than", "data")
def earlier_run_of_another_dataset(w):
    edit_json(w.copy_data() / "manifest.json", lambda record: record.update(data_hash="0" * 64))
    return w.train("diffusion", dataset=w.here / "data")


@case(1, "run.json is not valid JSON")
def earlier_record_broken(w):
    (w.copy_run("vae") / "run.json").write_text('{"schema": 1, ')
    return w.train("diffusion", vae=w.here / "checkpoints/cmu_open-tiny-vae")


@case(1, "run.json: it has no 'dataset'", "train or import it again")
def earlier_record_incomplete(w):
    edit_json(w.copy_run("vae") / "run.json", lambda record: record.pop("dataset"))
    return w.train("diffusion", vae=w.here / "checkpoints/cmu_open-tiny-vae")


@case(2, "layout 7, this version reads 1")
def earlier_record_of_another_version(w):
    edit_json(w.copy_run("vae") / "run.json", lambda record: record.update(schema=7))
    return w.train("diffusion", vae=w.here / "checkpoints/cmu_open-tiny-vae")


@case(2, "holds no weights of its vae yet")
def earlier_weights_missing(w):
    (w.copy_run("vae") / "weights" / "vae.safetensors").unlink()
    return w.train("diffusion", vae=w.here / "checkpoints/cmu_open-tiny-vae")


@case(1, "vae.safetensors is not a whole safetensors file")
def earlier_weights_truncated(w):
    path = w.copy_run("vae") / "weights" / "vae.safetensors"
    path.write_bytes(path.read_bytes()[:-500])
    return w.train("diffusion", vae=w.here / "checkpoints/cmu_open-tiny-vae")


@case(1, "missing output_layer.bias")
def earlier_weights_incomplete(w):
    path = w.copy_run("vae") / "weights" / "vae.safetensors"
    tensors = load_file(path)
    del tensors["output_layer.bias"]
    save_file(tensors, path)
    return w.train("diffusion", vae=w.here / "checkpoints/cmu_open-tiny-vae")


@case(1, "output_layer.bias is (3,), expected (263,)")
def earlier_weights_of_another_shape(w):
    path = w.copy_run("vae") / "weights" / "vae.safetensors"
    save_file({**load_file(path), "output_layer.bias": np.zeros(3, np.float32)}, path)
    return w.train("diffusion", vae=w.here / "checkpoints/cmu_open-tiny-vae")


@case(1, "run.json", "no vae is called 'os.system'")
def earlier_record_names_foreign_code(w):
    def change(record):
        record["parts"]["vae"] |= {"_target_": "os.system", "command": "touch executed"}

    folder = w.copy_run("vae")
    edit_json(folder / "run.json", change)
    weights = folder / "weights" / "vae.safetensors"
    tensors = load_file(weights)
    tensors["output_layer.bias"] += 1  # another hash, so that no cache answers
    save_file(tensors, weights)
    return w.train("diffusion", vae=folder)


@case(1, "has changed since", "train the later stage again")
def earlier_weights_changed_later(w):
    weights = w.copy_run("vae") / "weights" / "vae.safetensors"
    tensors = load_file(weights)
    tensors["output_layer.bias"] += 1
    save_file(tensors, weights)
    return w.train("projector", diffusion=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(2, "which is gone")
def earlier_run_of_the_earlier_run_gone(w):
    folder = w.copy_run("vae")
    folder.rename(w.here / "elsewhere")
    return w.train("projector", diffusion=w.here / "checkpoints/cmu_open-tiny-diffusion")


# Resuming


def resume(w, stage: str, **options: object) -> list[str]:
    return w.train(stage, run=w.copy_run(stage), resume="true", **options)


@case(2, "is a vae run: it cannot resume as diffusion")
def resuming_another_stage(w):
    return w.train("diffusion", run=w.copy_run("vae"), resume="true")


@case(2, "other options, seed: ", " there, 7 now")
def resuming_with_another_seed(w):
    return resume(w, "vae", seed=7)


@case(2, "stages.vae.optimizer.lr: 0.002 there, 0.5 now")
def resuming_with_another_rate(w):
    return resume(w, "vae", stages__vae__optimizer__lr=0.5)


@case(2, "stage.module.kl_weight: 0.0001 there, 0.5 now")
def resuming_with_another_term(w):
    return resume(w, "vae", stage__module__kl_weight=0.5)


@case(2, "is a vae run: name a diffusion run")
def weights_of_another_stage(w):
    return w.train("diffusion", run="new", init=w.copy_run("vae"))


@case(2, "init=", "model.denoiser.width: 32 there, 16 now")
def weights_of_another_width(w):
    return w.train("diffusion", run="new", init=w.copy_run("diffusion"), model__denoiser__width=16)


@case(2, "init=", "reads another text encoder")
def weights_for_other_words(w):
    return w.train("diffusion", run="new", init=w.copy_run("diffusion"), text_encoder__seed=9)


@case(2, "is not a run directory (no run.json)")
def weights_of_nothing(w):
    return w.train("vae", run="new", init="nowhere")


@case(2, "init= is empty: name one, or leave init out")
def weights_of_no_name(w):
    return w.train("vae", run="new", init="")


@case(1, "trainer.ckpt", "overwrite=true")
def resuming_from_a_truncated_state(w):
    words = resume(w, "vae")
    state = w.here / "checkpoints/cmu_open-tiny-vae/state/trainer.ckpt"
    state.write_bytes(state.read_bytes()[:-700])
    return words


@case(1, "trainer.ckpt", "overwrite=true")
def resuming_from_another_file(w):
    words = resume(w, "vae")
    state = w.here / "checkpoints/cmu_open-tiny-vae/state/trainer.ckpt"
    np.savez(state.with_suffix(".npz"), x=np.zeros(3))
    state.with_suffix(".npz").rename(state)
    return words


# Text encoders


@case(2, "text encoder 'clip_l14' is not on this machine", "checkpoints/text_encoders/clip_l14")
def text_encoder_not_there(w):
    return w.train("diffusion", text_encoder="clip_l14")


@case(2, "there is no folder", "nowhere")
def text_encoder_folder_missing(w):
    return w.train("diffusion", text_encoder="minilm", text_encoder__path="nowhere")


@case(2, "model", "minilm")
def text_encoder_folder_empty(w):
    w.file("encoder/readme.md")
    return w.train("diffusion", text_encoder="minilm", text_encoder__path="encoder")


OPTIONS = {
    "size=huge": "unknown size 'huge': known: demo, mldpp, paper, small, tiny",
    "stage=vea": "unknown stage 'vea': did you mean 'vae'?",
    "text_encoder=clip": "unknown text_encoder 'clip': did you mean 'clip_l14'?",
    "data=humanml": "unknown data 'humanml': did you mean 'humanml3d'?",
    "model/projector=skp": "did you mean 'skip'?",
    "sede=3": "unknown option 'sede' of `lead train`: did you mean 'seed'?",
    "trainer.max_step=3": "did you mean 'trainer.max_steps'?",
    "text=hello": "unknown option 'text' of `lead train`",
    "hydra.verbose=true": "unknown option 'hydra.verbose'",
    "+seed=3": "'+seed=3' is not an option: write key=value",
    "~seed": "'~seed' is not an option",
    "resume": "'resume' is not an option: write key=value",
    "=3": "'=3' is not an option",
    "seed=[1,2": "cannot read the value of seed",
    "seed='1": "cannot read the value of seed",
    "seed=1,2": "'seed=1,2' gives several values",
    "seed=one": "seed takes a whole number, got 'one'",
    "seed=1.5": "seed takes a whole number, got 1.5",
    "seed=null": "seed takes a whole number, got null",
    "seed=": "seed takes a whole number, got ''",
    "overwrite=1": "overwrite takes true or false, got 1",
    "stage.name=foo": "stages.foo",
    "model=big": "'model' is a group of options",
    "stages.vae=3": "stages.vae takes several values",
    "stages.vae.batch_size=0": "batch_size",
    "stages.vae.batch_size=-4": "batch_size",
    "stages.vae.optimizer.lr=fast": "stages.vae.optimizer.lr takes a finite number, got 'fast'",
    "stages.vae.optimizer.lr=nan": "stages.vae.optimizer.lr takes a finite number, got nan",
    "stages.vae.optimizer.lr=0": "lr",
    "stages.vae.optimizer.lr=-1": "lr",
    "stages.vae.optimizer.weight_decay=-1": "weight_decay",
    "stages.vae.optimizer.warmup_steps=-1": "warmup_steps",
    "stages.vae.optimizer.schedule=cosin": "did you mean 'cosine'?",
    "stage.crop_unit=0": "crop_unit",
    "stage.crop_min=-1": "crop_min",
    "model.vae.layers=4": "odd number of layers",
    "model.vae.layers=0": "layers",
    "model.vae.heads=3": "heads",
    "model.vae.heads=0": "heads",
    "model.vae.width=0": "width",
    "model.vae.width=-8": "width",
    "model.vae.dropout=1.5": "dropout",
    "model.vae.feed_forward=0": "feed_forward",
    "model.vae.latent_tokens=0": "latent_tokens",
    "model.vae.latent_dim=0": "latent_dim",
    "model.vae._target_=torch.nn.Linear": "no vae is called 'torch.nn.Linear': known: motion_vae",
    "model.vae._target_=motion_va": "did you mean 'motion_vae'?",
    "model.vae._target_=projector": "no vae is called 'projector'",
    "stage.module._target_=cmu_open": "no stage is called 'cmu_open'",
    "trainer.max_steps=0": "trainer: 'max_steps' takes a number greater than or equal to 1",
    "trainer.max_steps=-5": "trainer.max_steps takes a whole number from 0",
    "trainer.validate_every=0": "'validate_every' takes a number greater than or equal to 1",
    "trainer.save_every=0": "trainer: 'save_every' takes a number greater than or equal to 1",
    "trainer.log_every=0": "trainer: 'log_every' takes a number greater than or equal to 1",
    "trainer.save_seconds=-1": "trainer: 'save_seconds' takes a number greater than or equal to 0",
    "trainer.gradient_clip=-1": "'gradient_clip' takes a number greater than or equal to 0",
    "model.vae.width=1000000": "'width' takes a number less than or equal to 16384, got 1000000",
    "model.vae.width=1e12": "model.vae.width takes a whole number from 0 to 1000000000",
    "model.vae.width=16384": "model.vae would have 1.08e+10 numbers, 700000000 are the most",
    "model.vae.feed_forward=1e9": "feed_forward",
    "model.vae.latent_dim=1e9": "latent_dim",
    "model.vae.latent_tokens=1e9": "latent_tokens",
    "model.vae.layers=1000001": "'layers' takes a number less than or equal to 99, got 1000001",
    "model.vae.logvar_offset=1e300": "logvar_offset",
    "stage.module.threshold=-1": "'threshold' takes a number greater than or equal to 0, got -1",
    "stage.module.threshold=1e300": "threshold",
    "stage.module.kl_weight=-1": "kl_weight",
    "stage.module.joints_weight=1e300": "joints_weight",
    "stage.module.align_weight=-1": "align_weight",
    "stages.vae.optimizer.lr=1e300": "stages.vae.optimizer.lr takes a number from",
    "stages.vae.optimizer.lr=1e8": "stages.vae.optimizer: 'lr' takes a number less than or equal",
    "stages.vae.optimizer.weight_decay=1e300": "weight_decay",
    "stages.vae.optimizer.warmup_steps=1e17": "warmup_steps",
    "trainer.ema_decay=1": "trainer: 'ema_decay' takes a number less than 1, got 1",
    "trainer.threads=-1": "threads takes a whole number from 0",
    "trainer.num_nodes=0": "'num_nodes' takes a number greater than or equal to 1",
    "trainer.devices=0": "devices",
    "trainer.devices=banana": "trainer.devices takes a whole number, got 'banana'",
    "trainer.precision=fp16x": "unknown precision 'fp16x'",
    "trainer.precision=16": "unknown precision '16'",
    "trainer.accelerator=abacus": "abacus",
    "trainer.strategy=banana": "banana",
    "trainer.logger=[tensorbord]": "did you mean 'tensorboard'?",
    "trainer.logger=wandb": "trainer.logger takes a list of words, trainer.logger=[A,B]",
    "trainer=fast": "unknown trainer 'fast'",
}

LATER = {
    ("diffusion", "stage.module.condition_dropout=2"): "condition_dropout",
    ("diffusion", "model.denoiser.layers=2"): "odd number of layers",
    ("diffusion", "model.denoiser.heads=5"): "heads",
    ("diffusion", "model.schedule.name=cosin"): "did you mean 'cosine'?",
    ("diffusion", "model.schedule.beta_end=2"): "beta_end",
    ("diffusion", "model.schedule.num_train_timesteps=0"): "num_train_timesteps",
    ("diffusion", "text_encoder.dim=0"): "dim",
    ("diffusion", "stages.diffusion.batch_size=0"): "batch_size",
    ("diffusion", "stage.module.condition_dropout=-0.5"): "condition_dropout",
    ("diffusion", "model.denoiser.width=1e6"): "width",
    ("diffusion", "model.denoiser.text_scale=0"): "text_scale",
    ("diffusion", "model.denoiser.layers=1000001"): "layers",
    ("diffusion", "model.schedule.num_train_timesteps=1e9"): "num_train_timesteps",
    ("diffusion", "model.schedule.beta_start=-1"): "beta_start",
    ("diffusion", "text_encoder.dim=1e6"): "dim",
    ("diffusion", "text_encoder.buckets=1e9"): "buckets",
    ("diffusion", "text_encoder.buckets=1e8"): "numbers, 700000000 are the most",
    ("diffusion", "text_encoder._target_=os.system"): "no text_encoder is called 'os.system'",
    ("projector", "model.projector.width=1e6"): "width",
    ("projector", "stage.module.align_weight=-1"): "align_weight",
    ("projector", "stage.module.rec_weight=1e300"): "rec_weight",
    ("projector", "stage.module.latent=banana"): "banana",
    ("distill", "stage.guidance_dim=1e6"): "guidance_dim",
    ("distill", "stage.guidance_dim=3"): "guidance_dim",
    ("distill", "stage.guidance_dim=-1"): "guidance_dim",
    ("distill", "stage.dropout=2"): "dropout",
    ("distill", "stage.module.w_high=1e300"): "w_high",
    ("distill", "stage.module.w_low=20"): "w_low",
    ("distill", "stage.module.solver_steps=0"): "solver_steps",
    ("distill", "stage.module.solver_steps=5000"): "solver_steps",
    ("distill", "stage.module.huber_c=0"): "huber_c",
    ("distill", "stage.module.target_decay=1"): "target_decay",
    ("evaluator", "stage.module.margin=0"): "margin",
    ("evaluator", "stage.module.temperature=-1"): "temperature",
    ("evaluator", "stage.module.loss=contrast"): "did you mean 'contrastive'?",
    ("evaluator", "model.evaluator.word_dim=1e9"): "dim",
    ("evaluator", "model.evaluator.motion_width=16384"): "numbers, 700000000 are the most",
    ("evaluator", "model.evaluator.text_width=0"): "text_width",
    ("classifier", "model.classifier.width=1e6"): "width",
    ("classifier", "model.classifier.layers=1000001"): "layers",
    ("classifier", "model.classifier.noise=-1"): "noise",
    ("classifier", "stage.module.label_smoothing=2"): "label_smoothing",
    ("projector", "stage.module.rec_reduction=man"): "did you mean 'mean'?",
    ("projector", "stage.module.var_form=banana"): "banana",
    ("projector", "model.projector.kind=mpl"): "did you mean 'mlp'?",
    ("projector", "model.projector.heads=5"): "heads",
}


@pytest.mark.parametrize("name", CASES)
def test_refused(world, refused, name):
    arrange, code, parts = CASES[name]
    line = refused(arrange(world), code)
    for part in parts:
        assert part in line, line


@pytest.mark.parametrize("option", OPTIONS)
def test_refused_option(world, refused, option):
    assert OPTIONS[option] in refused([*world.train("vae"), option])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_gpu(world, refused):
    assert "gpu" in refused([*world.train("vae"), "trainer.accelerator=gpu"])


@pytest.mark.parametrize(("stage", "option"), LATER, ids=str)
def test_refused_option_of_a_later_stage(world, refused, stage, option):
    assert LATER[stage, option] in refused([*world.train(stage), option])


def test_a_logger_needs_its_package(world, refused, monkeypatch):
    for name in ("tensorboard", "torch.utils.tensorboard", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, None)
    line = refused([*world.train("vae"), "trainer.logger=[tensorboard]"])
    assert line.endswith("is not installed: pip install '.[tensorboard]' in lead's folder")


def test_no_foreign_code_is_executed(world, refused):
    line = refused(earlier_record_names_foreign_code(world), 1)
    assert "os.system" in line
    assert not (world.here / "executed").exists()


def test_resuming_nothing_starts_afresh_and_says_so(world, capfd):
    assert main([*world.train("vae"), "resume=true"]) == 0
    assert "nothing to resume" in capfd.readouterr().out
    assert (world.here / "run" / "weights" / "vae.safetensors").is_file()
