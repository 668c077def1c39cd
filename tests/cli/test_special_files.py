"""What a command is to read is a pipe, a device, a folder, too large, or an array of nonsense."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lead.cli.main import main
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource

LINE = "a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\n"
TIB = 1 << 40


def bvh(world, *options: str) -> list[str]:
    world.figure("clips/walk.bvh")
    return ["prepare", "data=bvh", "source=clips", "output=out", "workers=1", *options]


def bandai_namco(world, path: Path) -> list[str]:
    world.figure("clips/dataset-1_walk_normal_001.bvh")
    return [
        *("prepare", "data=bandai_namco", "source=clips", "output=out", "workers=1"),
        f"data.captions={path}",
    ]


def official(world, _path: Path) -> list[str]:
    """HumanML3D's layout of one clip; what stands there already is left."""
    folder = world.here / "official"
    arrays = {
        **{"Mean.npy": np.zeros(263, np.float32), "Std.npy": np.ones(263, np.float32)},
        "new_joint_vecs/0.npy": np.zeros((60, 263), np.float32),
    }
    texts = {"train.txt": "0\n", "texts/0.txt": LINE}
    for name in (*arrays, *texts):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            np.save(path, arrays[name]) if name in arrays else path.write_text(texts[name])
    options = ("source=official", "data.splits=[train]", "output=out", "workers=1")
    return ["prepare", "data=humanml3d", *options]


def invert(world, **options: object) -> list[str]:
    values = {"run": world.run("projector"), "output": "w.safetensors", "device": "cpu", **options}
    return ["invert", *(f"{key}={value}" for key, value in values.items())]


def in_dataset(world, path: Path) -> list[str]:
    """A mix of a dataset in which all but ``path`` is as it was."""
    for file in path.parent.parent.joinpath("tiny").iterdir():
        if not os.path.lexists(path.parent / file.name):
            shutil.copy2(file, path.parent / file.name)
    return ["prepare", "data=mix", f"parts=[{path.parent}]", "output=out", "workers=1"]


def clips(world, path: Path) -> list[str]:
    other = {"clips": [{"files": {"npz": "000.npz"}}]}
    world.file("two/index.json", json.dumps(other))
    shutil.copy(world.motion, world.here / "two" / "000.npz")
    return ["report", "study", f"runs=[{path.parent},two]", "pairs=1"]


READERS: dict[str, tuple[str, Callable]] = {
    "captions": ("c.csv", lambda w, p: bvh(w, f"data.captions={p}")),
    "captions of JSON": ("c.jsonl", lambda w, p: bvh(w, f"data.captions={p}")),
    "skeleton map": ("map.yaml", lambda w, p: bvh(w, f"data.skeleton_map={p}")),
    "phrase book": ("book.yaml", bandai_namco),
    "concepts": ("c.yaml", lambda w, p: invert(w, concepts=p)),
    "concepts of JSON": ("c.jsonl", lambda w, p: invert(w, concepts=p)),
    "motion": ("m.npz", lambda w, p: invert(w, motions=p, word="<w>", init="walk")),
    "features": ("m.npy", lambda w, p: invert(w, motions=p, word="<w>", init="walk")),
    "word": ("w.safetensors", lambda w, p: w.generate(text="a <w> walks", words=p)),
    "study key": ("k.json", lambda w, p: ["report", "study", "answers=[a.json]", f"key={p}"]),
    "metrics": ("m.json", lambda w, p: ["report", "none", p]),
    "curves": ("run/metrics.csv", lambda w, p: ["report", "curves", p.parent]),
    "exported motion": ("m.npz", lambda w, p: ["export", p, "format=bvh"]),
    "official mean": ("official/Mean.npy", official),
    "official list": ("official/train.txt", official),
    "official motion": ("official/new_joint_vecs/0.npy", official),
    "official text": ("official/texts/0.txt", official),
    "dataset manifest": ("data/manifest.json", in_dataset),
    "dataset index": ("data/train.index.json", in_dataset),
    "dataset features": ("data/train.npy", in_dataset),
    "dataset statistics": (
        "data/Mean.npy",
        lambda w, p: in_dataset(w, p) and w.train("vae", dataset=p.parent),
    ),
    "list of clips": ("one/index.json", clips),
    "sentences": (
        "s.tsv",
        lambda w, p: [
            *("evaluate", f"run={w.run('projector')}", f"dataset={w.data}"),
            *(f"sentences={p}", "classifier=c"),
        ],
    ),
}

SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "loop of links": lambda path: path.symlink_to(path),
    "link to nowhere": lambda path: path.symlink_to("nowhere"),
    "terabyte": lambda path: (path.touch(), os.truncate(path, TIB)),
    "nothing": lambda path: path.touch(),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe\xfd" * 100),
}


@pytest.fixture
def prepared(world, tmp_path_factory) -> Path:
    """A small dataset beside the folder where one of its files is to be something else."""
    pack(CmuOpenSource(clips=2), world.here / "tiny", workers=1)
    return world.here / "tiny"


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", READERS)
def test_only_regular_files_of_a_sense_are_read(world, outcome, request, name, kind):
    file, words = READERS[name]
    if file.startswith("data/"):
        request.getfixturevalue("prepared")
    path = world.here / file
    path.parent.mkdir(parents=True, exist_ok=True)
    SPECIAL[kind](path)
    assert outcome(words(world, path)) is not None


# Arrays


def features(frames: int = 60) -> np.ndarray:
    return np.zeros((frames, 263), np.float32)


def lying(path: Path) -> None:
    """A header of 957 TiB in front of some bytes."""
    np.save(path, features())
    rows = str(957 * TIB // (263 * 4)).encode()
    path.write_bytes(path.read_bytes().replace(b"(60,", b"(" + rows + b",", 1))


def saved(array: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, array)


ARRAYS: dict[str, Callable[[Path], None]] = {
    "957 TiB": lying,
    "texts": saved(np.full((60, 263), "x")),
    "whole numbers": saved(np.zeros((60, 263), np.int64)),
    "complex": saved(np.zeros((60, 263), np.complex64)),
    "objects": lambda path: np.save(path, np.full((60, 263), None), allow_pickle=True),
    "a number": saved(np.float32(1)),
    "three axes": saved(np.zeros((2, 60, 263), np.float32)),
    "no frames": saved(features(0)),
    "another width": saved(np.zeros((60, 7), np.float32)),
    "not a number": saved(np.full((60, 263), np.nan, np.float32)),
    "infinity": saved(np.full((60, 263), -np.inf)),
    "beyond float32": saved(np.full((60, 263), 1e300)),
    "records": saved(np.zeros((60, 263), [("x", "f4")])),
    "an archive": lambda path: np.savez(path.open("wb"), a=features()),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("name", ["features", "official motion", "dataset features"])
def test_arrays_that_are_no_motion(world, outcome, request, name, kind):
    file, words = READERS[name]
    if words is in_dataset:
        (request.getfixturevalue("prepared") / "stamps.json").unlink()
    path = world.here / file
    path.parent.mkdir(parents=True, exist_ok=True)
    ARRAYS[kind](path)
    said = outcome(words(world, path))
    assert said is not None
    assert path.name in said


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["Mean.npy", "Std.npy"])
def test_statistics_that_are_no_numbers_name_their_file(world, refused, name, value):
    data = world.copy_data()
    np.save(data / name, np.full(263, value, np.float32))
    words = world.train("vae", dataset=data)
    assert f"{name} holds a value that is not finite" in refused(words, 1)


def test_a_deviation_of_nothing_names_its_file(world, refused):
    data = world.copy_data()
    np.save(data / "Std.npy", np.zeros(263, np.float32))
    assert "Std.npy holds a deviation of 0" in refused(world.train("vae", dataset=data), 1)


@pytest.mark.parametrize("place", ["vae", "diffusion", "projector"])
def test_weights_that_are_no_numbers_name_their_file(world, refused, place):
    run = world.copy_run(place)
    part = {"diffusion": "denoiser"}.get(place, place)
    path = run / "weights" / f"{part}.safetensors"
    from safetensors.torch import load_file

    tensors = load_file(path)
    name = next(iter(tensors))
    tensors[name] = torch.full_like(tensors[name], torch.nan)
    save_file(tensors, path, {"format": "pt"})
    words = world.generate(run=world.here / "checkpoints" / "cmu_open-tiny-projector")
    said = refused(words, 1)
    assert path.name in said or "has changed since" in said


# Archives


def entries(world) -> dict[str, np.ndarray]:
    with np.load(world.motion) as archive:
        return dict(archive)


WRONG: dict[str, object] = {
    "text": np.array(["a", "b"]),
    "number": np.array(7.5),
    "whole": np.array(7),
    "negative": np.array(-1),
    "huge": np.array(1e300),
    "none": np.zeros(0),
    "bytes": np.array(b"\xff"),
    "half a letter": np.array("\ud800"),
    "date": np.array("2026-01-01", "datetime64[D]"),
    "not a number": np.array(np.nan),
    "objects": np.array([{}], dtype=object),
}


@pytest.mark.parametrize("wrong", [*WRONG, None])
def test_a_motion_file_with_anything_in_it(world, outcome, wrong):
    """Every key of a motion file in turn; whole numbers do as rates, and texts as texts."""
    good = entries(world)
    for key in good:
        changed = {**good, key: WRONG[wrong]} if wrong else {**good}
        if wrong is None:
            del changed[key]
        path = world.here / "m.npz"
        np.savez(path, **changed)
        said = outcome(["export", path, "format=glb"])
        may = (wrong, key) in {("whole", "seed"), ("whole", "fps"), ("number", "fps")}
        may |= (wrong, key) == ("negative", "seed")
        may |= wrong in ("text", None) and key.startswith("provenance")
        assert said is not None or may, key


def test_an_archive_that_unpacks_to_gigabytes_is_not_unpacked(world, outcome):
    import zipfile

    path = world.here / "m.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("joints.npy", "w", force_zip64=True) as stream,
    ):
        for _ in range(600):
            stream.write(bytes(1 << 20))
    assert path.stat().st_size < 8 << 20
    assert "unpacks to 629145600 bytes, 536870912 are the most" in outcome(["export", path])


# Tables

TABLES = {
    "c.csv": [
        "id,caption,start,end\nwalk,a,1e400,2\n",
        "id,caption,start,end\nwalk,a,nan,2\n",
        "id,caption,start,end\nwalk,a,-1,2\n",
        "id,caption,split\nwalk,a,-1\n",
        "id,caption,split\nwalk,a,../x\n",
        "id\nwalk\n",
        'id,caption\nwalk,"a\n',
        "id,caption\nwalk," + "x" * 200_000 + "\n",
        "id,caption\nwalk,a\0b\n",
        "\n",
    ],
    "run/metrics.csv": [
        "step,name,value\n1" + "0" * 26 + ",train/loss,1\n",
        "step,name,value\n" + "9" * 5000 + ",train/loss,1\n",
        "step,name,value\n-1,train/loss,1\n",
        "step,name,value\n1.5,train/loss,1\n",
        "step,name,value\n1,,1\n",
        "step,name,value\n1,a,x\n",
        "name,value\na,1\n",
        "step,name,value\n1,a,2,3\n",
    ],
    "s.tsv": [
        "content\tstyle\tseconds\tsentence\nwalk\tnormal\tnan\ta\n",
        "content\tstyle\tseconds\tsentence\nwalk\tnormal\t0\ta\n",
        "content\tstyle\tseconds\tsentence\nwalk\tnormal\t1e300\ta\n",
        "content\tstyle\tseconds\tsentence\nwalk\tnormal\tx\ta\n",
        "content\tstyle\tseconds\tsentence\nwalk\tnormal\t3\n",
        "content\tstyle\tseconds\tsentence\n",
        "a\tb\n",
    ],
}


@pytest.mark.parametrize(
    ("file", "text"), [(file, text) for file, texts in TABLES.items() for text in texts]
)
def test_tables_with_rows_that_are_none(world, outcome, file, text):
    words = next(words for name, words in READERS.values() if name == file)
    path = world.file(file, text)
    said = outcome(words(world, path))
    assert said is not None
    assert path.name in said


# A file changed in place


@pytest.mark.parametrize("name", ["train.npy", "val.index.json", "Std.npy"])
def test_training_goes_on_only_with_the_data_it_began_with(world, refused, name):
    data = shutil.copytree(world.data, world.here / "data")
    words = world.train("diffusion", dataset=data)
    assert main([str(word) for word in words]) == 0
    content = bytearray((data / name).read_bytes())
    content[-4] ^= 1
    (data / name).write_bytes(content)
    said = refused([*words, "resume=true", "trainer.max_steps=4"], 1)
    assert f"{name} has changed since the dataset was prepared: prepare it again" in said
    content[-4] ^= 1
    (data / name).write_bytes(content)
    assert main([*map(str, words), "resume=true", "trainer.max_steps=4"]) == 0
