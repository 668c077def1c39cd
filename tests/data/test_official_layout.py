"""HumanML3D and KIT-ML in their official layout, on small folders that the tests write."""

import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lead.core.building import build
from lead.core.errors import LeadError, RequestError
from lead.data.loading import load_items
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.source import Caption, LoadedClip, Rejected
from lead.data.sources.humanml3d import HumanML3DSource
from lead.data.sources.kitml import KitMlSource
from lead.representation import features_to_joints

LINE = "a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\n"
WIDTH = {HumanML3DSource: 263, KitMlSource: 251}


@dataclass
class Folder:
    """An official folder in the making."""

    path: Path
    width: int

    def motion(self, name: str, frames: int = 60, dtype=np.float32) -> np.ndarray:
        """Write a motion whose entries tell clip, frame and column apart; returns it."""
        rows = np.arange(frames)[:, None] + np.linspace(0, 0.5, self.width)[None]
        features = (rows + sum(map(ord, name))).astype(dtype)
        np.save(self.path / "new_joint_vecs" / f"{name}.npy", features)
        return features

    def clip(self, name: str, frames: int = 60, text: str = LINE, split: str = "train"):
        """Write a motion with its text and list it."""
        self.text(name, text)
        with (self.path / f"{split}.txt").open("a") as stream:
            stream.write(f"{name}\n")
        return self.motion(name, frames)

    def text(self, name: str, text: str) -> None:
        (self.path / "texts" / f"{name}.txt").write_text(text)


def make_folder(path: Path, width: int) -> Folder:
    folder = Folder(path, width)
    for part in ("new_joint_vecs", "texts"):
        (path / part).mkdir(parents=True)
    np.save(path / "Mean.npy", np.linspace(-1, 1, width))
    np.save(path / "Std.npy", np.linspace(0.5, 2, width))
    folder.clip("000000", split="train")
    folder.clip("000001", split="val")
    folder.clip("000002", split="test")
    return folder


@pytest.fixture
def human(tmp_path) -> Folder:
    return make_folder(tmp_path / "HumanML3D", 263)


@pytest.fixture
def kit(tmp_path) -> Folder:
    return make_folder(tmp_path / "KIT-ML", 251)


def load(source) -> tuple[dict[str, LoadedClip], list[Rejected]]:
    items = source.list_items()
    results = load_items(source, items)
    assert len(results) == len(items)
    clips = {result.id: result for result in results if isinstance(result, LoadedClip)}
    return clips, [result for result in results if isinstance(result, Rejected)]


@pytest.mark.parametrize("source_class", [HumanML3DSource, KitMlSource])
def test_reads_features_captions_splits_and_statistics(tmp_path, source_class):
    width = WIDTH[source_class]
    folder = make_folder(tmp_path / "data", width)
    written = folder.clip("M000007", 50, "turns left#turn/VERB left/ADV#0.0#0.0\r\n\r\nwaves##0#0")
    source = source_class(folder.path)
    clips, rejected = load(source)
    assert rejected == []
    assert {name: clip.split for name, clip in clips.items()} == {
        "000000": "train",
        "000001": "val",
        "000002": "test",
        "M000007": "train",
    }
    clip = clips["M000007"]
    assert clip.features.dtype == np.float32
    np.testing.assert_array_equal(clip.features, written)
    assert clip.captions == (Caption("turns left", "turn/VERB left/ADV"), Caption("waves"))
    mean, std = source.statistics()
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean, np.linspace(-1, 1, width), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(std, np.linspace(0.5, 2, width), rtol=1e-6)
    assert pickle.loads(pickle.dumps(source)) == source


def test_the_two_data_sets_differ_as_published():
    human, kit = HumanML3DSource("x"), KitMlSource("x")
    assert (human.min_frames, human.max_frames, human.fps, human.skeleton) == (
        *(40, 199, 20.0),
        "humanml3d",
    )
    assert (kit.min_frames, kit.max_frames, kit.fps, kit.skeleton) == (24, 199, 12.5, "kit")
    assert human.long_clips == kit.long_clips == "drop"


@pytest.mark.parametrize(
    ("source_class", "frames", "kept"),
    [
        *((HumanML3DSource, 39, False), (HumanML3DSource, 40, True)),
        *((HumanML3DSource, 199, True), (HumanML3DSource, 200, False)),
        *((KitMlSource, 23, False), (KitMlSource, 24, True)),
        *((KitMlSource, 199, True), (KitMlSource, 200, False)),
    ],
)
def test_length_limits(tmp_path, source_class, frames, kept):
    folder = make_folder(tmp_path / "data", WIDTH[source_class])
    folder.clip("000009", frames)
    clips, rejected = load(source_class(folder.path))
    assert ("000009" in clips) == kept
    assert [(r.id, f"{frames} frames" in r.reason) for r in rejected] == (
        [] if kept else [("000009", True)]
    )


def test_long_clips_are_left_to_the_packer_where_they_are_split(human):
    human.clip("000009", 500)
    clips, rejected = load(HumanML3DSource(human.path, long_clips="split"))
    assert len(clips["000009"].features) == 500
    assert rejected == []


def test_only_the_named_splits_are_read(human):
    (human.path / "train.txt").unlink()
    items = HumanML3DSource(human.path, splits=["test"]).list_items()
    assert [(item.id, item.split) for item in items] == [("000002", "test")]


@pytest.mark.parametrize(
    ("tags", "start", "end"),
    [
        ("0.0#0.0", 0.0, 0.0),
        ("nan#nan", 0.0, 0.0),
        ("NaN#0", 0.0, 0.0),
        ("1.5#6", 1.5, 6.0),
        ("0#4.25", 0.0, 4.25),
        ("nan#3", 0.0, 3.0),
    ],
)
def test_time_tags_in_seconds(human, tags, start, end):
    human.clip("000009", text=f"turns#turn/VERB#{tags}\n")
    clips, _ = load(HumanML3DSource(human.path))
    assert clips["000009"].captions == (Caption("turns", "turn/VERB", start, end),)


def test_kit_tags_count_twenty_frames_a_second_too(kit):
    kit.clip("000009", text="turns#turn/VERB#1#4\n")
    (caption,) = load(KitMlSource(kit.path))[0]["000009"].captions
    assert (caption.start * 12.5, caption.end * 12.5) == pytest.approx((20, 80))


def test_packed_segments_follow_the_official_rule(human, tmp_path):
    mixed = human.clip(
        "000010", 120, "walks#walk/VERB#0.0#0.0\nturns#turn/VERB#1.0#4.5\nhops#hop/VERB#0#1.9\n"
    )
    tagged = human.clip("000011", 100, "sits#sit/VERB#2.0#5.0\n")
    human.clip("000012", 260, "lies#lie/VERB#0.0#5.0\n")
    output = tmp_path / "packed"
    report = pack(HumanML3DSource(human.path), output, workers=1)
    train = open_dataset(output).split("train")
    clips = {
        captions[0]: (train.clip(place), captions) for place, captions in enumerate(train.captions)
    }
    assert sorted(clips) == ["a person walks", "sits", "turns", "walks"]
    np.testing.assert_array_equal(clips["walks"][0], mixed)
    assert clips["walks"][1] == ["walks"]
    np.testing.assert_array_equal(clips["turns"][0], mixed[20:90])
    np.testing.assert_array_equal(clips["sits"][0], tagged[40:100])
    assert len(train) == 4
    reasons = [rejected.reason for rejected in report.rejected]
    assert any("38 frames" in reason for reason in reasons)  # "hops" is too short
    assert any("260 frames" in reason for reason in reasons)  # the whole file decides first
    assert len(reasons) == 2


def test_packed_statistics_are_the_official_ones(kit, tmp_path):
    pack(KitMlSource(kit.path), tmp_path / "packed", workers=1)
    for name in ("Mean", "Std"):
        official = np.load(kit.path / f"{name}.npy").astype(np.float32)
        np.testing.assert_array_equal(np.load(tmp_path / "packed" / f"{name}.npy"), official)


def test_kit_features_stay_millimetres_and_joints_are_metres(kit):
    features = np.zeros((30, 251), dtype=np.float32)
    features[:, 3] = 600.0  # root height
    features[:, 4 + 3 * 3 + 1] = 800.0  # height of joint 4, the head
    kit.clip("000009")
    np.save(kit.path / "new_joint_vecs" / "000009.npy", features)
    loaded = load(KitMlSource(kit.path))[0]["000009"].features
    np.testing.assert_array_equal(loaded, features)
    joints = features_to_joints(loaded, skeleton="kit")
    np.testing.assert_allclose(joints[:, 0, 1], 0.6, rtol=1e-5)
    np.testing.assert_allclose(joints[:, 4, 1], 0.8, rtol=1e-5)


@pytest.mark.parametrize("name", ["007975", "M007975"])
def test_the_known_nan_clips_are_skipped_and_reported(human, name):
    human.clip(name)  # finite here: the id alone decides
    clips, rejected = load(HumanML3DSource(human.path))
    assert name not in clips
    assert [(r.id, "NaN" in r.reason) for r in rejected] == [(name, True)]


def test_float64_is_read_and_what_overflows_float32_is_not(human):
    human.clip("000008")
    human.motion("000008", dtype=np.float64)
    human.clip("000009")
    values = human.motion("000009", dtype=np.float64)
    values[3, 4] = 1e300
    np.save(human.path / "new_joint_vecs" / "000009.npy", values)
    clips, rejected = load(HumanML3DSource(human.path))
    assert clips["000008"].features.dtype == np.float32
    assert [(r.id, "not finite" in r.reason) for r in rejected] == [("000009", True)]


def _array(values):
    return lambda path: np.save(path, values, allow_pickle=True)


def _not_finite(value):
    features = np.zeros((60, 263), dtype=np.float32)
    features[-1, -1] = value
    return _array(features)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _lying_header(path: Path) -> None:
    """Claim 10^12 frames: reading must not ask for that much memory."""
    np.save(path, np.zeros((60, 263), dtype=np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"(60, 263), }           ", b"(1000000000000, 263), }", 1))


BAD_MOTIONS = {
    "nan": (_not_finite(np.nan), "not finite"),
    "infinity": (_not_finite(-np.inf), "not finite"),
    "width": (_array(np.zeros((60, 251), np.float32)), "(60, 251), expected (frames, 263)"),
    "one axis": (_array(np.zeros(263, np.float32)), "(263,), expected (frames, 263)"),
    "three axes": (
        _array(np.zeros((1, 60, 263), np.float32)),
        "(1, 60, 263), expected",
    ),
    "no frames": (_array(np.zeros((0, 263), np.float32)), ""),
    "objects": (_array(np.full((60, 263), None)), "Python objects"),
    "integers": (_array(np.zeros((60, 263), np.int64)), "int64"),
    "strings": (_array(np.full((60, 263), "x")), "of a floating-point type"),
    "complex": (_array(np.zeros((60, 263), np.complex64)), "complex64"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps([1])), "Python objects"),
    "empty file": (lambda path: path.write_bytes(b""), "not a whole .npy"),
    "text": (lambda path: path.write_text("1 2 3"), "Python objects"),
    "truncated": (_truncate, "not a whole .npy"),
    "lying header": (_lying_header, "not a whole .npy"),
    "archive": (lambda path: np.savez(path.open("wb"), a=np.zeros(3)), "archive"),
    "missing": (lambda path: path.unlink(), "missing"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
}


@pytest.mark.parametrize("kind", BAD_MOTIONS)
def test_a_bad_motion_is_reported_and_stops_nothing(human, kind):
    spoil, words = BAD_MOTIONS[kind]
    human.clip("000009")
    path = human.path / "new_joint_vecs" / "000009.npy"
    spoil(path)
    clips, rejected = load(HumanML3DSource(human.path))
    assert sorted(clips) == ["000000", "000001", "000002"]
    assert [(r.id, r.path) for r in rejected] == [("000009", str(path))]
    assert words in rejected[0].reason
    assert "\n" not in rejected[0].reason


BAD_LINES = {
    "no marks": ("walks", "malformed line"),
    "too few fields": ("walks#walk/VERB#0.0", "malformed line"),
    "empty caption": ("  #walk/VERB#0.0#0.0", "empty caption"),
    "word tags": ("walks#walk/VERB#start#end", "'start' is not a number"),
    "no tag": ("walks#walk/VERB#0.0#", "'' is not a number"),
    "infinite tag": ("walks#walk/VERB#0.0#inf", "not finite"),
    "negative tag": ("walks#walk/VERB#-1.0#2.0", "no time range"),
    "reversed tags": ("walks#walk/VERB#3.0#2.0", "no time range"),
    "token without tag": ("walks#walk#0.0#0.0", "'walk', expected word/POS"),
    "token with two tags": ("walks#walk/VERB/X#0.0#0.0", "expected word/POS"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_reported_with_its_number_and_the_others_stay(human, kind):
    line, words = BAD_LINES[kind]
    human.clip("000009", text=f"{LINE}{line}\n{LINE}")
    clips, rejected = load(HumanML3DSource(human.path))
    assert [caption.text for caption in clips["000009"].captions] == ["a person walks"] * 2
    place = f"{human.path / 'texts' / '000009.txt'}:2"
    assert [(r.id, r.path) for r in rejected] == [("000009", place)]
    assert words in rejected[0].reason


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "missing"), (b"", "empty"), (b"\n \n", "empty"), (b"\xff\xfe\x00", "UTF-8")],
)
def test_a_clip_without_captions_is_reported(human, content, words):
    human.clip("000009")
    path = human.path / "texts" / "000009.txt"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    clips, rejected = load(HumanML3DSource(human.path))
    assert "000009" not in clips
    assert [(r.id, r.path, words in r.reason) for r in rejected] == [("000009", str(path), True)]


def test_a_hash_in_a_caption_is_part_of_it(human):
    human.clip("000009", text="walks a #8#walk/VERB#0.0#0.0\n")
    (caption,) = load(HumanML3DSource(human.path))[0]["000009"].captions
    assert caption.text == "walks a #8"


def test_an_id_in_two_splits_is_reported_and_stays_in_the_later_one(human):
    with (human.path / "train.txt").open("a") as stream:
        stream.write("000002\n000000\n")
    clips, rejected = load(HumanML3DSource(human.path))
    assert clips["000002"].split == "test"
    assert clips["000000"].split == "train"
    assert sorted((r.id, r.path.rpartition("/")[2], r.reason) for r in rejected) == [
        ("000000", "train.txt:1", "listed again in train.txt: kept there"),
        ("000002", "train.txt:2", "listed again in test.txt: kept there"),
    ]


@pytest.mark.parametrize("name", ["../000000", "/etc/passwd", "..", "a b", "x/../000000"])
def test_an_id_never_leads_out_of_the_folder(human, name):
    with (human.path / "train.txt").open("a") as stream:
        stream.write(f"{name}\n")
    clips, rejected = load(HumanML3DSource(human.path))
    assert len(clips) == 3
    assert [(r.id, r.path.rpartition("/")[2]) for r in rejected] == [(name, "train.txt:2")]


def _save(name, values):
    return lambda path: np.save(path / name, values, allow_pickle=True)


def _drop_motions(path: Path) -> None:
    for motion in (path / "new_joint_vecs").iterdir():
        motion.unlink()


BAD_FOLDERS = {
    "no folder": (shutil.rmtree, "does not exist"),
    "no motions folder": (
        lambda p: shutil.rmtree(p / "new_joint_vecs"),
        "no folder new_joint_vecs",
    ),
    "no texts folder": (lambda p: shutil.rmtree(p / "texts"), "no folder texts"),
    "no list": (lambda p: (p / "val.txt").unlink(), "no split list val.txt"),
    "empty list": (lambda p: (p / "val.txt").write_text("\n"), "val.txt lists no clips"),
    "binary list": (lambda p: (p / "val.txt").write_bytes(b"\xff\xfe\xff"), "val.txt is not UTF-8"),
    "no mean": (lambda p: (p / "Mean.npy").unlink(), "Mean.npy is missing"),
    "no std": (lambda p: (p / "Std.npy").unlink(), "Std.npy is missing"),
    "other data set": (_save("Mean.npy", np.zeros(251)), "skeleton 'kit'"),
    "mean of two axes": (_save("Mean.npy", np.zeros((1, 263))), "(1, 263), expected (263,)"),
    "std with zeros": (_save("Std.npy", np.eye(263)[0]), "entry 1 is 0"),
    "std below zero": (_save("Std.npy", -np.ones(263)), "entry 0 is -1"),
    "std not finite": (_save("Std.npy", np.full(263, np.nan)), "not finite"),
    "std of objects": (_save("Std.npy", np.full(263, None)), "Python objects"),
    "nothing left": (_drop_motions, "none of the 3 listed clips"),
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_a_wrong_folder_is_one_clear_line(human, kind):
    spoil, words = BAD_FOLDERS[kind]
    spoil(human.path)
    with pytest.raises(RequestError) as caught:
        HumanML3DSource(human.path).list_items()
    assert words in str(caught.value)
    assert str(human.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hints_for_an_archive_and_for_the_folder_above(human):
    with pytest.raises(RequestError, match=r"did you mean source=.*HumanML3D\?"):
        HumanML3DSource(human.path.parent).list_items()
    shutil.rmtree(human.path / "texts")
    (human.path / "texts.zip").write_bytes(b"")
    with pytest.raises(RequestError, match=r"unpack texts\.zip first"):
        HumanML3DSource(human.path).list_items()


@pytest.mark.parametrize(
    "options",
    [
        {"source": ""},
        {"source": None},
        {"splits": "train"},
        {"splits": []},
        {"min_frames": 0},
        {"min_frames": 300},
        {"long_clips": "crop"},
    ],
)
@pytest.mark.parametrize("source", ["humanml3d", "kitml"])
def test_wrong_options_are_refused(source, options):
    with pytest.raises(RequestError, match="|".join(options)):
        build("source", {"_target_": source, "source": "x", **options})


def test_a_split_name_never_leads_out_of_the_folder(human):
    with pytest.raises(RequestError, match="no split list"):
        HumanML3DSource(human.path, splits=["../secret"]).list_items()


def test_a_folder_whose_every_motion_is_bad_cannot_be_packed(human, tmp_path):
    for name in ("000000", "000001", "000002"):
        human.motion(name, frames=10)
    with pytest.raises(LeadError, match="10 frames"):
        pack(HumanML3DSource(human.path), tmp_path / "packed", workers=1)
    assert not (tmp_path / "packed").exists()


def test_describe_counts(human):
    human.clip("M000009", 80, f"{LINE}turns##1.0#3.5\n{LINE}bad line\n", split="test")
    human.clip("007975", split="test")
    source = HumanML3DSource(human.path)
    seen = source.describe(source.list_items())
    assert seen["clips per split"] == {"train": 1, "val": 1, "test": 2}
    assert seen["captions"] == 6
    assert seen["captions per clip"] == {"min": 1, "mean": 1.5, "max": 3}
    assert seen["tagged segments"] == 1
    assert seen["captions with POS tags"] == 5
    assert seen["mirrored clips"] == 1
    assert seen["frames, sampled"] == {"clips": 4, "min": 60, "median": 60, "max": 80}
    assert (seen["unit"], seen["fps"], seen["skeleton"]) == ("metres", 20.0, "humanml3d")
    assert sum(seen["problems"].values()) == 2


def test_describe_says_millimetres_for_kit(kit):
    source = KitMlSource(kit.path)
    seen = source.describe(source.list_items())
    assert (seen["unit"], seen["fps"], seen["skeleton"]) == ("millimetres", 12.5, "kit")


@pytest.mark.parametrize(
    ("name", "source_class"), [("humanml3d", HumanML3DSource), ("kitml", KitMlSource)]
)
def test_the_config_states_the_published_rules(name, source_class):
    import yaml

    from lead.core.building import build

    path = Path(__file__).parents[2] / "configs" / "data" / f"{name}.yaml"
    built = build("source", yaml.safe_load(path.read_text()), source="x")
    assert isinstance(built, source_class)
    assert (built.min_frames, built.max_frames) == ({"humanml3d": 40, "kitml": 24}[name], 199)
    assert (list(built.splits), built.long_clips) == (["train", "val", "test"], "drop")


def test_the_real_humanml3d_files(sample_data, tmp_path):
    """The published lists and statistics with the two public clips; the other ids are reported."""
    folder = tmp_path / "HumanML3D"
    shutil.copytree(sample_data / "humanml3d", folder)
    (folder / "texts").mkdir()
    for name in ("000612", "012314"):
        (folder / "texts" / f"{name}.txt").write_text(LINE)
    source = HumanML3DSource(folder)
    items = source.list_items()
    assert len({item.id for item in items}) == len(items) == 23384 + 1460 + 4384
    usable = [item for item in items if not item.labels]
    clips = {result.id: result for result in source.load(usable)}
    assert {name: clip.features.shape for name, clip in clips.items()} == {
        "000612": (199, 263),
        "012314": (170, 263),
    }
    for name, clip in clips.items():
        assert name in (folder / f"{clip.split}.txt").read_text().split()
    nan = [item for item in items if item.id in ("007975", "M007975")]
    assert all(isinstance(r, Rejected) and "NaN" in r.reason for r in load_items(source, nan))


def test_the_real_kit_lists_and_annotations_in_official_form(sample_data, tmp_path):
    """KIT-ML's lists and texts written out in the official layout: the counts of the field."""
    import json

    folder = make_folder(tmp_path / "KIT-ML", 251)
    for split in ("train", "val", "test"):
        shutil.copy(sample_data / "kit-ml" / f"{split}.txt", folder.path / f"{split}.txt")
    entries = json.loads((sample_data / "kit-ml" / "annotations.json").read_text())
    for name, entry in entries.items():
        lines = [f"{part['text']}##0.0#0.0" for part in entry["annotations"]]
        folder.text(name, "\n".join(lines))
        (folder.path / "new_joint_vecs" / f"{name}.npy").touch()
    source = KitMlSource(folder.path)
    seen = source.describe(source.list_items())
    assert seen["clips per split"] == {"train": 4688, "val": 292, "test": 786}
    assert (seen["captions"], seen["mirrored clips"]) == (12164, 2883)
    assert (seen["problems"], seen["tagged segments"]) == ({}, 0)
