"""The whole chain by its commands, tiny: data -> three stages -> clips -> pictures -> a table."""

import json
import re
import shlex
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from lead.cli.main import main

LIGHT = (
    *("size=tiny", "text_encoder=hash", "trainer.accelerator=cpu", "trainer.precision=fp32"),
    *("trainer.progress=false", "trainer.threads=1"),
)
SHORT = ("trainer.validate_every=2", "trainer.max_steps=3")
BONES = [(0, 1), (1, 4), (4, 7), (0, 3), (3, 6), (16, 18), (18, 20)]  # hips, knees, spine, arms


def lead(capfd, *words: object) -> str:
    """Run a command that has to succeed; what it printed."""
    capfd.readouterr()
    code = main([str(word) for word in words])
    out, err = capfd.readouterr()
    assert code == 0, err
    assert "Traceback" not in err
    return out


def train_all(capfd, data: str) -> dict[str, Path]:
    """The three stages as the printed `next:` lines say, each in a few steps."""
    runs = {}
    words = ["train", "stage=vae", f"data={data}", *LIGHT]
    for stage in ("vae", "diffusion", "projector"):
        out = lead(capfd, *words, *SHORT)
        runs[stage] = Path(f"checkpoints/{data}-tiny-{stage}")
        following = re.search(r"^next: lead (.*)$", out, re.MULTILINE).group(1)
        words = shlex.split(following)
        assert str(runs[stage]) in following
    return runs


def check_motion(path: Path, text: str, seed: int, frames: int, fps: float = 20.0) -> np.ndarray:
    with np.load(path, allow_pickle=False) as motion:
        assert motion["joints"].shape == (frames, 22, 3)
        assert motion["features"].shape == (frames, 263)
        assert (str(motion["text"]), int(motion["seed"])) == (text, seed)
        assert (float(motion["fps"]), str(motion["skeleton"])) == (fps, "humanml3d")
        assert np.isfinite(motion["joints"]).all()
        return motion["joints"]


def check_pictures(folder: Path, name: str, frames: int) -> None:
    with Image.open(folder / f"{name}.gif") as picture:
        assert picture.format == "GIF"
        assert picture.n_frames == frames
        picture.seek(frames - 1)
        picture.load()


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_cmu_open_motions_to_a_table(here, capfd):
    out = lead(capfd, "prepare", "data=cmu_open", "data.clips=16", "workers=1")
    assert "17 clips (test 3, train 13, val 1)" in out
    runs = train_all(capfd, "cmu_open")
    check_runs(runs)
    check_prompts_file(capfd, runs)
    check_the_same_again(capfd, runs)
    check_with_and_without_projection(capfd, runs)
    check_exports(capfd)
    check_evaluation(capfd, runs)
    hidden = [path for path in here.rglob("*") if path.name.startswith(".")]
    assert hidden == []  # no temporary file is left anywhere


def check_runs(runs: dict[str, Path]) -> None:
    for stage, folder in runs.items():
        record = json.loads((folder / "run.json").read_text())
        assert (record["stage"], record["status"], record["step"]) == (stage, "finished", 3)
        for name in ("config.yaml", "environment.json", "metrics.csv", "state/trainer.ckpt"):
            assert (folder / name).stat().st_size > 0
        part = {"diffusion": "denoiser"}.get(stage, stage)
        for tensor in load_file(folder / "weights" / f"{part}.safetensors").values():
            assert np.isfinite(tensor).all()


def check_prompts_file(capfd, runs: dict[str, Path]) -> None:
    """Two sentences, one with its own length, two clips each, in every default format."""
    Path("prompts.txt").write_text(
        "a person walks\n\na person's jump, (high) # 2.5\n", encoding="utf-8"
    )
    out = lead(
        *(capfd, "generate", f"run={runs['projector']}", "prompts=prompts.txt", "count=2"),
        *("seed=5", "seconds=3", "output=clips", "device=cpu", "sampling.steps=2"),
    )
    assert "clips: 4 clips" in out
    wanted = [
        ("a person walks", 5, 60),
        ("a person walks", 6, 60),
        ("a person's jump, (high)", 5, 50),
        ("a person's jump, (high)", 6, 50),
    ]
    index = json.loads(Path("clips/index.json").read_text(encoding="utf-8"))["clips"]
    assert [(clip["text"], clip["seed"], clip["frames"]) for clip in index] == wanted
    for number, (text, seed, frames) in enumerate(wanted):
        assert index[number]["files"] == {kind: f"{number:03d}.{kind}" for kind in ("npz", "gif")}
        check_motion(Path(f"clips/{number:03d}.npz"), text, seed, frames)
        check_pictures(Path("clips"), f"{number:03d}", frames)
    with Image.open("clips/sheet.png") as sheet:
        sheet.load()
    page = Path("clips/index.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 4
    assert "a person&#x27;s jump, (high)" in page
    assert sorted(path.name for path in Path("clips").iterdir()) == sorted(
        [f"{n:03d}.{kind}" for n in range(4) for kind in ("npz", "gif")]
        + ["index.html", "index.json", "sheet.png"]
    )


def check_the_same_again(capfd, runs: dict[str, Path]) -> None:
    """Equal requests make equal bytes; a clip does not depend on its neighbours."""
    common = (capfd, "generate", f"run={runs['projector']}", "device=cpu", "sampling.steps=2")
    lead(
        *(*common, "prompts=prompts.txt", "count=2", "seed=5", "seconds=3", "output=again"),
    )
    for path in sorted(Path("clips").iterdir()):
        assert path.read_bytes() == (Path("again") / path.name).read_bytes(), path.name
    lead(*common, "text=a person walks", "seed=6", "seconds=3", "formats=[npz]", "output=alone")
    alone = check_motion(Path("alone/000.npz"), "a person walks", 6, 60)
    among = check_motion(Path("clips/001.npz"), "a person walks", 6, 60)
    np.testing.assert_allclose(alone, among, atol=1e-4)
    other = check_motion(Path("clips/000.npz"), "a person walks", 5, 60)
    assert np.abs(alone - other).max() > 1e-3


def check_with_and_without_projection(capfd, runs: dict[str, Path]) -> None:
    """project=false of a LEAD run is its MLD run; projector= adds the projector to that."""
    common = ("text=a person walks", "seconds=3", "formats=[npz]", "device=cpu", "sampling.steps=2")
    requests = {
        "lead": (f"run={runs['projector']}",),
        "lead-off": (f"run={runs['projector']}", "project=false"),
        "mld": (f"run={runs['diffusion']}",),
        "mld-on": (f"run={runs['diffusion']}", f"projector={runs['projector']}", "project=true"),
    }
    joints = {}
    for name, words in requests.items():
        lead(capfd, "generate", *words, *common, f"output={name}", "sheet=false")
        joints[name] = check_motion(Path(name, "000.npz"), "a person walks", 1, 60)
    np.testing.assert_array_equal(joints["lead-off"], joints["mld"])
    np.testing.assert_array_equal(joints["lead"], joints["mld-on"])
    assert np.abs(joints["lead"] - joints["mld"]).max() > 1e-3


def check_exports(capfd) -> None:
    for kind, magic in (("gif", b"GIF89a"), ("png", b"\x89PNG"), ("webp", b"RIFF"), ("npz", b"PK")):
        out = lead(capfd, "export", "motion=lead/000.npz", f"format={kind}", f"output=shown.{kind}")
        assert out.strip() == f"shown.{kind}"
        assert Path(f"shown.{kind}").read_bytes().startswith(magic)
    assert Path("shown.npz").read_bytes() == Path("lead/000.npz").read_bytes()
    assert lead(capfd, "export", "motion=lead/000.npz").strip() == "lead/000.gif"


def check_evaluation(capfd, runs: dict[str, Path]) -> None:
    out = lead(
        *(capfd, "evaluate", f"run={runs['projector']}", "clips=2", "sampling.steps=2"),
        "device=cpu",
    )
    assert "2 clips" in out
    table = json.loads((runs["projector"] / "metrics.json").read_text())
    assert (table["clips"], table["split"]) == (2, "test")
    for name in ("real", "VAE reconstruction", "generated (MLD)", "generated (LEAD)"):
        assert name in out
        assert table["rows"][name]


@pytest.fixture(scope="module")
def real_clips(sample_data, tmp_path_factory) -> Path:
    """Ten clips of Bandai-Namco's first set: two styles of five contents, none held out."""
    archive = sample_data / "bandai-namco" / "dataset-1.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    folder = tmp_path_factory.mktemp("bandai")
    wanted = re.compile(r"dataset-1_(walk|run|kick|bow|bye)_(normal|active)_001\.bvh")
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            if member.isfile() and wanted.fullmatch(name):
                (folder / name).write_bytes(tar.extractfile(member).read())
    assert 6 <= len(list(folder.iterdir())) <= 10
    return folder


def test_from_real_motion_capture_to_clips(here, capfd, real_clips):
    out = lead(capfd, "prepare", "data=bandai_namco", f"source={real_clips}", "workers=1")
    count = len(list(real_clips.iterdir()))
    manifest = json.loads(Path("datasets/bandai_namco/manifest.json").read_text(encoding="utf-8"))
    assert manifest["left_out"] == 0
    assert sum(manifest["clips"].values()) >= count  # long clips are cut in several
    assert f"{sum(manifest['clips'].values())} clips" in out
    assert manifest["licence"] == "CC BY-NC 4.0"
    captions = json.loads(
        Path("datasets/bandai_namco/train.index.json").read_text(encoding="utf-8")
    )["captions"]
    assert all(len(set(texts)) == len(texts) > 1 for texts in captions)
    check_real_bones(Path("datasets/bandai_namco"))
    runs = train_all(capfd, "bandai_namco")
    lead(
        *(capfd, "generate", f"run={runs['projector']}", "text=a person walks", "seconds=3"),
        *("output=clips", "device=cpu", "sampling.steps=2", "formats=[npz]"),
    )
    check_motion(Path("clips/000.npz"), "a person walks", 1, 60)


def test_from_any_folder_of_bvh_files(here, capfd, real_clips):
    words = (
        *("prepare", "data=bvh", f"source={real_clips}", "workers=1", "output=mine"),
        *("data.template=a person's {stem}, recorded", "data.min_frames=12"),
    )
    shown = lead(capfd, *words, "inspect=true")
    assert "bandai_namco" in shown  # the skeleton is known by its joint names
    assert "a person's dataset bye normal, recorded" in shown
    assert Path("mine.inspect.png").is_file()
    assert not Path("mine").exists()
    lead(capfd, *words)
    manifest = json.loads(Path("mine/manifest.json").read_text(encoding="utf-8"))
    assert manifest["left_out"] == 0
    check_real_bones(Path("mine"))
    lead(capfd, "train", "stage=vae", "dataset=mine", "run=vae", *LIGHT)
    lead(capfd, "train", "stage=projector", "dataset=mine", "vae=vae", "run=projector", *LIGHT)
    record = json.loads(Path("projector/run.json").read_text(encoding="utf-8"))
    assert list(record["parents"]) == ["vae"]


def check_real_bones(dataset: Path) -> None:
    """Every packed clip is a person of the reference's bones on the floor, with moving feet."""
    from lead.representation import features_to_joints, get_skeleton

    wanted = np.array(get_skeleton("humanml3d").bone_lengths)
    for path in sorted(dataset.glob("*.index.json")):
        index = json.loads(path.read_text())
        features = np.load(path.with_name(path.name.replace(".index.json", ".npy")))
        for start, frames in zip(index["start"], index["frames"], strict=True):
            joints = features_to_joints(features[start : start + frames])
            lengths = np.linalg.norm(
                joints[:, [b for _, b in BONES]] - joints[:, [a for a, _ in BONES]], axis=-1
            )
            np.testing.assert_allclose(lengths.mean(0), wanted[[b for _, b in BONES]], atol=0.01)
            assert -0.1 < joints[..., 1].min() < 0.2
            assert 1.2 < joints[:, 15, 1].max() < 2.0
