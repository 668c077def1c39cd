"""What `lead prepare` refuses: broken files, folders, tables and options, each in one line."""

import json
import os
import pickle
import re
import socket
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lead.cli.main import main

LINE = "a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\n"


def bvh(world, *options: str, source: str = "clips") -> list:
    return [
        *("prepare", "data=bvh", f"source={world.here / source}", "output=out"),
        *("workers=1", *options),
    ]


def official(world, name: str, width: int) -> list:
    folder = world.here / "official"
    for part in ("new_joint_vecs", "texts"):
        (folder / part).mkdir(parents=True)
    np.save(folder / "Mean.npy", np.zeros(width, np.float32))
    np.save(folder / "Std.npy", np.ones(width, np.float32))
    for number, split in enumerate(("train", "val", "test")):
        np.save(folder / "new_joint_vecs" / f"{number:06d}.npy", np.zeros((60, width), np.float32))
        (folder / "texts" / f"{number:06d}.txt").write_text(LINE)
        (folder / f"{split}.txt").write_text(f"{number:06d}\n")
    return ["prepare", f"data={name}", f"source={folder}", "output=out", "workers=1"]


def truncated_bvh(world):
    path = world.figure("clips/walk.bvh")
    path.write_text(path.read_text()[:-50])
    return bvh(world, "output=new/deeper/out")


def wrong_channel_counts(world):
    path = world.figure("clips/walk.bvh")
    path.write_text(path.read_text().replace("CHANNELS 3", "CHANNELS 4", 1))
    return bvh(world)


def too_few_values(world):
    path = world.figure("clips/walk.bvh")
    lines = path.read_text().splitlines()
    lines[-3] = lines[-3].rpartition(" ")[0]
    path.write_text("\n".join(lines))
    return bvh(world)


def nan_in_bvh(world):
    path = world.figure("clips/walk.bvh")
    path.write_text(path.read_text().replace("95.0000", "nan", 1))
    return bvh(world)


def binary_bvh(world):
    world.file("clips/walk.bvh", bytes(range(256)) * 40)
    return bvh(world)


def empty_bvh(world):
    world.file("clips/walk.bvh")
    return bvh(world)


def no_bvh_files(world):
    world.file("clips/readme.txt", "nothing here")
    return bvh(world)


def all_files_bad(world):
    for number in range(3):
        world.file(f"clips/walk{number}.bvh", "HIERARCHY\nROOT Hips\n")
    return bvh(world)


def too_short_clips(world):
    world.figure("clips/walk.bvh", frames=10)
    return bvh(world)


def table_without_header(world):
    world.figure("clips/walk.bvh")
    table = world.file("captions.csv", "walk,a person walks\n")
    return bvh(world, f"data.captions={table}")


def table_with_unknown_ids(world):
    world.figure("clips/walk.bvh")
    table = world.file("captions.csv", "id,caption\nrun,a person runs\n")
    return bvh(world, f"data.captions={table}")


def table_with_empty_caption(world):
    world.figure("clips/walk.bvh")
    table = world.file("captions.csv", "id,caption\nwalk,\n")
    return bvh(world, f"data.captions={table}")


def table_of_another_kind(world):
    world.figure("clips/walk.bvh")
    return bvh(world, f"data.captions={world.file('captions.xlsx', 'PK')}")


def table_missing(world):
    world.figure("clips/walk.bvh")
    return bvh(world, "data.captions=captions.csv")


def table_not_text(world):
    world.figure("clips/walk.bvh")
    return bvh(world, f"data.captions={world.file('captions.csv', bytes(range(128, 256)))}")


def template_without_words(world):
    world.figure("clips/02_01.bvh")
    return bvh(world)


def template_with_unknown_field(world):
    world.figure("clips/walk.bvh")
    return bvh(world, "data.template=a person does {name}")


def template_empty(world):
    world.figure("clips/walk.bvh")
    return bvh(world, "data.template=")


def unknown_skeleton(world):
    path = world.figure("clips/walk.bvh")
    path.write_text(path.read_text().replace("LeftUpLeg", "Tentacle"))
    return bvh(world)


def skeleton_map_missing(world):
    world.figure("clips/walk.bvh")
    return bvh(world, "data.skeleton_map=mixamoo")


def unknown_units(world):
    world.figure("clips/walk.bvh")
    return bvh(world, "data.units=feet")


def no_source(world):
    return ["prepare", "data=bvh"]


def source_missing(world):
    return bvh(world, source="nowhere")


def source_of_nobody(world):
    return ["prepare", "data=bvh", "source=~nobody-of-this-name/clips"]


def source_empty(world):
    return ["prepare", "data=bvh", "source="]


def source_is_a_file(world):
    world.file("clips", "HIERARCHY")
    return bvh(world)


def official_without_motions(world):
    words = official(world, "humanml3d", 263)
    for path in (world.here / "official" / "new_joint_vecs").iterdir():
        path.unlink()
    (world.here / "official" / "new_joint_vecs").rmdir()
    return words


def official_without_mean(world):
    words = official(world, "humanml3d", 263)
    (world.here / "official" / "Mean.npy").unlink()
    return words


def official_without_split(world):
    words = official(world, "humanml3d", 263)
    (world.here / "official" / "val.txt").unlink()
    return words


def official_of_wrong_width(world):
    words = official(world, "humanml3d", 263)
    for path in (world.here / "official" / "new_joint_vecs").iterdir():
        np.save(path, np.zeros((60, 200), np.float32))
    return words


def official_pickled(world):
    words = official(world, "humanml3d", 263)
    for path in (world.here / "official" / "new_joint_vecs").iterdir():
        path.write_bytes(pickle.dumps(np.zeros((60, 263))))
    return words


def official_objects(world):
    words = official(world, "humanml3d", 263)
    for path in (world.here / "official" / "new_joint_vecs").iterdir():
        np.save(path, np.array([{}, []], dtype=object), allow_pickle=True)
    return words


def official_splits_of_one_word(world):
    return [*official(world, "humanml3d", 263), "data.splits=train"]


def kit_of_humanml3d(world):
    return official(world, "kitml", 263)


def corrupt_archive(world):
    archive = world.file("sets/dataset-1.tar.xz", b"\xfd7zXZ\x00 and then nothing")
    return ["prepare", "data=bandai_namco", f"source={archive}", "output=out", "workers=1"]


def truncated_archive(world):
    path = world.figure("dataset-1_walk_normal_001.bvh")
    archive = world.here / "dataset-1.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(path, path.name)
    archive.write_bytes(archive.read_bytes()[:-200])
    return ["prepare", "data=bandai_namco", f"source={archive}", "output=out", "workers=1"]


def archive_of_other_files(world):
    path = world.file("notes.txt", "no motion")
    archive = world.here / "dataset-1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(path, path.name)
    return ["prepare", "data=bandai_namco", f"source={archive}", "output=out", "workers=1"]


def bandai_namco_without_its_files(world):
    world.figure("clips/walk.bvh")
    return ["prepare", "data=bandai_namco", "source=clips", "output=out", "workers=1"]


def bandai_namco_unknown_style(world):
    world.figure("clips/dataset-1_walk_normal_001.bvh")
    return ["prepare", "data=bandai_namco", "source=clips", "data.held_out=[dataset-1:chimp]"]


def embedded(*options: str):
    return lambda world: ["prepare", "data=cmu_open", "data.clips=4", "workers=1", *options]


def output_is_a_file(world):
    world.file("out", "mine")
    return embedded("output=out")(world)


def output_below_a_file(world):
    world.file("out", "mine")
    return embedded("output=out/deeper/set")(world)


def output_exists(world):
    world.file("out/manifest.json", "{}")
    return embedded("output=out")(world)


def output_of_another_kind(world):
    world.file("out/thesis.tex", "years of work")
    return embedded("output=out", "overwrite=true")(world)


def output_is_here(world):
    world.file("manifest.json", "{}")
    return embedded("output=.", "overwrite=true")(world)


CASES = {
    truncated_bvh: (1, "clips/walk.bvh:", "truncated"),
    wrong_channel_counts: (1, "clips/walk.bvh:", "channel"),
    too_few_values: (1, "clips/walk.bvh:", "a row of"),
    nan_in_bvh: (1, "clips/walk.bvh:", "'nan', not a finite number"),
    binary_bvh: (1, "clips/walk.bvh"),
    empty_bvh: (1, "clips/walk.bvh"),
    no_bvh_files: (2, "clips holds no .bvh or .amc file"),
    all_files_bad: (1, "clips/walk0.bvh:"),
    too_short_clips: (1, "9 frames", "40..199"),
    table_without_header: (2, "captions.csv:1", "no column 'id'"),
    table_with_unknown_ids: (2, "captions.csv", "'walk'"),
    table_with_empty_caption: (2, "captions.csv:2", "'caption': it is empty"),
    table_of_another_kind: (2, "captions.xlsx", ".csv"),
    table_missing: (2, "captions.csv is missing"),
    table_not_text: (2, "captions.csv", "UTF-8"),
    template_without_words: (2, "template", "02_01.bvh", "captions=FILE"),
    template_with_unknown_field: (2, "{name}", "stem"),
    template_empty: (2, "template", "{stem}"),
    unknown_skeleton: (1, "clips/walk.bvh", "Hips, Spine", "skeleton_map=PATH"),
    skeleton_map_missing: (2, "'mixamoo'", "did you mean 'mixamo'?"),
    unknown_units: (2, "'units' takes", "feet", "cm"),
    no_source: (2, "data=bvh needs source=DIR"),
    source_missing: (2, "nowhere does not exist"),
    source_of_nobody: (2, "~nobody-of-this-name"),
    source_empty: (2, "source= is empty"),
    source_is_a_file: (2, "clips is not a folder"),
    official_without_motions: (2, "official", "new_joint_vecs"),
    official_without_mean: (2, "Mean.npy is missing"),
    official_without_split: (2, "val.txt"),
    official_of_wrong_width: (1, "(60, 200), expected (frames, 263)"),
    official_pickled: (1, "Python objects"),
    official_objects: (1, "Python objects"),
    official_splits_of_one_word: (2, "data.splits takes a list", "'train'"),
    kit_of_humanml3d: (2, "(263,)", "'humanml3d'"),
    corrupt_archive: (2, "dataset-1.tar.xz", "fetch it again"),
    truncated_archive: (2, "dataset-1.tar.xz", "fetch it again"),
    archive_of_other_files: (2, "dataset-1.tar.gz holds no .bvh file"),
    bandai_namco_without_its_files: (2, "dataset-D_CONTENT_STYLE_ID.bvh", "data=bvh"),
    bandai_namco_unknown_style: (2, "unknown style 'chimp'", "chimpira"),
    output_is_a_file: (2, "out is a file"),
    output_below_a_file: (2, "out is a file"),
    output_exists: (2, "out exists", "overwrite=true"),
    output_of_another_kind: (2, "out was not made by lead", "output=DIR"),
    output_is_here: (2, "output=DIR"),
}

OPTIONS = {
    ("data.clips=0",): "data.clips takes a whole number from 1 to 1000000, got 0",
    ("data.clips=-3",): "data.clips takes a whole number from 1 to 1000000, got -3",
    ("data.clips=many",): "data.clips takes a whole number, got 'many'",
    ("data.splits.train=2",): "unknown option 'data.splits.train'",
    ("workers=0",): "workers takes a whole number from 1 to 128, got 0",
    ("workers=-2",): "workers takes a whole number from 1 to 128, got -2",
    ("overwrite=maybe",): "overwrite takes true or false",
    ("inspect=1",): "inspect takes true or false",
    ("data._target_=os.system",): "no source is called 'os.system'",
    ("data._target_=lead.core.files.write_json",): "no source is called",
    ("data._target_=motion_vae",): "no source is called 'motion_vae'",
    ("data._target_=bhv",): "did you mean 'bvh'?",
}


@pytest.mark.parametrize("arrange", CASES, ids=lambda arrange: arrange.__name__)
def test_refused(world, refused, arrange):
    code, *parts = CASES[arrange]
    line = refused(arrange(world), code)
    for part in parts:
        assert part in line, line


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_refused_option(world, refused, options):
    assert OPTIONS[options] in refused(embedded("output=out", *options)(world))


@pytest.mark.parametrize(
    "arrange",
    [all_files_bad, no_bvh_files, unknown_skeleton, kit_of_humanml3d, source_missing],
    ids=lambda arrange: arrange.__name__,
)
def test_inspecting_is_refused_alike(world, refused, arrange):
    code, *parts = CASES[arrange]
    line = refused([*arrange(world), "inspect=true"], code)
    for part in parts:
        assert part in line, line


def test_inspecting_shows_and_writes_one_picture_only(world, capfd):
    for name in ("walk", "run"):
        world.figure(f"clips/{name}.bvh")
    world.file("clips/broken.bvh", "HIERARCHY\n")
    assert main([*bvh(world), "inspect=true"]) == 0
    out = capfd.readouterr().out
    assert "mixamo" in out
    assert "run: a person performs run" in out
    assert [path.name for path in world.here.iterdir() if path.name != "clips"] == [
        "out.inspect.png"
    ]


def test_inspecting_shows_the_kinds_as_a_table(world, capfd):
    words = ["prepare", "data=cmu_open", "data.clips=12", "inspect=true"]
    assert main([*words, f"output={world.here / 'out'}"]) == 0
    lines = capfd.readouterr().out.splitlines()
    head = next(n for n, line in enumerate(lines) if line.split()[:2] == ["captions", "split"])
    assert lines[head - 1].split() == ["kinds"]
    table = lines[head : next(n for n in range(head, len(lines)) if lines[n].startswith("all"))]
    assert len(table) > 3 and len({len(line) for line in table}) == 1


def test_the_parts_of_a_mix_are_weighted_on_the_command_line(world, refused):
    words = ["prepare", "data=mix", f"parts=[{world.data}]", f"output={world.here / 'mix'}"]
    name = json.loads((world.data / "manifest.json").read_text())["name"]
    assert "no part 'x'" in refused([*words, "data.weights={x: 2}"])
    assert main([*words, f"data.weights={{{name}: 2}}", "workers=1"]) == 0
    labels = json.loads((world.here / "mix" / "train.index.json").read_text())["labels"]
    assert {label["weight"] for label in labels} == {"2"}


def test_a_source_may_be_named_from_home(world, monkeypatch):
    for number in range(3):
        world.figure(f"motions/walk{number}.bvh")
    monkeypatch.setenv("HOME", str(world.here))
    words = ["prepare", "data=bvh", "source=~/motions", "output=~/packed set", "workers=1"]
    assert main(words) == 0
    assert (world.here / "packed set" / "manifest.json").is_file()


def test_overwriting_replaces_what_lead_made(world):
    for clips in (5, 6):
        words = embedded("output=out", f"data.clips={clips}", "overwrite=true")(world)
        assert main(words) == 0
        assert not (world.here / "out" / "cache").exists()
        (world.here / "out" / "cache").mkdir()
    assert sorted(path.name for path in world.here.iterdir()) == ["out"]


@dataclass
class Spoilt:
    """A file that would be read but for places in its text."""

    old: str
    new: str
    count: int = 1

    def __call__(self, path):
        path.write_text(re.sub(self.old, self.new, path.read_text(), count=self.count))


def sparse(path):
    path.touch()
    os.truncate(path, 1 << 40)


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


BAD = {
    "broken.bvh": lambda path: path.write_text("HIERARCHY\n"),
    "empty.bvh": Path.touch,
    "random.bvh": lambda path: path.write_bytes(bytes(range(256)) * 100),
    "fifo.bvh": os.mkfifo,
    "socket.bvh": listening,
    "endless.bvh": lambda path: path.symlink_to("/dev/zero"),
    "nowhere.bvh": lambda path: path.symlink_to("missing"),
    "circle.bvh": lambda path: path.symlink_to(path),
    "sparse.bvh": sparse,
    "instant.bvh": Spoilt("0.05", "5e-324"),
    "century.bvh": Spoilt("0.05", "900"),
    "count.bvh": Spoilt("Frames: 61", "Frames: 999999999"),
    "far.bvh": Spoilt("95.0000", "1e38"),
    "beyond.bvh": Spoilt("95.0000", "1e200"),
    "collapsed.bvh": Spoilt("OFFSET .*", "OFFSET 0 0 0", 0),
    "deep.bvh": Spoilt("CHANNELS 3", "JOINT x {OFFSET 0 0 0 CHANNELS 0 " * 1500),
    "l" * 250 + ".bvh": Path.touch,
    os.fsdecode(b"\xff.bvh"): Path.touch,
    os.fsdecode(b"\xff/x.bvh"): Path.touch,
    "line\nbreak.bvh": Path.touch,
}


def test_bad_files_of_every_kind_are_left_out_and_named(world, capfd, monkeypatch):
    for name in ("walk", "run", "jump"):
        world.figure(f"clips/{name}.bvh")
    monkeypatch.chdir(world.here / "clips")  # the name of a socket is short
    for name, make in BAD.items():
        path = world.here / "clips" / name
        world.figure(f"clips/{name}")
        if not isinstance(make, Spoilt):
            path.unlink()
        make(path)
    monkeypatch.chdir(world.here)
    assert main(bvh(world, "data.template=a person walks")) == 0
    out, err = capfd.readouterr()
    assert f"left out: {len(BAD)}" in out
    assert "Warning" not in err and "Traceback" not in err
    assert all(len(line) <= 302 for line in out.splitlines())
    report = json.loads((world.here / "out" / "report.json").read_text(encoding="utf-8"))
    named = {entry["id"] for entry in report["left_out"]}
    assert {name.removesuffix(".bvh") for name in BAD if name.isascii()} <= named
    assert all(0 < len(entry["reason"]) <= 300 for entry in report["left_out"])
    assert json.loads((world.here / "out" / "manifest.json").read_text())["left_out"] == len(BAD)
