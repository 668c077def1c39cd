"""From a source to a packed dataset and back, by a source that holds its clips in memory."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import LeadError, RequestError, WorkError
from lead.data.contents import STAMPS
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.source import Caption, Item, LoadedClip, Rejected, Source
from lead.representation import get_skeleton, joints_to_features
from lead.representation.normalizer import feature_statistics

WALK = (Caption("a person walks", "a/DET person/NOUN walk/VERB"),)


def features(frames: int, seed: int = 0, width: int = 263) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, width)).astype(np.float32)


def clip(name: str, frames: int, seed: int = 0, split: str = "train", captions=WALK, **labels):
    return LoadedClip(name, split, features(frames, seed), tuple(captions), labels)


@dataclass(frozen=True)
class MemorySource:
    """Clips that are there already. An entry that is an error is raised when it is loaded."""

    entries: tuple = ()
    name: str = "memory"
    skeleton: str = "humanml3d"
    fps: float = 20.0
    licence: str = "CC0"
    min_frames: int = 4
    max_frames: int = 10
    long_clips: str = "drop"
    own_statistics: tuple | None = None
    loads: list = field(default_factory=list)

    def list_items(self) -> list[Item]:
        return [
            Item(getattr(entry, "id", f"broken{place}"), Path(f"{place}.npy"), "train")
            for place, entry in enumerate(self.entries)
        ]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        self.loads.append(len(items))
        entries = [self.entries[int(item.path.stem)] for item in items]
        for entry in entries:
            if isinstance(entry, BaseException):
                raise entry
        return entries[::-1]  # in any order, says the protocol

    def statistics(self):
        return self.own_statistics

    def describe(self, items):
        return {}


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "datasets" / "memory"


def packed(source: MemorySource, output: Path, **options):
    report = pack(source, output, workers=1, **options)
    return report, open_dataset(output)


def leftovers(output: Path) -> list[str]:
    return sorted(entry.name for entry in output.parent.glob("*"))


def fails_with(kind: type, action, *words: object) -> None:
    with pytest.raises(kind) as error:
        action()
    assert "\n" not in str(error.value)
    for word in words:
        assert str(word) in str(error.value)


# ---- what goes in comes out --------------------------------------------------------------------


def test_clips_come_back_as_they_were(output):
    entries = (
        clip("b", 6, 1, content="walk", style="happy"),
        clip("a", 10, 2, captions=(Caption("one"), Caption("zwei ü", "zwei/NUM"))),
        clip("c", 4, 3, split="test"),
    )
    source = MemorySource(entries)
    assert isinstance(source, Source)
    report, dataset = packed(source, output)
    train = dataset.split("train")
    assert len(train) == 2
    assert train.ids == ["b", "a"]  # in the order of the source's list
    for place, entry in enumerate(entries[:2]):
        np.testing.assert_array_equal(train.clip(place), entry.features)
    assert train.captions == [["a person walks"], ["one", "zwei ü"]]
    assert train.tokens == [["a/DET person/NOUN walk/VERB"], ["", "zwei/NUM"]]
    assert train.labels == [{"content": "walk", "style": "happy"}, {}]
    np.testing.assert_array_equal(dataset.split("test").clip(0), entries[2].features)
    assert report.clips == {"train": 2, "test": 1}
    assert report.frames == {"train": 16, "test": 4}
    assert report.rejected == []
    assert (dataset.fps, dataset.skeleton) == (20.0, get_skeleton("humanml3d"))
    assert dataset.manifest.licence == "CC0"
    assert leftovers(output) == ["memory"]


def test_features_are_mapped_from_the_file_and_not_copied(output):
    _, dataset = packed(MemorySource((clip("a", 6), clip("b", 5, 1))), output)
    split = dataset.split("train")
    assert isinstance(split.features, np.memmap)
    assert split.features.dtype == np.float32
    one = split.clip(1)
    assert np.shares_memory(one, split.features)
    assert not one.flags.writeable
    assert Path(split.features.filename) == (output / "train.npy").resolve()


def test_other_number_types_are_stored_in_single_precision(output):
    entry = replace(clip("a", 6), features=features(6).astype(np.float64)[:, ::-1])
    _, dataset = packed(MemorySource((entry,)), output)
    np.testing.assert_array_equal(dataset.split("train").clip(0), entry.features.astype("f4"))


def test_kit_clips_have_their_own_width(output):
    entry = replace(clip("a", 6), features=features(6, width=251))
    _, dataset = packed(MemorySource((entry,), skeleton="kit", fps=12.5), output)
    assert dataset.split("train").clip(0).shape == (6, 251)
    assert (dataset.skeleton.name, dataset.fps) == ("kit", 12.5)


# ---- lengths, windows, segments ----------------------------------------------------------------


def test_limits_are_inclusive_and_what_is_outside_is_reported(output):
    entries = tuple(clip(f"f{frames}", frames, frames) for frames in (3, 4, 10, 11))
    report, dataset = packed(MemorySource(entries), output)
    assert dataset.split("train").ids == ["f4", "f10"]
    assert {rejected.id: rejected.reason for rejected in report.rejected} == {
        "f3": "3 frames, outside 4..10: left out",
        "f11": "11 frames, outside 4..10: left out",
    }
    assert len(dataset.split("train").features) == 14  # the others take no room
    assert dataset.manifest.left_out == 2


@pytest.mark.parametrize("frames", [11, 20, 21, 25, 39, 40])
def test_long_clips_become_windows_without_a_gap(output, frames):
    entry = clip("long", frames, captions=(*WALK, Caption("again")), style="old")
    report, dataset = packed(MemorySource((entry,), long_clips="split"), output)
    split = dataset.split("train")
    pieces = -(-frames // 10)
    assert split.ids == [f"long#{piece}" for piece in range(pieces)]
    assert max(split.frames) - min(split.frames) <= 1
    assert max(split.frames) <= 10
    joined = np.concatenate([split.clip(place) for place in range(len(split))])
    np.testing.assert_array_equal(joined, entry.features)
    assert split.captions == [["a person walks", "again"]] * pieces
    assert split.labels == [{"style": "old"}] * pieces
    assert report.rejected == []


def test_a_clip_at_the_limit_is_not_split(output):
    _, dataset = packed(MemorySource((clip("whole", 10),), long_clips="split"), output)
    assert dataset.split("train").ids == ["whole"]


def test_windows_that_are_too_short_are_reported(output):
    source = MemorySource((clip("long", 11), clip("short", 10)), long_clips="split", min_frames=7)
    report, dataset = packed(source, output)
    assert dataset.split("train").ids == ["short"]
    assert [rejected.id for rejected in report.rejected] == ["long#0", "long#1"]


def test_tagged_captions_are_clips_of_their_own(output):
    captions = (
        *WALK,
        Caption("then waves", "wave/VERB", start=0.1, end=0.4),  # frames 2 to 8
        Caption("and stops", start=0.25, end=9.0),  # up to the end
    )
    report, dataset = packed(MemorySource((clip("a", 10, captions=captions),)), output)
    split = dataset.split("train")
    assert split.ids == ["a", "a@1", "a@2"]
    assert split.captions == [["a person walks"], ["then waves"], ["and stops"]]
    assert split.tokens[1] == ["wave/VERB"]
    whole = features(10)
    for place, (begin, end) in enumerate([(0, 10), (2, 8), (5, 10)]):
        np.testing.assert_array_equal(split.clip(place), whole[begin:end])
    assert len(split.features) == 10  # stored once
    assert report.frames == {"train": 10}
    assert report.rejected == []


def test_segments_outside_the_limits_are_reported_and_spoil_nothing(output):
    captions = (
        *(*WALK, Caption("blinks", start=0.0, end=0.1)),
        *(Caption("later", start=3.0, end=4.0), Caption("backwards", start=0.4, end=0.1)),
    )
    report, dataset = packed(MemorySource((clip("a", 10, captions=captions),)), output)
    assert dataset.split("train").ids == ["a"]
    assert [rejected.reason.split(",")[0] for rejected in report.rejected] == [
        *("2 frames", "0 frames", "0 frames")
    ]


def test_a_clip_with_tagged_captions_alone_has_no_whole(output):
    captions = (Caption("then waves", start=0.1, end=0.4),)
    _, dataset = packed(MemorySource((clip("a", 10, captions=captions),)), output)
    assert dataset.split("train").ids == ["a@0"]


# ---- mirror images -----------------------------------------------------------------------------


def moving_clip(name: str, split: str = "train") -> LoadedClip:
    """A figure of the right proportions that turns left and moves its right arm alone."""
    skeleton = get_skeleton("humanml3d")
    offsets = skeleton.reference_offsets().numpy()
    angles = np.linspace(0, 1, 10)
    joints = np.zeros((10, 22, 3))
    for joint in range(1, 22):
        joints[:, joint] = joints[:, skeleton.parents[joint]] + offsets[joint]
    joints[:, 21, 2] += 0.3 * angles  # the right wrist
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y, z = np.moveaxis(joints, -1, 0)
    joints = np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=-1)
    captions = (Caption("turns left", "turn/VERB left/ADV"), Caption("right arm", end=0.4))
    features = joints_to_features(joints).astype(np.float32)
    return LoadedClip(name, split, features, captions, {"side": "left", "style": "calm"})


def test_mirror_images_of_the_training_clips_are_added(output):
    entries = (moving_clip("a"), moving_clip("t", split="test"))
    report, dataset = packed(MemorySource(entries), output, mirror=True)
    train = dataset.split("train")
    assert train.ids == ["a", "a@1", "Ma", "Ma@1"]
    assert report.clips == {"train": 4, "test": 2}
    assert train.captions[2:] == [["turns right"], ["left arm"]]
    assert train.tokens[2] == ["turn/VERB right/ADV"]
    assert train.labels[2] == {"side": "right", "style": "calm"}
    np.testing.assert_array_equal(train.clip(0), entries[0].features)
    plain, image = train.clip(0)[:8], train.clip(2)  # one frame is lost
    assert image.shape == (8, 263)
    # Smoothing over time sees one frame less, which shows in a clip as short as this.
    np.testing.assert_allclose(image[:, 0], -plain[:, 0], rtol=0.15)
    assert (plain[:, 0] < -0.01).all()  # to the left
    places = {name: at for at, name in enumerate(dataset.skeleton.joint_names)}
    for side, other in (("left", "right"), ("right", "left")):
        place, twin = (4 + 3 * (places[f"{s}_wrist"] - 1) for s in (side, other))
        expected = plain[:, twin : twin + 3] * [-1, 1, 1]
        np.testing.assert_allclose(image[:, place : place + 3], expected, atol=0.03)
    right, left = (4 + 3 * (places[f"{s}_wrist"] - 1) + 2 for s in ("right", "left"))
    assert plain[-1, right] - plain[-1, left] > 0.1  # the sides do differ


def test_a_bad_clip_stops_no_mirroring(output):
    entries = (
        *(moving_clip("a"), spoiled(float("nan")), clip("long", 11), clip("one", 1)),
        *(replace(clip("wide", 6), features=features(6, width=251)), Rejected("r", "r", "broken")),
    )
    report, dataset = packed(MemorySource(entries, min_frames=2), output, mirror=True)
    assert dataset.split("train").ids == ["a", "a@1", "Ma", "Ma@1"]
    assert sorted(rejected.id for rejected in report.rejected) == [
        "bad",
        "long",
        "one",
        "r",
        "wide",
    ]


# ---- motions that cannot be used ---------------------------------------------------------------


def spoiled(value: float) -> LoadedClip:
    entry = clip("bad", 6, 1)
    entry.features[3, 100] = value
    return entry


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (spoiled(float("nan")), "not finite"),
        (spoiled(float("inf")), "not finite"),
        (
            replace(clip("bad", 6), features=features(6, width=251)),
            "(6, 251), expected (frames, 263)",
        ),
        (replace(clip("bad", 6), features=features(6)[0]), "(263,)"),
        (clip("bad", 6, captions=()), "no caption"),
        (clip("bad", 6, captions=(Caption(""), Caption(" \t"))), "no caption"),
        (clip("bad", 0), "0 frames"),
        (Rejected("bad", "walk.bvh", "walk.bvh:3: no MOTION"), "walk.bvh:3: no MOTION"),
        (RequestError("walk.bvh:7: too short"), "walk.bvh:7: too short"),
        (WorkError("gone"), "gone"),
        (ZeroDivisionError("by zero"), "1.npy: cannot be used (ZeroDivisionError: by zero)"),
        (MemoryError(), "1.npy: cannot be used (MemoryError: )"),
        (RecursionError("too\ndeep"), "1.npy: cannot be used (RecursionError: too deep)"),
        (OSError(5, "Input/output error", "x"), "1.npy: cannot be used (OSError: [Errno 5]"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"), "(UnicodeEncodeError: 'utf-8'"),
        (KeyError("\ud800" * 5000), "1.npy: cannot be used (KeyError:"),
        (np.linalg.LinAlgError("singular"), "(LinAlgError: singular)"),
        (replace(clip("bad", 6), features=np.full((6, 263), "x")), "cannot be used (TypeError:"),
    ],
    ids=[
        "nan",
        "inf",
        "width",
        "flat",
        "captions",
        "blank",
        "empty",
        "rejected",
        "request",
        "work",
        "arithmetic",
        "memory",
        "recursion",
        "system",
        "surrogate",
        "endless",
        "numpy",
        "words",
    ],
)
def test_one_bad_motion_is_reported_and_stops_nothing(output, entry, word):
    report, dataset = packed(MemorySource((clip("a", 5), entry, clip("b", 6, 2))), output)
    split = dataset.split("train")
    assert split.ids == ["a", "b"]
    np.testing.assert_array_equal(split.clip(1), features(6, 2))
    (rejected,) = report.rejected
    assert word in rejected.reason and len(rejected.reason) <= 300
    written = json.loads((output / "report.json").read_text())
    assert written["left_out"] == [vars(rejected)]
    assert written["reasons"] == {rejected.reason: 1}


def test_blank_captions_are_left_out(output):
    captions = (Caption(" "), Caption("walks"), Caption("", start=0.1, end=0.4))
    report, dataset = packed(MemorySource((clip("a", 8, captions=captions),)), output)
    assert dataset.split("train").captions == [["walks"]]
    assert report.rejected == []


# ---- statistics --------------------------------------------------------------------------------


def test_statistics_are_those_of_the_train_split(output):
    entries = (clip("a", 6, 1), clip("b", 9, 2), clip("t", 10, 3, split="test"))
    _, dataset = packed(MemorySource(entries), output)
    train = np.concatenate([entries[0].features, entries[1].features]).astype(float)
    np.testing.assert_allclose(dataset.normalizer.mean.numpy(), train.mean(0), atol=1e-6)
    expected = train.std(0)
    np.testing.assert_allclose(
        dataset.normalizer.std[193:259].numpy(), expected[193:259].mean(), rtol=1e-6
    )


def test_without_a_train_split_another_serves(output):
    entries = (clip("a", 6, 1, split="heldout"),)
    _, dataset = packed(MemorySource(entries), output)
    mean, _ = feature_statistics(entries[0].features, get_skeleton("humanml3d"))
    np.testing.assert_array_equal(dataset.normalizer.mean.numpy(), mean)


def test_the_statistics_of_the_source_are_kept(output):
    own = (np.arange(263.0), np.arange(263.0) + 1)
    _, dataset = packed(MemorySource((clip("a", 6),), own_statistics=own), output)
    np.testing.assert_array_equal(dataset.normalizer.mean.numpy(), own[0])
    np.testing.assert_array_equal(dataset.normalizer.std.numpy(), own[1])
    assert np.load(output / "Std.npy").dtype == np.float32


# ---- the same data are the same bytes ----------------------------------------------------------


MANY = tuple(
    clip(f"clip{i:03}", 5 + i % 5, i, "test" if i % 7 == 0 else "train") for i in range(70)
)


def test_the_hash_depends_on_the_data_alone(tmp_path):
    """Neither on the number of processes, nor on the run, nor on the folder's name."""
    hashes, contents = set(), set()
    for place, workers in enumerate((1, 1, 2)):
        folder = tmp_path / f"run{place}"
        pack(MemorySource(MANY), folder, workers=workers)
        hashes.add(open_dataset(folder).data_hash)
        files = sorted(path for path in folder.iterdir() if path.name != STAMPS)  # of times
        contents.add(b"".join(path.read_bytes() for path in files))
    assert len(hashes) == len(contents) == 1
    assert re.fullmatch("[0-9a-f]{64}", hashes.pop())


def test_errors_in_worker_processes_are_reported_alike(tmp_path):
    entries = (*MANY[:40], RequestError("bad one"), *MANY[40:])
    reports = [pack(MemorySource(entries), tmp_path / f"w{w}", workers=w) for w in (1, 2)]
    assert reports[0] == reports[1]
    assert [rejected.id for rejected in reports[0].rejected] == ["broken40"]
    assert sum(reports[0].clips.values()) == 70


@pytest.mark.parametrize(
    "other",
    [
        clip("a", 6, captions=(Caption("a person runs", WALK[0].tokens),)),
        clip("a", 6, captions=(Caption("a person walks", "other/NOUN"),)),
        clip("a", 6, seed=1),
        clip("b", 6),
        clip("a", 7),
        clip("a", 6, style="old"),
    ],
    ids=["caption", "tokens", "features", "id", "length", "label"],
)
def test_the_hash_changes_with_any_part_of_the_data(tmp_path, other):
    own = (np.zeros(263), np.ones(263))
    hashes = []
    for name, entry in (("one", clip("a", 6)), ("two", other)):
        source = MemorySource((entry, clip("z", 5, 9)), own_statistics=own)
        hashes.append(packed(source, tmp_path / name)[1].data_hash)
    assert hashes[0] != hashes[1]


def test_the_hash_changes_with_the_statistics(tmp_path):
    sources = (
        MemorySource((clip("a", 6),), own_statistics=(np.zeros(263), np.full(263, std)))
        for std in (1.0, 2.0)
    )
    hashes = {packed(source, tmp_path / str(i))[1].data_hash for i, source in enumerate(sources)}
    assert len(hashes) == 2


# ---- where it is written -----------------------------------------------------------------------


def test_a_dataset_is_replaced_only_on_request(output):
    packed(MemorySource((clip("a", 6),)), output)
    (output / "cache").mkdir()
    source = MemorySource((clip("b", 6),))
    fails_with(RequestError, lambda: pack(source, output, workers=1), output, "overwrite=true")
    assert open_dataset(output).split("train").ids == ["a"]
    assert source.loads == []  # it fails before the work
    pack(source, output, workers=1, overwrite=True)
    assert open_dataset(output).split("train").ids == ["b"]
    assert not (output / "cache").exists()  # old caches do not outlive their data
    assert leftovers(output) == ["memory"]


def test_an_empty_folder_may_be_filled(output):
    output.mkdir(parents=True)
    assert packed(MemorySource((clip("a", 6),)), output)[1].split("train").ids == ["a"]


@pytest.mark.parametrize(
    ("source", "kind", "word"),
    [
        (MemorySource(), RequestError, "'memory' found no motions"),
        (MemorySource((clip("a", 1), clip("b", 2))), WorkError, "1 frames, outside 4..10"),
        (MemorySource((RequestError("walk.bvh:7: broken"),)), WorkError, "walk.bvh:7: broken"),
        (MemorySource((clip("a", 6),), skeleton="smpl"), RequestError, "unknown skeleton 'smpl'"),
    ],
    ids=["no-items", "too-short", "broken", "skeleton"],
)
@pytest.mark.parametrize("before", [False, True])
def test_a_failure_leaves_no_folder_and_keeps_the_old_one(output, source, kind, word, before):
    if before:
        packed(MemorySource((clip("old", 6),)), output)
    fails_with(kind, lambda: pack(source, output, workers=1, overwrite=True), word)
    assert leftovers(output) == (["memory"] if before else [])
    assert not before or open_dataset(output).split("train").ids == ["old"]


def test_an_interruption_leaves_no_folder(output):
    with pytest.raises(KeyboardInterrupt):
        pack(MemorySource((clip("a", 6), KeyboardInterrupt())), output, workers=1)
    assert leftovers(output) == []


def test_a_file_in_the_way_is_named(tmp_path):
    source = MemorySource((clip("a", 6),))
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        for overwrite in (False, True):
            fails_with(
                RequestError,
                lambda o=output, w=overwrite: pack(source, o, overwrite=w),
                tmp_path / "file",
            )
    assert source.loads == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


# ---- damaged datasets --------------------------------------------------------------------------


@pytest.fixture
def dataset(output):
    packed(MemorySource((clip("a", 6), clip("b", 5, 1), clip("c", 5, 2, "val"))), output)
    return open_dataset(output)


def test_an_unknown_split_gets_a_suggestion(dataset):
    fails_with(RequestError, lambda: dataset.split("trian"), dataset.folder, "'trian'", "'train'?")
    fails_with(RequestError, lambda: dataset.split("test"), "known: train, val")


def test_a_folder_that_is_no_dataset_says_how_to_make_one(tmp_path):
    folder = tmp_path / "walks"
    fails_with(
        RequestError, lambda: open_dataset(folder), f"lead prepare data=NAME output={folder}"
    )


def test_another_layout_is_refused(dataset):
    manifest = dataset.folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": 99}))
    fails_with(WorkError, lambda: open_dataset(dataset.folder), manifest, "'schema' takes 1")


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_broken_manifest_is_named(dataset, content):
    (dataset.folder / "manifest.json").write_text(content)
    fails_with(WorkError, lambda: open_dataset(dataset.folder), "manifest.json")


@pytest.mark.parametrize("key", ["skeleton", "clips", "data_hash"])
def test_a_manifest_that_lacks_an_entry_is_named(dataset, key):
    path = dataset.folder / "manifest.json"
    manifest = {name: value for name, value in json.loads(path.read_text()).items() if name != key}
    path.write_text(json.dumps(manifest))
    fails_with(WorkError, lambda: open_dataset(dataset.folder), "manifest.json", f"'{key}'")


def test_statistics_of_another_width_are_named(dataset):
    np.save(dataset.folder / "Std.npy", np.ones(251, dtype=np.float32))
    fails_with(WorkError, lambda: dataset.normalizer, dataset.folder / "Std.npy", "(251,)")


@pytest.mark.parametrize("kept", [0, 5, 60, 128, 4000, -1])
def test_a_shortened_array_is_named(dataset, kept):
    path = dataset.folder / "train.npy"
    path.write_bytes(path.read_bytes()[:kept])
    fails_with(WorkError, lambda: dataset.split("train"), path, "prepare it again")
    assert len(dataset.split("val")) == 1


def test_an_array_with_code_in_it_is_not_executed(dataset):
    np.save(dataset.folder / "train.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    fails_with(WorkError, lambda: dataset.split("train"), "train.npy", "Python objects")


@pytest.mark.parametrize(
    ("array", "word"),
    [(features(10), "shorter"), (features(11, width=251), "(11, 251)"), (np.zeros(11), "(11,)")],
)
def test_an_array_of_another_shape_is_named(dataset, array, word):
    np.save(dataset.folder / "train.npy", array)
    fails_with(LeadError, lambda: dataset.split("train"), "train.npy", word, "prepare it again")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda index: index.pop("captions"), "captions"),
        (lambda index: index.update(captions=None), "captions"),
        (lambda index: index["id"].append("d"), "different lengths"),
        (lambda index: index["start"].__setitem__(0, -3), "start"),
        (lambda index: index["start"].__setitem__(0, 1.5), "start"),
        (lambda index: index["frames"].__setitem__(1, 6), "shorter"),
        (lambda index: index["start"].__setitem__(1, 5), "clips 'a' and 'b' share frames"),
        (lambda index: index["start"].__setitem__(1, 10**6), "shorter"),
    ],
)
def test_a_wrong_index_is_named(dataset, change, word):
    path = dataset.folder / "train.index.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))
    fails_with(WorkError, lambda: dataset.split("train"), "train", word, "prepare it again")


@pytest.mark.parametrize("name", ["train.npy", "train.index.json", "Mean.npy", "Std.npy"])
def test_a_missing_file_is_named(dataset, name):
    (dataset.folder / name).unlink()
    read = dataset.split if name.startswith("train") else lambda _: dataset.normalizer
    fails_with(RequestError, lambda: read("train"), name, "missing")


def test_a_dataset_may_move(dataset, tmp_path):
    shutil.move(dataset.folder, tmp_path / "elsewhere")
    moved = open_dataset(tmp_path / "elsewhere")
    assert moved.data_hash == dataset.data_hash
    np.testing.assert_array_equal(moved.split("train").clip(1), features(5, 1))
