"""The CMU database: sentences of three kinds, pieces, splits, both forms of a trial, bad files."""

import csv
import json
import pickle
import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lead.core.building import build
from lead.core.errors import RequestError
from lead.data.acclaim.motion import read_acclaim
from lead.data.acclaim.skeleton import read_skeleton
from lead.data.bvh.joints import bvh_to_joints
from lead.data.bvh.kinematics import local_rotations
from lead.data.bvh.parser import read_bvh
from lead.data.caption_kinds import count_dataset, table_lines
from lead.data.cmu.pieces import LONGEST, SHORTEST, pieces_of, windows_between
from lead.data.cmu.sentences import Cut, Sentences, read_sentences
from lead.data.cmu.trials import Trial, find_trials, read_trial
from lead.data.cmu_open import read_index
from lead.data.loading import load_items
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.source import PROBLEM, Caption, LoadedClip, Rejected, usable
from lead.data.sources.cmu import CmuSource
from lead.representation import features_to_joints, get_skeleton, joints_to_features
from lead.representation.mirroring import mirror_joints

NAMES = get_skeleton("humanml3d").joint_names
CUT = {
    "id": "000001",
    "split": "train",
    "trial": "90_01",
    "start_frame": 10,
    "end_frame": 60,
    "captions": ["a person waves"],
    "captions_describe_the_mirrored_motion": False,
}


def write_captions(folder: Path, humanml3d=(), kit_ml=(), cmu=()) -> Path:
    """A file of sentences: cuts as changes of CUT, the others as (trial, text)."""
    content = {
        "humanml3d": [CUT | cut for cut in humanml3d],
        "kit_ml": [{"trial": trial, "sentences": [text]} for trial, text in kit_ml],
        "cmu": [{"trial": trial, "description": text} for trial, text in cmu],
    }
    path = folder / "captions.json"
    path.write_text(json.dumps(content))
    return path


def problems(items) -> dict[str, str]:
    return {item.id: item.labels[PROBLEM] for item in items if PROBLEM in item.labels}


# -- windows -------------------------------------------------------------------------------------

cuts_of = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 200)), max_size=4)


@given(first=st.integers(0, 1), length=st.integers(1, 1000), cuts=cuts_of)
def test_windows_are_what_no_cut_covers(first, length, cuts):
    end = first + length
    made = [
        Cut(str(n), "1_1", start, min(start + long, end), ())
        for n, (start, long) in enumerate(cuts)
        if start < end
    ]
    windows = list(windows_between(first, end, made))
    frames = Counter(frame for start, stop in windows for frame in range(start, stop))
    covered = {frame for cut in made for frame in range(cut.start, cut.end)}
    assert set(frames.values()) <= {1}
    assert not covered & set(frames)
    assert all(first <= start < stop <= end for start, stop in windows)
    lengths = [stop - start for start, stop in windows]
    assert all(length <= LONGEST for length in lengths)
    assert all(length >= SHORTEST for length in lengths) or (not made and len(lengths) == 1)
    left = sorted({*range(first, end)} - covered - set(frames))
    runs = np.split(left, np.flatnonzero(np.diff(left) != 1) + 1) if left else []
    assert all(len(run) < SHORTEST for run in runs)


def test_windows_of_one_stretch_are_equally_long():
    assert list(windows_between(0, 450, [])) == [(0, 150), (150, 300), (300, 450)]
    assert list(windows_between(0, 22, [])) == [(0, 22)]
    cut = Cut("1", "1_1", 30, 100, ())
    assert list(windows_between(0, 150, [cut])) == [(100, 150)]


# -- sentences -----------------------------------------------------------------------------------


def test_the_kinds_are_kept_apart_and_the_better_one_is_taken(tmp_path):
    path = write_captions(
        tmp_path,
        humanml3d=[{}],
        kit_ml=[("90_01", "A person waves."), ("90_02", "A person nods.")],
        cmu=[("90_01", "wave"), ("90_03", "walk")],
    )
    found = read_sentences(path)
    assert [cut.name for cut in found.cuts["90_01"]] == ["000001"]
    assert found.whole == {
        "90_01": ("kit_ml", ("A person waves.",)),
        "90_02": ("kit_ml", ("A person nods.",)),
        "90_03": ("cmu", ("walk",)),
    }


@pytest.mark.parametrize(
    "text",
    [
        "visit <a href=http://x.example>here</a>",
        "see https://x.example/tickets",
        "WWW.x.example has tickets",
        "a person <b>walks</b>",
    ],
)
def test_advertisements_are_no_sentences(text, tmp_path):
    path = write_captions(tmp_path, kit_ml=[("90_01", text)], cmu=[("90_01", "walk")])
    found = read_sentences(path)
    assert found.whole == {"90_01": ("cmu", ("walk",))}
    assert "link or markup" in found.problems["90_01:kit_ml"]


@pytest.mark.parametrize(
    "change",
    [
        {"humanml3d": None},
        {"humanml3d": [{}]},
        {"humanml3d": {"a": 1}},
        {"humanml3d": [CUT | {"start_frame": "0"}]},
        {"humanml3d": [CUT | {"start_frame": -1}]},
        {"humanml3d": [CUT | {"end_frame": 1e99}]},
        {"humanml3d": [CUT | {"captions": "a person waves"}]},
        {"humanml3d": [CUT | {"captions": [None]}]},
        {"humanml3d": [CUT | {"trial": ""}]},
        {"kit_ml": [{"trial": "90_01"}]},
        {"kit_ml": [["90_01"]]},
        {"cmu": [{"trial": "90_01", "description": "walk", "seconds": "long"}]},
        {"cmu": [{"trial": "90_01", "description": "walk", "seconds": -1.0}]},
        {"cmu": [{"trial": "90_01", "description": 7}]},
    ],
)
def test_files_of_sentences_that_hold_something_else_are_told(change, tmp_path):
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(change))
    with pytest.raises(RequestError) as caught:
        read_sentences(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).replace(str(tmp_path), "")) < 200


@pytest.mark.parametrize("change", [{"end_frame": 10}, {"captions": []}, {"captions": ["  "]}])
def test_cuts_of_nothing_are_told(change, tmp_path):
    found = read_sentences(write_captions(tmp_path, humanml3d=[change]))
    assert found.cuts == {}
    assert set(found.problems) == {"90_01:000001"}


def write_official(folder: Path, rows, texts, test=()) -> Path:
    """HumanML3D's folder: rows of index.csv, texts by id, and the test list."""
    (folder / "texts").mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["source_path", "start_frame", "end_frame", "new_name"])
        writer.writerows(rows)
    for name, text in texts.items():
        (folder / "texts" / f"{name}.txt").write_text(text)
    (folder / "test.txt").write_text("\n".join(test))
    return folder


ROWS = [
    ("./pose_data/CMU/90/90_01_poses.npy", 5, 80, "000004.npy"),
    ("./pose_data/KIT/3/kick_high_left02_poses.npy", 0, 117, "000000.npy"),
    ("./pose_data/CMU/20_21_rory1/20_11_poses.npy", 0, 39, "000177.npy"),
    ("./pose_data/CMU/91/91_02_poses.npy", 0, 60, "000009.npy"),
]


def test_the_official_folder_gives_cuts_and_their_mirror_images(tmp_path):
    line = "a person turns left#a/DET person/NOUN turn/VERB left/ADV#0.0#0.0\n"
    texts = {"000004": line, "M000004": line.replace("left", "right"), "000000": line}
    texts["000009"] = "a person sits#a/DET person/NOUN sit/VERB#1.0#2.5\nbroken\n"
    folder = write_official(tmp_path / "h", ROWS, texts, test=["000009", "M000009"])
    found = read_sentences(None, folder)
    assert {t: [c.name for c in cuts] for t, cuts in found.cuts.items()} == {
        "90_01": ["000004", "M000004"],
        "91_02": ["000009"],
    }
    plain, mirrored = found.cuts["90_01"]
    assert (plain.start, plain.end, plain.mirrored, plain.test) == (5, 80, False, False)
    assert mirrored.mirrored and mirrored.captions[0].text == "a person turns right"
    assert mirrored.captions[0].tokens == "a/DET person/NOUN turn/VERB right/ADV"
    tagged = found.cuts["91_02"][0]
    assert tagged.test and (tagged.captions[0].start, tagged.captions[0].end) == (1.0, 2.5)
    assert list(found.problems) == [f"{folder}/texts/000009.txt:2"]


def test_a_cut_that_both_files_have_is_there_once(tmp_path):
    text = "a person waves#a/DET#0.0#0.0\n"
    folder = write_official(tmp_path / "h", ROWS[:1], {"000004": text, "M000004": text})
    path = write_captions(
        tmp_path,
        humanml3d=[
            {"id": "000004", "captions": ["other"], "captions_describe_the_mirrored_motion": True},
            {"id": "000005"},
        ],
    )
    found = read_sentences(path, folder)
    assert [cut.name for cut in found.cuts["90_01"]] == ["000004", "M000004", "000005"]
    assert found.cuts["90_01"][1].captions[0].text == "a person waves"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("./pose_data/CMU/90/90_01_poses.npy", "x", 80, "000004.npy"), "'start_frame' takes"),
        (("./pose_data/CMU/90/90_01_poses.npy", 80, 5, "000004.npy"), "no range of frames"),
        (("./pose_data/CMU/90/90_01_poses.npy", 5, -1, "000004.npy"), "'end_frame' takes"),
        (("./pose_data/CMU/90/90_01_poses.npy", 5, 80, "../../x.npy"), "new_name"),
        (("./pose_data/CMU/90/90_01_poses.npy",), "'start_frame' takes"),
    ],
)
def test_broken_rows_of_the_index_are_told_with_their_line(row, words, tmp_path):
    folder = write_official(tmp_path / "h", [ROWS[1], row], {})
    with pytest.raises(RequestError, match=rf"index\.csv:3: .*({words})"):
        read_sentences(None, folder)


def test_an_official_folder_without_its_parts_is_told(tmp_path):
    with pytest.raises(RequestError, match="no folder texts"):
        read_sentences(None, tmp_path)
    (tmp_path / "texts").mkdir()
    with pytest.raises(RequestError, match=r"index\.csv is missing"):
        read_sentences(None, tmp_path)
    (tmp_path / "index.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RequestError, match=r"index\.csv:1: no column 'source_path'"):
        read_sentences(None, tmp_path)


# -- trials --------------------------------------------------------------------------------------


def test_files_are_found_flat_and_in_the_official_layout(tmp_path, acclaim_figure):
    figure = acclaim_figure(frames=3)
    figure.write(tmp_path, "90_01", "90")
    figure.write(tmp_path / "subjects" / "7", "07_12", "07")
    figure.write(tmp_path / "subjects" / "7", "07_02", "07")
    figure.write_bvh(tmp_path / "bvh", "90_01")  # in both forms
    figure.write_bvh(tmp_path / "bvh", "91_01")
    figure.write_bvh(tmp_path / "more", "91_01")  # twice
    figure.write_bvh(tmp_path / "more", "walk")
    figure.write_bvh(tmp_path / "more", "17_03")  # known to be bad
    found, lost = find_trials(tmp_path)
    assert {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()} == {
        "07_02": "subjects/7/07_02.amc",
        "07_12": "subjects/7/07_12.amc",
        "90_01": "90_01.amc",
        "91_01": "bvh/91_01.bvh",
    }
    assert list(found) == ["07_02", "07_12", "90_01", "91_01"]
    assert list(lost) == ["more/17_03.bvh", "more/91_01.bvh", "more/walk.bvh"]
    assert "mislabelled" in lost["more/17_03.bvh"]
    assert "the same trial as" in lost["more/91_01.bvh"]
    assert "SUBJECT_TRIAL" in lost["more/walk.bvh"]


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"), [(None, 120, 41), (2.0, 120, 41), (4.0, 60, 81), (4.05, 60, 81)]
)
def test_the_rate_of_an_amc_file_is_checked_by_its_length(
    seconds, fps, frames, tmp_path, acclaim_figure
):
    path = acclaim_figure(frames=241).write(tmp_path)
    trial = read_trial("01_01", path, seconds)
    assert (trial.fps, trial.frames, trial.first) == (fps, frames, 0)
    assert len(trial.joints()[0]) == frames


@pytest.mark.parametrize("suffix", ["amc", "bvh"])
@pytest.mark.parametrize("seconds", [1.5, 3.0, 100.0])
def test_a_trial_of_another_length_than_its_line_says_is_told(
    suffix, seconds, tmp_path, acclaim_figure
):
    figure = acclaim_figure(frames=241)
    path = figure.write(tmp_path) if suffix == "amc" else figure.write_bvh(tmp_path)
    with pytest.raises(RequestError, match=rf"{path.name}: 2\.01 s long, its line says"):
        read_trial("01_01", path, seconds)


def test_a_conversion_begins_after_its_t_pose(tmp_path, acclaim_figure):
    figure = acclaim_figure(frames=121)
    path = figure.write_bvh(tmp_path)
    trial = read_trial("01_01", path)
    assert (trial.frames, trial.first) == (21, 0)
    motion = read_bvh(path)
    whole = bvh_to_joints(replace(motion, values=motion.values[1:]), fps=20.0)
    np.testing.assert_array_equal(trial.joints()[0], whole)


def test_a_bvh_file_without_a_t_pose_is_no_conversion(tmp_path, acclaim_figure):
    path = acclaim_figure(frames=61).write_bvh(tmp_path)
    lines = path.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("Frame Time")) + 1
    lines[first] = lines[first + 1]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RequestError, match="first frame is no T-pose"):
        read_trial("01_01", path).joints()


def test_other_joints_are_told(tmp_path, acclaim_figure):
    path = acclaim_figure(frames=3).write_bvh(tmp_path)
    path.write_text(path.read_text().replace("LeftUpLeg", "LeftHip"))
    with pytest.raises(RequestError, match=r"its joints \(Hips, .*\) are no cgspeed conversion's"):
        read_trial("01_01", path)


# -- the source ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, acclaim_figure) -> Path:
    """Three trials of 5 s as AMC, one of a second, and one of 3 s as a conversion."""
    root = tmp_path / "trials"
    for number in (1, 2, 3):
        acclaim_figure(frames=601, seed=number).write(root, f"90_0{number}", "90")
    acclaim_figure(frames=133, seed=4).write(root, "91_01", "91")
    acclaim_figure(frames=361, seed=5).write_bvh(root, "92_01")
    write_captions(
        root,
        humanml3d=[
            {},
            {"id": "000002", "trial": "90_02", "start_frame": 0, "end_frame": 45},
            {
                "id": "000003",
                "trial": "90_02",
                "start_frame": 20,
                "end_frame": 60,
                "captions": ["turns left", "goes left"],
                "captions_describe_the_mirrored_motion": True,
            },
            {"id": "000004", "trial": "90_03", "start_frame": 60, "end_frame": 150},
        ],
        kit_ml=[("90_01", "A person waves.")],
        cmu=[("90_01", "wave"), ("90_03", "walk"), ("91_01", "run"), ("92_01", "jump")],
    )
    return root


def test_every_piece_of_every_trial_is_listed(folder):
    source = CmuSource(folder)
    items = source.list_items()
    found = {
        item.id: (item.labels["captions"], item.labels["frames"], len(item.captions))
        for item in usable(items)
    }
    assert found == {
        "90_01@000001": ("humanml3d", "10-60", 1),
        "90_01": ("kit_ml", "60-101", 1),
        "90_02@000002": ("humanml3d", "0-45", 1),
        "90_02@M000003": ("humanml3d", "20-60", 2),
        "90_03": ("cmu", "0-101", 1),
        "91_01": ("cmu", "0-23", 1),
        "92_01": ("cmu", "0-61", 1),
    }
    assert problems(items) == {
        "90_03@000004": "a cut that is not in its trial: frames 60 to 150 of 101"
    }
    assert pickle.loads(pickle.dumps(source)).list_items() == items


def test_features_are_those_of_the_cut_and_of_its_mirror_image(folder):
    source = CmuSource(folder)
    items = usable(source.list_items())
    clips = {clip.id: clip for clip in source.load(items)}
    assert set(clips) == {item.id for item in items}
    joints = bvh_to_joints(read_acclaim(folder / "90_02.amc"), fps=20.0, up_axis="y")
    expected = {
        "90_02@000002": joints[0:45],
        "90_02@M000003": mirror_joints(torch.from_numpy(joints[20:60])).numpy(),
    }
    for name, cut in expected.items():
        features = joints_to_features(cut, shortest_turn=True)
        np.testing.assert_allclose(clips[name].features, features, atol=1e-5)
    assert [c.text for c in clips["90_02@M000003"].captions] == ["turns left", "goes left"]
    assert clips["90_02@M000003"].labels["mirrored"] == "yes"


def test_a_data_set_is_made_with_its_kinds_told_apart(folder, tmp_path):
    report = pack(CmuSource(folder), tmp_path / "out", workers=1)
    dataset = open_dataset(tmp_path / "out")
    assert sum(report.clips.values()) == 7
    assert [rejected.id for rejected in report.rejected] == ["90_03@000004"]
    counts = count_dataset(dataset)
    totals = {
        kind: (
            sum(row["clips"] for row in rows.values()),
            sum(row["sentences"] for row in rows.values()),
            round(3600 * 20 * sum(row["hours"] for row in rows.values())),
        )
        for kind, rows in counts.items()
    }
    assert totals == {
        "humanml3d": (3, 4, 49 + 44 + 39),
        "kit_ml": (1, 1, 40),
        "cmu": (3, 3, 100 + 22 + 60),
    }
    lines = table_lines(counts)
    assert lines[-1].split() == ["all", "7", "8", f"{(132 + 40 + 182) / 72000:.3f}"]
    assert len(lines) == 2 + sum(map(len, counts.values()))


def test_mirror_images_of_mirror_images_have_names_of_their_own(folder, tmp_path):
    source = CmuSource(folder, val=0.0)
    pack(source, tmp_path / "out", workers=1, mirror=True)
    dataset = open_dataset(tmp_path / "out")
    ids = [name for split in dataset.manifest.clips for name in dataset.split(split).ids]
    assert len(set(ids)) == len(ids) == 14
    train = dataset.split("train")
    texts = dict(zip(train.ids, train.captions, strict=True))
    assert texts["M90_02@M000003"] == ["turns right", "goes right"]


def test_a_trial_that_cannot_be_read_spoils_no_other(folder):
    (folder / "90_02.amc").write_text(":FULLY-SPECIFIED\n1\nroot 1 2 x 4 5 6\n101\n")
    text = (folder / "90_03.amc").read_text()
    (folder / "90_03.amc").write_text(text[: len(text) // 2] + "\n601\n")
    source = CmuSource(folder)
    loaded = load_items(source, source.list_items())
    good = {clip.id for clip in loaded if isinstance(clip, LoadedClip)}
    assert good == {"90_01@000001", "90_01", "91_01", "92_01"}
    told = {clip.id: clip.reason for clip in loaded if isinstance(clip, Rejected)}
    assert "90_03.amc:" in told["90_03"]


def test_a_recording_that_jumps_is_used_up_to_there(tmp_path, acclaim_figure):
    """A joint that is a metre away in the next recorded frame did not move there."""
    path = acclaim_figure(frames=601).write(tmp_path, "90_01", "90")
    lines = path.read_text().splitlines()
    frame = 0
    for n, line in enumerate(lines):
        frame = int(line) if line.isdigit() else frame
        words = line.split()
        if words[0] == "root" and frame > 433:  # frames 72 and 73 at 20 fps stand on both sides
            words[1] = str(float(words[1]) + 20)
            lines[n] = " ".join(words)
    path.write_text("\n".join(lines))
    write_captions(tmp_path, cmu=[("90_01", "walk")])
    source = CmuSource(tmp_path)
    items = source.list_items()
    (clip,) = source.load(items)
    assert clip.labels["frames"] == "0-73"
    assert clip.labels["broken"] == "a joint jumps in 0-101"
    joints = bvh_to_joints(read_acclaim(path), fps=20.0, up_axis="y")[:73]
    features = joints_to_features(joints, shortest_turn=True)
    np.testing.assert_allclose(clip.features, features, atol=1e-5)


def test_a_fast_motion_is_no_jump(tmp_path, acclaim_figure):
    path = acclaim_figure(frames=601).write(tmp_path, "90_01", "90")
    lines, frame = path.read_text().splitlines(), 0
    for n, line in enumerate(lines):
        frame = int(line) if line.isdigit() else frame
        words = line.split()
        if words[0] == "root":  # 24 m/s
            words[1] = str(float(words[1]) + min(frame, 300) * 0.2 / 0.0564)
            lines[n] = " ".join(words)
    path.write_text("\n".join(lines))
    assert read_trial("90_01", path).joints()[1] == []


# -- splits --------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path, acclaim_figure) -> Path:
    """Sixty trials of 2.5 s, half of them with a cut, some of them official test trials."""
    first = acclaim_figure(frames=301).write(tmp_path, "190_01", "190")
    for number in range(2, 61):
        shutil.copy(first, tmp_path / f"190_{number:02}.amc")
    for name in ("01_05", "02_06"):  # known to hold official test clips
        acclaim_figure(frames=301).write(tmp_path, name, name[:2])
    trials = [f"190_{number:02}" for number in range(1, 61)]
    write_captions(
        tmp_path,
        humanml3d=[
            {"id": f"{n:06}", "trial": t, "split": "test" if n % 10 == 0 else "train"}
            | {"end_frame": 80 if n == 10 else 50}  # one lies behind its trial, and still counts
            for n, t in enumerate(trials[:30])
        ],
        cmu=[(trial, "walk") for trial in (*trials, "01_05", "02_06")],
    )
    return tmp_path


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("val", [0.0, 0.05, 0.2])
def test_splits_are_of_whole_trials_and_official_ones_are_test(val, seed, many):
    items = usable(CmuSource(many, val=val, seed=seed).list_items())
    of_trial: dict[str, set] = {}
    for item in items:
        of_trial.setdefault(item.labels["trial"], set()).add(item.split)
    assert all(len(splits) == 1 for splits in of_trial.values())
    splits = {trial: next(iter(splits)) for trial, splits in of_trial.items()}
    test = {trial for trial, split in splits.items() if split == "test"}
    assert test == {"190_01", "190_11", "190_21", "01_05", "02_06"}
    assert abs(Counter(splits.values())["val"] - val * len(splits)) <= 2


def test_one_more_trial_moves_few_others(many, acclaim_figure):
    before = {i.labels["trial"]: i.split for i in usable(CmuSource(many, val=0.2).list_items())}
    acclaim_figure(frames=301).write(many, "192_01", "192")
    captions = json.loads((many / "captions.json").read_text())
    captions["cmu"].append({"trial": "192_01", "description": "walk"})
    (many / "captions.json").write_text(json.dumps(captions))
    after = {i.labels["trial"]: i.split for i in usable(CmuSource(many, val=0.2).list_items())}
    assert sum(after[trial] != split for trial, split in before.items()) <= 4


# -- folders that are not right ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"val": 0.7}, "'val' takes a number .* 0.5, got 0.7"),
        ({"val": -0.1}, "'val' takes a number .* 0, got -0.1"),
        ({"min_frames": 0}, "min_frames=0"),
    ],
)
def test_options_without_sense_are_told(options, words, tmp_path):
    with pytest.raises(RequestError, match=words):
        build("source", {"_target_": "cmu", "source": tmp_path, **options})


def test_a_folder_without_sentences_or_trials_is_told(folder, tmp_path):
    (folder / "captions.json").unlink()
    with pytest.raises(RequestError, match=r"no captions\.json, neither in it nor above"):
        CmuSource(folder).list_items()
    write_captions(folder.parent, cmu=[("90_99", "walk")])  # the folder above will do
    with pytest.raises(RequestError, match="none of 5 trials has a sentence"):
        CmuSource(folder).list_items()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RequestError, match="holds no trial of CMU's"):
        CmuSource(empty, captions=tmp_path / "captions.json").list_items()
    with pytest.raises(RequestError, match="is not a folder"):
        CmuSource(tmp_path / "captions.json").list_items()


def test_an_archive_is_unpacked(folder, tmp_path):
    import tarfile

    place = tmp_path / "packed"
    place.mkdir()
    with tarfile.open(place / "motions.tar.xz", "w:xz", preset=0) as tar:
        for path in folder.iterdir():
            tar.add(path, path.name)
    shutil.copy(folder / "captions.json", place)
    unpacked, packed = CmuSource(folder), CmuSource(place, cache=tmp_path / "cache")
    names = [item.id for item in unpacked.list_items()]
    assert [item.id for item in packed.list_items()] == names
    assert len(load_items(packed, packed.list_items())) == len(names)


# -- both forms of a motion ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_motion_in_both_forms_gives_features_that_agree(seed, tmp_path, acclaim_figure):
    """The conversion lacks the thorax's length, which moves what hangs on it by centimetres."""
    figure = acclaim_figure(frames=361, seed=seed)
    recorded = read_trial("01_01", figure.write(tmp_path / "amc")).joints()[0]
    converted = read_trial("01_01", figure.write_bvh(tmp_path / "bvh")).joints()[0]
    agree(recorded, converted, legs=0.03, others=0.1)


def agree(first: np.ndarray, second: np.ndarray, *, legs: float, others: float) -> None:
    """Two joints (frames, 22, 3) whose features say the same, with limits in metres."""
    rows = [joints_to_features(joints, shortest_turn=True) for joints in (first, second)]
    places = [features_to_joints(features) for features in rows]
    apart = np.linalg.norm(places[0] - places[1], axis=-1).mean(axis=0)
    lower = [n for n, name in enumerate(NAMES) if name.endswith(("hip", "knee", "ankle", "foot"))]
    assert apart[[0, *lower]].max() < legs
    assert apart.max() < others
    np.testing.assert_allclose(rows[0][:, 3], rows[1][:, 3], atol=legs)  # the root's height


CONVERTED = {
    "root": "Hips", "lowerback": "LowerBack", "upperback": "Spine", "thorax": "Spine1",
    "lowerneck": "Neck", "upperneck": "Neck1", "head": "Head",
    "lfemur": "LeftUpLeg", "ltibia": "LeftLeg", "lfoot": "LeftFoot", "ltoes": "LeftToeBase",
    "rfemur": "RightUpLeg", "rtibia": "RightLeg", "rfoot": "RightFoot", "rtoes": "RightToeBase",
    "lclavicle": "LeftShoulder", "lhumerus": "LeftArm", "lradius": "LeftForeArm",
    "lwrist": "LeftHand", "lhand": "LeftFingerBase", "lfingers": "LeftHandIndex1",
    "lthumb": "LThumb", "rclavicle": "RightShoulder", "rhumerus": "RightArm",
    "rradius": "RightForeArm", "rwrist": "RightHand", "rhand": "RightFingerBase",
    "rfingers": "RightHandIndex1", "rthumb": "RThumb",
}  # fmt: skip


@pytest.mark.parametrize("trial", ["35_01", "35_17", "35_34"])
def test_a_conversion_goes_back_into_its_skeletons_degrees_of_freedom(trial, cmu_folder, tmp_path):
    """The AMC file of a real conversion: turns outside ``dof`` are none, and the features agree."""
    skeleton = read_skeleton(cmu_folder / "35.asf")
    motion = read_bvh(cmu_folder / f"{trial}.bvh")
    motion = replace(motion, values=motion.values[1:])
    turns = local_rotations(motion)[..., [1, 2, 3, 0]]
    columns = {"root": motion.values[:, :3]}
    for bone in skeleton.bones:
        if not bone.dof:
            continue
        own = Rotation.identity()
        for axis, degrees in bone.axis:
            own = Rotation.from_euler(axis, degrees, degrees=True) * own
        local = Rotation.from_quat(turns[:, motion.names.index(CONVERTED[bone.name])])
        angles = (own.inv() * local * own).as_euler("xyz", degrees=True)
        free = [f"r{axis}" in bone.dof for axis in "xyz"]
        assert np.abs(angles[:, ~np.array(free)]).max(initial=0) < 0.01
        before = columns.get(bone.name, angles[:, :0])
        columns[bone.name] = np.concatenate([before, angles[:, free]], axis=1)
    lines = [":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(len(motion.values)):
        lines.append(str(frame + 1))
        lines += [f"{n} {' '.join(map(repr, v[frame].tolist()))}" for n, v in columns.items()]
    path = tmp_path / f"{trial}.amc"
    path.write_text("\n".join(lines))
    recorded = bvh_to_joints(read_acclaim(path, cmu_folder / "35.asf"))
    agree(recorded, bvh_to_joints(motion), legs=4e-3, others=0.025)


def test_one_person_in_both_forms_stands_alike(cmu_folder):
    """Subject 13 does jumping jacks as AMC, and in the conversion to a DAZ figure."""
    means = []
    for name in ("13_29.amc", "13_30.bvh", "13_31.bvh"):
        trial = read_trial(name[:5], cmu_folder / name)
        joints = trial.joints()[0][trial.first :]
        features = joints_to_features(joints, shortest_turn=True)
        places = features_to_joints(features)
        local = features[:, 4:67].reshape(len(features), 21, 3)
        upright = features[:, 3] > np.quantile(features[:, 3], 0.5)
        root = [[0, features[upright, 3].mean(), 0]]
        means.append(np.concatenate([root, local[upright].mean(axis=0)]))
        assert np.quantile(places[..., 1].min(axis=1), 0.5) < 0.06  # feet on the floor
    arms = [n for n, name in enumerate(NAMES) if name.endswith(("elbow", "wrist"))]
    body = [n for n in range(len(NAMES)) if n not in arms]
    for other in means[1:]:
        assert np.abs(means[0] - other)[body].max() < 0.07


# -- the shared trials ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(cmu_folder) -> list:
    return CmuSource(cmu_folder).list_items()


def test_the_shared_trials_are_in_but_for_six(shared):
    items = usable(shared)
    trials = {item.labels["trial"] for item in items}
    assert len(trials) == 361
    told = problems(shared)
    lost = {"17_03.amc", "07_12.bvh", "131_01", "131_02", "131_03", "93_06"}
    assert set(told) == lost | {"13_07:kit_ml"}
    kinds = Counter(item.labels["captions"] for item in items)
    assert kinds["humanml3d"] == 101
    assert sum(len(i.captions) for i in items if i.labels["captions"] == "humanml3d") == 300
    mirrored = [item for item in items if "mirrored" in item.labels]
    assert len(mirrored) == 18
    assert all(item.labels["humanml3d"].startswith("M") for item in mirrored)
    texts = [caption.text for item in items for caption in item.captions]
    assert not any("http" in text for text in texts)


def test_the_shared_trials_have_the_sentences_of_the_hour_that_comes_with_lead(shared):
    embedded = {item.id: item.captions for item in read_index()}
    assert {item.id: item.captions for item in usable(shared)} == embedded
    assert sum("lead" in item.labels for item in usable(shared)) == 421


def test_the_shared_test_trials_hold_the_official_ones(shared, sample_data):
    rows = csv.DictReader((sample_data / "humanml3d" / "index.csv").read_text().splitlines())
    test = set((sample_data / "humanml3d" / "test.txt").read_text().split())
    official = {
        Path(row["source_path"]).name.removesuffix("_poses.npy")
        for row in rows
        if "/CMU/" in row["source_path"] and row["new_name"].removesuffix(".npy") in test
    }
    splits = {}
    for item in usable(shared):
        splits.setdefault(item.labels["trial"], set()).add(item.split)
    assert all(len(names) == 1 for names in splits.values())
    assert {t for t, names in splits.items() if names == {"test"}} == official & set(splits)
    assert 0.03 < sum(names == {"val"} for names in splits.values()) / len(splits) < 0.07


@pytest.mark.parametrize(
    ("trial", "frames", "broken"),
    [("09_10", "1-22", True), ("16_28", "1-46", True), ("03_02", "9-61", True)],
)
def test_broken_beginnings_of_shared_trials_are_left_out(trial, frames, broken, shared, cmu_folder):
    """The first frames of 09_10, for one, lie at the origin."""
    items = [item for item in usable(shared) if item.labels["trial"] == trial]
    (clip,) = CmuSource(cmu_folder).load(items)
    assert (clip.labels["frames"], "broken" in clip.labels) == (frames, broken)
    joints = features_to_joints(clip.features)
    assert joints[:, 0, 1].min() > 0.6 and joints[:, 0, 1].max() < 1.25  # the pelvis


@pytest.mark.slow
def test_all_shared_trials_become_clips(cmu_folder, tmp_path):
    report = pack(CmuSource(cmu_folder), tmp_path / "out", workers=2)
    assert sum(report.clips.values()) == len(usable(CmuSource(cmu_folder).list_items()))
    assert len(report.rejected) == 7
    dataset = open_dataset(tmp_path / "out")
    hours = sum(row["hours"] for rows in count_dataset(dataset).values() for row in rows.values())
    assert 0.98 < hours < 1.03
    for name in dataset.manifest.clips:
        split = dataset.split(name)
        for place, labels in enumerate(split.labels):
            joints = features_to_joints(np.array(split.clip(place)))
            assert np.abs(np.diff(joints, axis=0)).max() < 1.0, labels  # 20 m/s
            assert abs(joints[..., 1].min()) < 0.1, labels


@pytest.mark.parametrize(
    ("trial", "low", "high"),
    [("02_01", 0.9, 1.6), ("16_15", 0.9, 1.6), ("16_33", 0.1, 1.1), ("16_55", 2.5, 4.5)],
)
def test_walks_and_runs_have_their_speed(trial, low, high, cmu_folder):
    """Metres a second on the ground, between the first and the last moving second."""
    joints, _ = read_trial(trial, cmu_folder / f"{trial}.amc").joints()
    root = joints[:, 0, [0, 2]]
    speed = np.linalg.norm(root[20:] - root[:-20], axis=-1).max() if len(root) > 20 else 0
    assert low < speed < high


@pytest.mark.parametrize(
    ("trial", "degrees"),
    [("16_17", 90), ("16_18", 90), ("16_19", -90), ("16_20", -90), ("16_21", 0)],
)
def test_turns_go_to_the_side_that_the_line_says(trial, degrees, cmu_folder):
    """90-degree turns to the left are positive about y, seen from above."""
    joints, _ = read_trial(trial, cmu_folder / f"{trial}.amc").joints()
    steps = np.diff(joints[:, 0, [0, 2]], axis=0)
    headings = [np.arctan2(*part.sum(axis=0)) for part in (steps[3:15], steps[-15:-3])]
    turned = np.degrees(np.angle(np.exp(1j * (headings[1] - headings[0]))))
    assert abs(turned - degrees) < 25


def test_pieces_without_sentences_are_none(acclaim_figure):
    trial = Trial("90_01", Path("90_01.amc"), 300)
    assert list(pieces_of(trial, Sentences())) == []
    sentences = Sentences()
    sentences.add_cut(Cut("1", "90_01", 0, 100, (Caption("a"),)))
    assert [piece.id for piece in pieces_of(trial, sentences)] == ["90_01@1"]


def test_windows_follow_each_other_without_a_gap():
    windows = list(windows_between(1, 1001, []))
    assert all(before[1] == after[0] for before, after in pairwise(windows))
