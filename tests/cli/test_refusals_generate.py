"""What `lead generate`, `lead export` and `lead evaluate` refuse, each in one line."""

import json
import pickle
import socket

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from lead.cli.main import main
from lead.core.runs import Run

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


# What to say


@case(2, 'give either text="a person walks forward" or prompts=FILE')
def no_text(w):
    return w.generate(text=None, prompts=None)


@case(2, "give either text=", "or prompts=FILE")
def text_and_prompts(w):
    return w.generate(text="a person walks", prompts=w.file("prompts.txt", "a person runs\n"))


@case(2, "text is empty")
def text_empty(w):
    return w.generate(text="")


@case(2, "text is empty")
def text_of_spaces(w):
    return w.generate(text="  \t ")


@case(2, "text", "NUL")
def text_with_nul(w):
    return w.generate(text="a person\0walks")


@case(2, "text", "broken characters")
def text_with_half_a_code(w):
    return w.generate(text="a person \udcff walks")


@case(2, "prompts=nowhere.txt is missing")
def prompts_missing(w):
    return w.generate(prompts="nowhere.txt")


@case(2, "prompts is a folder: name a file")
def prompts_is_a_folder(w):
    (w.here / "prompts").mkdir()
    return w.generate(prompts=w.here / "prompts")


@case(2, "prompts.txt holds no sentence")
def prompts_empty(w):
    return w.generate(prompts=w.file("prompts.txt", "\n  \n# 4\n"))


@case(2, "prompts.txt is not UTF-8 text")
def prompts_not_text(w):
    return w.generate(prompts=w.file("prompts.txt", b"a person walks\n\xff\xfe\n"))


@case(2, "prompts.txt:2: length", "'soon'")
def prompts_with_a_bad_length(w):
    return w.generate(prompts=w.file("prompts.txt", "a person walks\na person runs # soon\n"))


@case(2, "prompts.txt:1: length", "above 0", "-3")
def prompts_with_a_negative_length(w):
    return w.generate(prompts=w.file("prompts.txt", "a person walks # -3\n"))


@case(2, "prompts.txt:2: the sentence", "NUL")
def prompts_with_nul(w):
    return w.generate(prompts=w.file("prompts.txt", "a person walks\na \0 person\n"))


@case(2, "prompts= is empty")
def prompts_not_named(w):
    return w.generate(prompts="")


# Which run


@case(2, "run= is empty")
def run_not_named(w):
    return w.generate(run="")


@case(2, "nowhere is not a run directory")
def run_missing(w):
    return w.generate(run="nowhere")


@case(2, "is a vae run, which knows no text")
def run_of_stage_one(w):
    return w.generate(run=w.run("vae"))


@case(1, "run.json is not valid JSON")
def record_broken(w):
    (w.copy_run("projector") / "run.json").write_text("{")
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-projector")


@case(1, "run.json: it has no 'parts'")
def record_without_parts(w):
    edit_json(w.copy_run("diffusion") / "run.json", lambda record: record.pop("parts"))
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(1, "run.json: it has no 'text_encoder'")
def record_without_text_encoder(w):
    edit_json(w.copy_run("diffusion") / "run.json", lambda record: record.pop("text_encoder"))
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(1, "run.json: it has no 'dataset.frames'")
def record_without_lengths(w):
    edit_json(w.copy_run("vae") / "run.json", lambda record: record["dataset"].pop("frames"))
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-projector")


@case(1, "no text_encoder is called 'subprocess.run'")
def record_names_foreign_code(w):
    def change(record):
        record["text_encoder"] = {"_target_": "subprocess.run", "args": ["touch", "executed"]}

    edit_json(w.copy_run("diffusion") / "run.json", change)
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(2, "run.json (text_encoder): unknown key 'command'")
def record_names_an_unknown_option(w):
    def change(record):
        record["text_encoder"]["command"] = "touch executed"

    edit_json(w.copy_run("diffusion") / "run.json", change)
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(2, "another 'hash' text encoder", "same weights")
def text_encoder_changed(w):
    edit_json(
        w.copy_run("diffusion") / "run.json",
        lambda record: record["text_encoder"].update(seed=9),
    )
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(1, "projector.safetensors is not a whole safetensors file")
def weights_truncated(w):
    path = w.copy_run("projector") / "weights" / "projector.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-projector")


@case(1, "denoiser.safetensors is not a whole safetensors file")
def weights_pickled(w):
    path = w.copy_run("diffusion") / "weights" / "denoiser.safetensors"
    torch.save({"weight": torch.zeros(3)}, path)
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(2, "holds no weights of its denoiser yet")
def weights_missing(w):
    (w.copy_run("diffusion") / "weights" / "denoiser.safetensors").unlink()
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(1, "unexpected surplus")
def weights_with_a_surplus(w):
    path = w.copy_run("diffusion") / "weights" / "denoiser.safetensors"
    save_file({**load_file(path), "surplus": np.zeros(3, np.float32)}, path)
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-diffusion")


@case(1, "(normalizer)", "missing std")
def statistics_incomplete(w):
    path = w.copy_run("vae") / "weights" / "normalizer.safetensors"
    save_file({"mean": load_file(path)["mean"]}, path)
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-projector")


@case(1, "(normalizer)", "mean is (7,), expected (263,)")
def statistics_of_another_width(w):
    path = w.copy_run("vae") / "weights" / "normalizer.safetensors"
    save_file({"mean": np.zeros(7, np.float32), "std": np.ones(263, np.float32)}, path)
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-projector")


@case(1, "has changed since", "train the later stage again")
def vae_changed_later(w):
    path = w.copy_run("vae") / "weights" / "vae.safetensors"
    tensors = load_file(path)
    tensors["output_layer.bias"] += 1
    save_file(tensors, path)
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-projector")


@case(2, "which is gone")
def vae_gone(w):
    w.copy_run("vae").rename(w.here / "elsewhere")
    return w.generate(run=w.here / "checkpoints/cmu_open-tiny-projector")


@case(2, "is a diffusion run, no projector")
def projector_of_another_stage(w):
    return w.generate(run=w.run("diffusion"), projector=w.run("diffusion"))


@case(2, "nowhere is not a run directory")
def projector_missing(w):
    return w.generate(run=w.run("diffusion"), projector="nowhere")


@case(2, "project=true needs a projector")
def projecting_without_projector(w):
    return w.generate(run=w.run("diffusion"), project="true")


# Where to write


@case(2, "clips exists", "overwrite=true")
def output_exists(w):
    w.file("clips/index.json", "{}")
    return w.generate()


@case(2, "clips was not made by lead")
def output_of_another_kind(w):
    w.file("clips/holiday.jpg", "jpeg")
    return w.generate(overwrite="true")


@case(2, "clips is a file")
def output_is_a_file(w):
    w.file("clips", "mine")
    return w.generate()


@case(2, "mine is a file")
def output_below_a_file(w):
    w.file("mine", "mine")
    return w.generate(output=w.here / "mine" / "clips")


@case(2, "outputs is a file")
def default_output_below_a_file(w):
    w.file("outputs", "mine")
    return w.generate(output=None)


# Export


@case(2, "export needs motion=FILE.npz")
def no_motion(w):
    return ["export"]


@case(2, "nowhere.npz is missing")
def motion_missing(w):
    return ["export", "motion=nowhere.npz"]


@case(2, "is a folder", "name a file")
def motion_is_a_folder(w):
    return ["export", f"motion={w.here}", "output=new.gif"]


@case(2, "notes.npz: not a whole .npz archive", "give a motion file")
def motion_not_npz(w):
    return ["export", f"motion={w.file('notes.npz', 'words')}"]


@case(2, "clip.npz: not a whole .npz archive", "give a motion file")
def motion_truncated(w):
    return ["export", f"motion={w.file('clip.npz', w.motion.read_bytes()[:3000])}"]


@case(2, "clip.npz: not a whole .npz archive", "give a motion file")
def motion_pickled(w):
    return ["export", f"motion={w.file('clip.npz', pickle.dumps({'joints': 3}))}"]


@case(2, "clip.npz: not a whole .npz archive", "give a motion file")
def motion_is_one_array(w):
    np.save(w.here / "clip.npy", np.zeros((3, 22, 3)))
    (w.here / "clip.npy").rename(w.here / "clip.npz")
    return ["export", "motion=clip.npz"]


@case(2, "clip.npz: it has no 'joints'", "give a motion file")
def motion_of_other_arrays(w):
    np.savez(w.here / "clip.npz", poses=np.zeros((3, 22, 3)))
    return ["export", "motion=clip.npz"]


def changed_motion(w, **changes: np.ndarray) -> list:
    with np.load(w.motion) as motion:
        np.savez(w.here / "clip.npz", **{**motion, **changes})
    return ["export", "motion=clip.npz", "format=png"]


@case(2, "clip.npz", "joints must be (frames, 22, 3)", "(5, 20, 3)")
def motion_of_another_shape(w):
    return changed_motion(w, joints=np.zeros((5, 20, 3), np.float32))


@case(2, "clip.npz", "not finite", "frame 0")
def motion_with_nan(w):
    return changed_motion(w, joints=np.full((60, 22, 3), np.nan, np.float32))


@case(2, "clip.npz", "fps")
def motion_without_speed(w):
    return changed_motion(w, fps=np.array(0.0))


@case(2, "'schema' takes a number less than or equal to 1, got 99", "this version")
def motion_of_a_later_version(w):
    return changed_motion(w, schema=np.array(99))


@case(2, "unknown format 'avi'", "known: bvh, gif, glb, html, mp4, npz, png, webp")
def unknown_format(w):
    return ["export", f"motion={w.motion}", "format=avi"]


@case(2, "is the motion file itself")
def export_to_itself(w):
    w.file("clip.npz", w.motion.read_bytes())
    return ["export", "motion=clip.npz", "format=gif", "output=./clip.npz"]


@case(2, "is the motion file itself")
def export_to_itself_by_another_name(w):
    w.file("clip.npz", w.motion.read_bytes())
    (w.here / "link.npz").symlink_to("clip.npz")
    return ["export", "motion=clip.npz", "format=npz", "output=link.npz"]


@case(2, "pictures is a folder")
def export_to_a_folder(w):
    (w.here / "pictures").mkdir()
    return ["export", f"motion={w.motion}", "output=pictures"]


@case(2, "mine is a file")
def export_below_a_file(w):
    w.file("mine", "mine")
    return ["export", f"motion={w.motion}", "output=mine/clip.gif"]


# Evaluate


@case(2, "evaluate needs run=RUN")
def evaluating_nothing(w):
    return ["evaluate"]


@case(2, "nowhere is not a run directory")
def evaluating_a_run_that_is_missing(w):
    return ["evaluate", "run=nowhere"]


@case(2, "datasets/cmu_open is not a prepared dataset")
def evaluating_without_data(w):
    return ["evaluate", f"run={w.run('vae')}", "output=table.json"]


@case(2, "has no split 'tset': did you mean 'test'?")
def evaluating_an_unknown_split(w):
    return ["evaluate", f"run={w.run('vae')}", f"dataset={w.data}", "split=tset"]


@case(2, "clips")
def evaluating_less_than_nothing(w):
    return ["evaluate", f"run={w.run('vae')}", f"dataset={w.data}", "clips=-1"]


@case(2, "table is a folder")
def evaluating_into_a_folder(w):
    (w.here / "table").mkdir()
    return ["evaluate", f"run={w.run('vae')}", f"dataset={w.data}", "output=table"]


@case(2, "skeleton 'kit'", "'humanml3d'")
def evaluating_on_another_skeleton(w):
    edit_json(w.copy_data() / "manifest.json", lambda record: record.update(skeleton="kit"))
    return ["evaluate", f"run={w.run('vae')}", f"dataset={w.here / 'data'}"]


OPTIONS = {
    "seconds=0": "seconds takes a number above 0, up to 3600, got 0",
    "seconds=-2": "seconds takes a number above 0",
    "seconds=nan": "seconds takes a finite number",
    "seconds=1e308": "seconds takes a number above 0, up to 3600",
    "seconds=long": "seconds takes a finite number, got 'long'",
    "seconds=100": "outside what was trained",
    "seconds=0.1": "outside what was trained",
    "count=0": "count takes a whole number from 1 to 100000, got 0",
    "count=-1": "count takes a whole number from 1",
    "count=2.5": "count takes a whole number, got 2.5",
    "count=1000000000": "to 100000, got 1000000000",
    "batch_size=0": "batch_size takes a whole number from 1",
    "seed=-1": "seed takes a whole number from 0 to 4611686018427387904, got -1",
    "seed=abc": "seed takes a whole number, got 'abc'",
    "seed=9223372036854775807": "seed takes a whole number from 0",
    "project=maybe": "project takes true or false, got 'maybe'",
    "formats=[gif,avi]": "unknown format 'avi'",
    "formats=gif": "formats takes a list of words, formats=[A,B], got 'gif'",
    "formats=[]": "formats is empty",
    "sheet=big": "sheet takes true or false",
    "overwrite=yes": "overwrite takes true or false, got 'yes'",
    "sampling=ddim": "unknown sampling 'ddim': did you mean 'ddim50'?",
    "sampling.sampler=dpm": "unknown sampler 'dpm'",
    "sampling.steps=0": "sampling.steps takes a whole number from 1",
    "sampling.steps=-1": "sampling.steps takes a whole number from 1",
    "sampling.steps=1001": "steps is 1001: it must lie in 1..1000",
    "sampling.steps=few": "sampling.steps takes a whole number",
    "sampling.guidance_scale=strong": "sampling.guidance_scale takes a finite number",
    "sampling.guidance_scale=inf": "sampling.guidance_scale takes a finite number",
    "sampling.eta=2": "sampling.eta takes a number from 0 to 1, got 2",
    "sampling.timesteps=799": "sampling.timesteps takes a list of whole numbers",
    "sampling.timesteps=[799,now]": "sampling.timesteps takes a list of whole numbers",
    "sampling.timesteps=[1,799]": "rise",
    "sampling.timesteps=[5000]": "0..999",
    "sampling.timesteps=[]": "timesteps is empty",
    "device=banana": "unknown device 'banana'",
    "device=meta": "device=meta is not supported",
    "device=null": "device takes a word, got null",
    "stage=vae": "unknown option 'stage'",
    "txet=hello": "did you mean 'text'?",
}


@pytest.mark.parametrize("name", CASES)
def test_refused(world, refused, name):
    arrange, code, parts = CASES[name]
    line = refused(arrange(world), code)
    for part in parts:
        assert part in line, line
    assert not (world.here / "executed").exists()


@pytest.mark.parametrize("option", OPTIONS)
def test_refused_option(world, refused, option):
    assert OPTIONS[option] in refused([*world.generate(), option])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_no_cuda_device(world, refused, device):
    line = refused([*world.generate(), f"device={device}"])
    assert f"device={device}" in line
    assert "device=cpu" in line


NO_MODEL = {
    "too long": (["seconds=100"], "outside what was trained"),
    "too short": (["seconds=0.01"], "0 frames (0.00 s) is outside what was trained"),
    "a line too long": (["prompts=lines.txt", "text=null"], "'a person runs': 60000 frames"),
    "unknown format": (["formats=[npz,avi]"], "unknown format 'avi'"),
    "unknown device": (["device=banana"], "unknown device 'banana'"),
    "unknown precision": (["precision=half"], "unknown precision 'half'"),
    "a word that nobody taught": (["text=a <zombie> walks"], "<zombie>"),
    "no word file": (["words=[none.safetensors]"], "none.safetensors"),
}


@pytest.fixture
def no_model(world, monkeypatch):
    """Whatever reads the weights of a run fails the test."""
    assert world.chain

    def read(self: Run, part: str):
        raise AssertionError(f"{self.folder} is loaded ({part})")

    monkeypatch.setattr(Run, "tensors", read)


@pytest.mark.parametrize("name", NO_MODEL)
def test_what_needs_no_model_is_told_before_one_is_loaded(world, refused, no_model, name):
    (world.here / "lines.txt").write_text("a person walks # 3\na person runs # 3000\n")
    options, told = NO_MODEL[name]
    assert told in refused([*world.generate(), *options])


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(world, refused, no_model):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = refused(["demo", f"run={world.run('projector')}", f"port={port}"])
    assert f"{port}" in line and "in use" in line


def test_any_text_is_kept_in_the_file_and_shown(world):
    texts = ["it's a person's 'walk', (slowly) = [2]", '人が歩く ${HOME} \\ "quoted"', "!" * 3000]
    prompts = world.file("prompts.txt", "\n".join(texts))
    words = world.generate(prompts=prompts, formats="[npz,gif]", sheet="true", text=None)
    assert main(words) == 0
    for number, text in enumerate(texts):
        with np.load(world.here / "clips" / f"{number:03d}.npz") as motion:
            assert str(motion["text"]) == text


def test_overwriting_replaces_what_lead_made(world):
    assert main(world.generate(formats="[npz,png]")) == 0
    assert (world.here / "clips" / "000.png").is_file()
    assert main(world.generate(overwrite="true")) == 0
    assert sorted(path.name for path in (world.here / "clips").iterdir()) == [
        "000.npz",
        "index.html",
        "index.json",
    ]
    assert [path.name for path in world.here.iterdir()] == ["clips"]
