"""The tutorials' commands, run in order from top to bottom, tiny.

Every command is taken as it stands in the page; options are only added or replaced by smaller ones
(size=tiny, two steps, the CPU). The files that a reader would bring are made here: a folder in
HumanML3D's layout, BVH files, an evaluator in the published layout with random weights.
"""

import contextlib
import csv
import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lead.cli.main import main
from lead.data.sources.cmu_open import CmuOpenSource
from lead.evaluation.extractor.networks import FeatureExtractor

SMALL = {
    "prepare": {"workers": "1"},
    "train": {
        **{"size": "tiny", "text_encoder": "hash", "seed": "1"},
        **{"trainer.accelerator": "cpu", "trainer.precision": "fp32", "trainer.threads": "1"},
        **{"trainer.progress": "false", "trainer.max_steps": "2", "trainer.validate_every": "2"},
    },
    "generate": {"device": "cpu", "sampling.steps": "2", "count": "1"},
    "invert": {"device": "cpu", "progress": "false", "inversion.steps": "2"},
    "evaluate": {"device": "cpu", "sampling.steps": "2"},
}
PROTOCOL = {
    **{"protocol.replications": "2", "protocol.pool_size": "4", "protocol.diversity_pairs": "2"},
    **{"protocol.multimodality_texts": "2", "protocol.multimodality_repeats": "3"},
    **{"protocol.multimodality_pairs": "2", "protocol.multimodality_sets": "1"},
}


def smaller(words: tuple[str, ...]) -> list[str]:
    """The command with small options in place of its own, writing where it would have written."""
    verb, *options = words
    given = dict(option.partition("=")[::2] for option in options if "=" in option)
    changes = dict(SMALL.get(verb, {}))
    if verb == "train" and "run" not in given:
        data, size = given.get("data", "cmu_open"), given.get("size", "small")
        changes["run"] = f"checkpoints/{data}-{size}-{given['stage']}"
    if verb == "prepare" and given.get("data") == "bandai_namco":
        changes["data.splits"] = "{train:0.6,val:0.1,test:0.3}"
    if verb == "prepare" and given.get("data", "cmu_open") == "cmu_open":
        changes["data.clips"] = "24"
    if verb == "evaluate" and "protocol" in given:
        changes |= PROTOCOL
    if given.get("sampling", "ddim").startswith("lcm"):
        del changes["sampling.steps"]
    kept = [option for option in options if option.partition("=")[0] not in changes]
    return [verb, *kept, *(f"{key}={value}" for key, value in changes.items())]


LIMBS = {
    "Shoulder": ("CHEST", (7, 11, 0)),
    "Arm": ("Shoulder", (11, 3, 0)),
    "ForeArm": ("Arm", (27, 0, 0)),
    "Hand": ("ForeArm", (25, 0, 0)),
    "UpLeg": ("Hips", (9, -7, 0)),
    "Leg": ("UpLeg", (1, -40, 1)),
    "Foot": ("Leg", (0, -41, -3)),
    "ToeBase": ("Foot", (1, -5, 13)),
}
TRUNKS = {  # Mixamo's and Bandai-Namco's: joint -> (parent, offset in cm)
    "Left{}": {
        **{"Hips": ("", (0, 95, 0)), "Spine": ("Hips", (0, 12, 1))},
        **{"Spine1": ("Spine", (0, 13, 1)), "Spine2": ("Spine1", (0, 6, 0))},
        **{"Neck": ("Spine2", (0, 20, -2)), "Head": ("Neck", (0, 9, 5))},
    },
    "{}_L": {
        **{"Hips": ("", (0, 95, 0)), "Spine": ("Hips", (0, 18, 1))},
        **{"Chest": ("Spine", (0, 13, 1)), "Neck": ("Chest", (0, 20, -2))},
        "Head": ("Neck", (0, 9, 5)),
    },
}
BANDAI_NAMES = {
    **{"Arm": "UpperArm", "ForeArm": "LowerArm", "UpLeg": "UpperLeg", "Leg": "LowerLeg"},
    "ToeBase": "Toes",
}


def write_figure(path: Path, frames: int, naming: str = "Left{}") -> None:
    """A BVH file at 30 fps: a T pose that walks 3 cm a frame and moves its joints a little."""
    rig = figure(naming)
    rng = np.random.default_rng(len(path.stem) + frames)
    turns = 8 * np.sin(np.arange(frames)[:, None] / 6 + rng.uniform(0, 6, 3 * len(rig)))
    turns[:, :3] = 0
    path_ = np.stack([np.zeros(frames), np.full(frames, 95), 3.0 * np.arange(frames)], 1)
    rows = [" ".join(f"{v:.3f}" for v in row) for row in np.concatenate([path_, turns], 1)]
    head = [
        "HIERARCHY",
        *_joint("Hips", rig),
        "MOTION",
        f"Frames: {frames}",
        "Frame Time: 0.033333",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


def figure(naming: str) -> dict[str, tuple[str, tuple[int, int, int]]]:
    """Joint -> (parent, offset) of a person in the names of one collection."""
    rig = dict(TRUNKS[naming])
    chest = next(parent for joint, (parent, _) in rig.items() if joint == "Neck")
    for side, sign in (("L", 1), ("R", -1)):
        template = naming.replace("Left", "Right").replace("_L", "_R") if side == "R" else naming
        own = BANDAI_NAMES if "_" in naming else {}
        name = {limb: template.format(own.get(limb, limb)) for limb in LIMBS}
        for limb, (parent, (x, y, z)) in LIMBS.items():
            above = {"CHEST": chest, "Hips": "Hips"}.get(parent) or name[parent]
            rig[name[limb]] = (above, (sign * x, y, z))
    return rig


def _joint(name: str, rig: dict) -> list[str]:
    root = rig[name][0] == ""
    channels = "6 Xposition Yposition Zposition" if root else "3"
    lines = [f"{'ROOT' if root else 'JOINT'} {name}", "{"]
    lines += ["OFFSET {} {} {}".format(*rig[name][1])]
    lines += [f"CHANNELS {channels} Zrotation Xrotation Yrotation"]
    children = [joint for joint, (parent, _) in rig.items() if parent == name]
    for child in children:
        lines += _joint(child, rig)
    return [*lines, *([] if children else ["End Site", "{", "OFFSET 0 3 0", "}"]), "}"]


def write_official_folder(folder: Path) -> None:
    """HumanML3D's layout with 28 motions: 16 to train, 4 to validate, 8 to test."""
    source = CmuOpenSource(clips=60)
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir(parents=True)
    items = source.list_items()
    clips = [clip for clip in source.load(items) if len(clip.features) >= 60][:28]
    for number, clip in enumerate(clips):
        np.save(folder / "new_joint_vecs" / f"{number:06}.npy", clip.features)
        lines = [f"{c.text}#{tagged(c.text)}#0.0#0.0\n" for c in clip.captions]
        (folder / "texts" / f"{number:06}.txt").write_text("".join(lines))
        split = "train" if number < 16 else "val" if number < 20 else "test"
        with (folder / f"{split}.txt").open("a") as stream:
            stream.write(f"{number:06}\n")
    features = np.concatenate([clip.features for clip in clips])
    np.save(folder / "Mean.npy", features.mean(0))
    np.save(folder / "Std.npy", features.std(0) + 0.01)


def tagged(text: str) -> str:
    return " ".join(f"{word}/NOUN" for word in re.findall(r"[a-z']+", text.lower()))


def write_published_evaluator(folder: Path) -> None:
    """The published evaluator's files, with random weights."""
    torch.manual_seed(0)
    tensors = FeatureExtractor(263).state_dict()
    networks = ("text_encoder", "movement_encoder", "motion_encoder")
    content = {
        network: {
            name.removeprefix(f"{network}."): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{network}.")
        }
        for network in networks
    }
    meta, model, glove = (
        folder / name for name in ("t2m/Comp_v6_KLD01/meta", "t2m/text_mot_match/model", "glove")
    )
    for one in (meta, model, glove):
        one.mkdir(parents=True)
    torch.save(content, model / "finest.tar")
    np.save(meta / "mean.npy", np.zeros(263))
    np.save(meta / "std.npy", np.ones(263))
    words = ["sos", "eos", "unk", "a", "person", "walks"]
    np.save(glove / "our_vab_data.npy", np.ones((len(words), 300)))
    (glove / "our_vab_words.pkl").write_bytes(pickle.dumps(words))
    (glove / "our_vab_idx.pkl").write_bytes(pickle.dumps({w: i for i, w in enumerate(words)}))


def write_collection(folder: Path) -> None:
    """Figures under the names of Bandai-Namco's files, some of a style that is held out."""
    for content in ("walk", "run", "bow", "kick"):
        for style, count in (("normal", 5), ("childish", 1)):
            for number in range(count):
                name = f"dataset-1_{content}_{style}_{number:03}.bvh"
                write_figure(folder / name, frames=70 + 35 * number, naming="{}_L")


def block_of(page: Path, language: str) -> str:
    """The first fenced block of a language in a page."""
    return page.read_text(encoding="utf-8").split(f"```{language}\n")[1].split("```")[0]


@pytest.fixture
def run_page(tmp_path, monkeypatch, capfd, commands_of):
    """Run the fenced lead commands of a page from top to bottom; what they printed."""
    monkeypatch.chdir(tmp_path)

    def run(name: str) -> str:
        said = ""
        found = [c for c in commands_of(name) if c.words[0].endswith("lead") and not c.inline]
        assert found
        for command in found:
            words = smaller(command.words[1:])
            code = main(words)
            out, err = capfd.readouterr()
            assert code == 0, f"{command.place}: {' '.join(words)}: {err}"
            said += out
        return said

    return run


def test_train_on_humanml3d(run_page, repository):
    write_official_folder(Path("HumanML3D"))
    write_published_evaluator(Path("evaluators"))
    said = run_page("docs/tutorials/humanml3d.md")
    assert "datasets/humanml3d: 28 clips (test 8, train 16, val 4)" in said
    record = json.loads(
        Path("checkpoints/humanml3d-paper-projector/metrics.json").read_text(encoding="utf-8")
    )
    assert record["evaluator"]["name"] == "t2m-humanml3d"
    assert "generated (LEAD)" in said and "LEAD" in said


def test_your_own_bvh_files(run_page, repository):
    page = repository / "docs/tutorials/own_bvh.md"
    table = next(text for text in page.read_text().split("```text\n") if text.startswith("id,"))
    Path("captions.csv").write_text(table.split("```")[0], encoding="utf-8")
    named = {row["id"] for row in csv.DictReader(table.split("```")[0].splitlines())}
    for number, name in enumerate(sorted(named | {f"spare_{i}" for i in range(8)})):
        write_figure(Path("my_motions") / f"{name}.bvh", frames=66 + 25 * number)
    with Path("captions.csv").open("a", encoding="utf-8") as stream:
        stream.writelines(
            f"spare_{i},a person waits,{'val' if i == 0 else 'train'}\n" for i in range(8)
        )
    said = run_page("docs/tutorials/own_bvh.md")
    assert "mixamo" in said
    for name in ("000.bvh", "000.glb", "player.html"):
        assert (Path("outputs/mine") / name).stat().st_size > 0
    manifest = json.loads(Path("datasets/named/manifest.json").read_text(encoding="utf-8"))
    assert sum(manifest["clips"].values()) >= len(named) + 8


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Path:
    """A folder with BVH files, and the data set and runs that tutorials start from."""
    folder = tmp_path_factory.mktemp("collection")
    write_collection(folder / "DIR")
    with contextlib.chdir(folder):
        for data, source in (("bandai_namco", " source=DIR"), ("cmu_open", "")):
            name = f"checkpoints/{data}-small"
            for line in (
                f"prepare data={data}{source}",
                f"train stage=vae data={data}",
                f"train stage=diffusion data={data} vae={name}-vae",
                f"train stage=projector data={data} diffusion={name}-diffusion",
            ):
                assert main(smaller(tuple(line.split()))) == 0, line
    return folder


@pytest.fixture
def with_runs(collection, tmp_path) -> None:
    """Copies of the data set and the runs in the working directory."""
    for name in ("datasets", "checkpoints"):
        shutil.copytree(collection / name, tmp_path / name)


@pytest.fixture
def with_starter(collection, monkeypatch) -> None:
    """A tiny run in the place of the starter model."""
    monkeypatch.setenv("LEAD_STARTER", str(collection / "checkpoints/bandai_namco-small-projector"))


def test_readme(run_page, with_starter, repository):
    write_figure(Path("zombie.bvh"), 90)
    shutil.copytree(repository / "checkpoints/judge", "checkpoints/judge")
    said = run_page("README.md")
    assert "datasets/cmu_open: 24 clips" in said
    assert {path.name for path in Path("outputs/bow").iterdir()} == {
        *("000.npz", "000.bvh", "000.glb", "000.gif", "player.html"),
        *("index.html", "index.json", "sheet.png"),
    }
    for name in ("vae", "diffusion", "projector", "distill", "autoencoder", "flow"):
        assert Path(f"checkpoints/cmu_open-small-{name}/weights").is_dir()


def test_only_motions(run_page, with_starter):
    said = run_page("docs/tutorials/only_motions.md")
    folder = Path("outputs/wave")
    kinds = ("000.gif", "000.mp4", "000.bvh", "000.glb", "player.html", "own.mp4", "both.glb")
    for name in (*kinds, "index.html"):
        assert (folder / name).stat().st_size > 0
    assert "outputs/wave/both.glb" in said
    assert (folder / "both.glb").read_bytes().count(b'"interpolation":"LINEAR"') > 30


def test_teach_a_word(run_page, repository, with_runs):
    write_figure(Path("zombie.bvh"), 90)
    Path("words.yaml").write_text(
        block_of(repository / "docs/tutorials/teach_a_word.md", "yaml"), encoding="utf-8"
    )
    said = run_page("docs/tutorials/teach_a_word.md")
    assert "<zombie> from 1 motions, loss " in said and "<childlike> from 4 motions, loss " in said
    for name in ("words/zombie", "words/childlike", "many/zombie", "many/childlike"):
        assert Path(f"outputs/{name}.safetensors").stat().st_size < 10_000


def test_read_the_table(run_page, with_runs):
    said = run_page("docs/tutorials/read_the_table.md")
    assert "numbers compare only with those of the same judge" in said
    for row in ("Real", "VAE reconstruction", "generated (MLD)", "generated (LEAD)"):
        assert f"| {row} " in said
    for column in (
        "R@1",
        "FID",
        "MM-dist",
        "Diversity",
        "MultiModality",
        "skating ratio",
        "jitter",
    ):
        assert column in said


@pytest.mark.slow
def test_sizes_encoders_resuming_logs(run_page, monkeypatch):
    assert main(["prepare", "data=cmu_open", "data.clips=16", "workers=1"]) == 0
    for key in ("trainer.max_steps", "trainer.validate_every"):  # those of the page and the size
        monkeypatch.delitem(SMALL["train"], key)
    said = run_page("docs/reference/training.md")
    assert "finished at step 60" in said and "finished at step 120" in said
