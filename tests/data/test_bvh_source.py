"""The BVH source: captions, splits, rejected files, features, and real clips."""

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lead.core.building import build
from lead.core.errors import RequestError
from lead.data.bvh.caption_tables import name_words, read_caption_table
from lead.data.bvh.joints import load_bvh_joints
from lead.data.bvh.loading import BvhSettings, load_bvh_items
from lead.data.bvh.parser import read_bvh
from lead.data.loading import load_items
from lead.data.source import Item, LoadedClip, Rejected
from lead.data.sources.bvh import BvhSource
from lead.representation import features_to_joints, get_skeleton, joints_to_features

NAMES = get_skeleton("humanml3d").joint_names

# A small figure in Mixamo's naming, centimetres: joint -> (parent, offset).
RIG = {
    "Hips": ("", (0, 95, 0)),
    "Spine": ("Hips", (0, 12, 1)),
    "Spine1": ("Spine", (0, 13, 1)),
    "Spine2": ("Spine1", (0, 6, 0)),
    "Neck": ("Spine2", (0, 20, -2)),
    "Head": ("Neck", (0, 9, 5)),
}
for word, sign in (("Left", 1), ("Right", -1)):
    RIG |= {
        f"{word}Shoulder": ("Spine2", (7 * sign, 11, 0)),
        f"{word}Arm": (f"{word}Shoulder", (11 * sign, 3, 0)),
        f"{word}ForeArm": (f"{word}Arm", (27 * sign, 0, 0)),
        f"{word}Hand": (f"{word}ForeArm", (25 * sign, 0, 0)),
        f"{word}UpLeg": ("Hips", (9 * sign, -7, 0)),
        f"{word}Leg": (f"{word}UpLeg", (1 * sign, -40, 1)),
        f"{word}Foot": (f"{word}Leg", (0, -41, -3)),
        f"{word}ToeBase": (f"{word}Foot", (1 * sign, -5, 13)),
    }


def walk_y(frame: int) -> tuple:
    return (0, 95, 3 * frame)


def walk_z(frame: int) -> tuple:
    return (0, -3 * frame, 95)


def write_figure(
    path: Path,
    frames: int = 61,
    frame_time: str = "0.05",
    z_up: bool = False,
    root=None,
    turn: float = 0.0,
) -> Path:
    """A T pose that sways and walks 3 cm per frame along its facing; z up is the same motion.

    ``root`` gives another place of the pelvis by frame, ``turn`` tips the figure about x (degrees).
    """
    root = root or (walk_z if z_up else walk_y)
    lines = ["HIERARCHY"]
    order = "Yrotation Xrotation Zrotation" if z_up else "Zrotation Xrotation Yrotation"

    def add(joint):
        _, (x, y, z) = RIG[joint]
        place = (x, -z, y) if z_up else (x, y, z)
        kind = "JOINT" if lines[1:] else "ROOT"
        channels = "6 Xposition Yposition Zposition" if kind == "ROOT" else "3"
        lines.extend([f"{kind} {joint}", "{", "OFFSET {} {} {}".format(*place)])
        lines.append(f"CHANNELS {channels} {order}")
        for child, (parent, _) in RIG.items():
            if parent == joint:
                add(child)
        lines.append("}")

    add("Hips")
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {frame_time}"]
    for frame in range(frames):
        turns = 10 * np.sin(frame / 5 + np.arange(3 * len(RIG)))
        turns[:3] = 0
        turns[::3] *= -1 if z_up else 1  # y up's z axis is z up's -y axis
        turns[1] = turn  # X is the second of both orders
        lines.append(" ".join(map(str, (*root(frame), *turns))))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "clips"
    for name in ("a/Walk_Fast01", "a/walk-slow", "b/JumpHigh", "kick"):
        write_figure(root / f"{name}.bvh")
    return root


def table(tmp_path: Path, text: str, name: str = "captions.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def by_id(results):
    return {result.id: result for result in results}


def test_template_captions_from_file_and_folder_names(folder):
    source = BvhSource(folder, template="a person performs {stem} in {folder}")
    texts = {item.id: [c.text for c in item.captions] for item in source.list_items()}
    assert texts == {
        "a/Walk_Fast01": ["a person performs walk fast in a"],
        "a/walk-slow": ["a person performs walk slow in a"],
        "b/JumpHigh": ["a person performs jump high in b"],
        "kick": ["a person performs kick in clips"],
    }


def test_numbers_are_no_captions(folder):
    write_figure(folder / "b" / "02_01.bvh")
    source = BvhSource(folder, template="a person performs {stem}")
    rejected = [r for r in load_items(source, source.list_items()) if isinstance(r, Rejected)]
    assert [(r.id, r.reason.split(":")[0]) for r in rejected] == [
        ("b/02_01", "its name holds no words for the template")
    ]
    with pytest.raises(RequestError, match=r"02_01\.bvh: its name holds no words"):
        write_figure(folder / "c" / "02_01.bvh")
        BvhSource(folder / "c", template="{stem}").list_items()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("WalkFast_02", "walk fast"),
        ("02_01", ""),
        ("dataset-1_bow_not-confident_001", "dataset bow not confident"),
        ("runBVHTest", "run bvh test"),
        ("aiming1_subject1", "aiming subject"),
    ],
)
def test_words_of_file_names(name, words):
    assert name_words(name) == words


CSV = """id,caption,split
a/Walk_Fast01,"a man walks, fast",train
a/Walk_Fast01,someone hurries,train
walk-slow.bvh,a person walks slowly,train
b/JumpHigh,a jump,val
kick,a kick,heldout
"""


def test_captions_and_splits_of_a_csv_table(folder, tmp_path):
    items = by_id(BvhSource(folder, captions=table(tmp_path, CSV)).list_items())
    assert [c.text for c in items["a/Walk_Fast01"].captions] == [
        "a man walks, fast",
        "someone hurries",
    ]
    assert {name: item.split for name, item in items.items()} == {
        "a/Walk_Fast01": "train", "a/walk-slow": "train", "b/JumpHigh": "val", "kick": "heldout",
    }  # fmt: skip


def test_captions_of_a_jsonl_table_with_times(folder, tmp_path):
    text = (
        '{"id": "kick", "caption": "a kick", "start": 0.5, "end": 2}\n\n'
        '{"id": "kick", "caption": "two\\n kicks"}\n'
    )
    items = BvhSource(folder, captions=table(tmp_path, text, "c.jsonl")).list_items()
    kick = by_id(items)["kick"]
    assert [(c.text, c.start, c.end) for c in kick.captions] == [
        ("a kick", 0.5, 2.0),
        ("two kicks", 0.0, 0.0),
    ]


def test_rows_without_files_and_files_without_rows_are_reported_not_fatal(folder, tmp_path):
    (folder / "b" / "kick.bvh").write_text("anything")
    path = table(tmp_path, "id,caption\na/walk-slow,a walk\nkick.bvh,a kick\nnobody,a ghost\n")
    source = BvhSource(folder, captions=path)
    results = by_id(load_items(source, source.list_items()))
    assert len(results) == 6
    assert isinstance(results["a/walk-slow"], LoadedClip)
    assert isinstance(results["kick"], LoadedClip)  # a whole id goes before a file's stem
    assert results["nobody:4"].reason == f"{path}:4: id 'nobody' names no motion file"
    for name in ("a/Walk_Fast01", "b/JumpHigh", "b/kick"):
        assert results[name].reason == f"{path} has no caption for '{name}'"


def test_a_stem_that_two_files_share_is_reported(folder, tmp_path):
    write_figure(folder / "c" / "walk-slow.bvh")
    path = table(tmp_path, "id,caption\nwalk-slow,a walk\nkick,a kick\n")
    source = BvhSource(folder, captions=path)
    rejected = [r for r in load_items(source, source.list_items()) if isinstance(r, Rejected)]
    assert f"{path}:2: id 'walk-slow' names 2 files" in {r.reason for r in rejected}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.csv", "id,text\nkick,a kick\n", "c.csv:1: no column 'caption'"),
        ("c.csv", "name,caption\nkick,a kick\n", "c.csv:1: no column 'id'"),
        ("c.csv", "", "c.csv:1: no column 'id'"),
        ("c.csv", "id,caption\n", "c.csv: no captions"),
        ("c.csv", "id,caption\nkick,a kick\nkick, \n", "c.csv:3: 'caption': it is empty"),
        ("c.csv", "id,caption\n,a kick\n", "c.csv:2: 'id': it is empty"),
        ("c.csv", "id,caption\nkick\n", "c.csv:2: 'caption': it is empty"),
        ("c.csv", "id,caption\nkick,a kick, high\n", "c.csv:2: more fields"),
        ("c.csv", 'id,caption\nkick,"a kick\n', "c.csv:2: not valid CSV"),
        ("c.csv", "id,caption,split\nkick,a kick,\n", "c.csv:2: 'split': the split is ''"),
        ("c.csv", "id,caption,split\nkick,a,train\nkick,b,test\n", "c.csv:3: 'kick' is in split"),
        ("c.csv", "id,caption,start,end\nkick,a,x,1\n", "c.csv:2: 'start' takes a number, got 'x'"),
        ("c.csv", "id,caption,start,end\nkick,a,2,1\n", "c.csv:2: start 2 is not before end 1"),
        ("c.csv", "id,caption\nnobody,a kick\n", "c.csv: no id names a file"),
        ("c.jsonl", '{"id": "kick", "caption": "a"}\n{"id"\n', "c.jsonl:2: not valid JSON"),
        ("c.jsonl", '{"id": "kick"}\n', "c.jsonl:1: it has no 'caption'"),
        ("c.jsonl", '["kick", "a kick"]\n', "c.jsonl:1: an object of keys and values"),
        ("c.jsonl", '{"id": "kick", "caption": null}\n', "c.jsonl:1: 'caption': it is empty"),
        ("c.txt", "kick a kick\n", "c.txt: give a .csv or a .jsonl"),
    ],
)
def test_bad_caption_tables_are_one_line_with_file_and_line(folder, tmp_path, name, text, words):
    with pytest.raises(RequestError) as caught:
        BvhSource(folder, captions=table(tmp_path, text, name)).list_items()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_caption_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(RequestError, match=r"captions=.*no\.csv is missing"):
        read_caption_table(tmp_path / "no.csv")
    (tmp_path / "latin.csv").write_bytes(b"id,caption\nkick,\xe9\n")
    with pytest.raises(RequestError, match="not UTF-8"):
        read_caption_table(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no captions: give data.captions=FILE or data.template="),
        ({"template": "{name}"}, "names {name}"),
        ({"template": "{stem"}, "template '{stem'"),
        ({"template": "{stem:d}"}, "without a format"),
        ({"template": " "}, "template is empty"),
        ({"template": "{stem.__class__}"}, "names {stem.__class__}"),
        (
            {"template": "x", "units": "feet"},
            "'units' takes 'm', 'cm'",
        ),
        ({"template": "x", "up_axis": "up"}, "'up_axis' takes 'y', 'z', 'x' or 'auto'"),
        ({"template": "x", "skeleton_map": "cmuu"}, "did you mean 'cmu'"),
        ({"template": "x", "long_clips": "cut"}, "'long_clips' takes 'drop' or 'split'"),
        ({"template": "x", "min_frames": 50, "max_frames": 40}, "min_frames <= max_frames"),
        ({"template": "x", "splits": {"train": 0.9}}, "sum to 1"),
    ],
)
def test_wrong_options_are_refused_at_once(folder, options, words):
    with pytest.raises(RequestError) as caught:
        build("source", {"_target_": "bvh", "source": folder, **options})
    assert words in str(caught.value)


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(RequestError, match="is not a folder"):
        BvhSource(tmp_path / "missing", template="x").list_items()
    with pytest.raises(RequestError, match=r"holds no \.bvh or \.amc file"):
        BvhSource(tmp_path, template="x").list_items()


def test_splits_are_deterministic_and_keep_their_fractions(tmp_path):
    for number in range(40):
        (tmp_path / f"clip{number}.BVH").write_text("")
    write_figure(tmp_path / "good.bvh")

    def splits(seed):
        return {i.id: i.split for i in BvhSource(tmp_path, template="x", seed=seed).list_items()}

    assert splits(0) == splits(0) != splits(1)
    counts = [list(splits(0).values()).count(name) for name in ("train", "val", "test")]
    np.testing.assert_allclose(counts, np.array([0.8, 0.05, 0.15]) * 41, atol=1)


def test_features_equal_those_of_each_clip_alone(folder):
    """Batching and padding change nothing, and one bad file rejects only itself."""
    write_figure(folder / "long.bvh", frames=200)
    write_figure(folder / "thirty.bvh", frames=80, frame_time="0.0333333")
    (folder / "broken.bvh").write_text("HIERARCHY\nROOT Hips\n{\n")
    write_figure(folder / "single.bvh", frames=1)
    source = BvhSource(folder, template="{stem}")
    items = source.list_items()
    results = by_id(pickle.loads(pickle.dumps(source)).load(items))  # workers get a pickled copy
    assert set(results) == {item.id for item in items}
    assert (
        results["broken"].reason
        == f"{folder}/broken.bvh:3: the hierarchy ends where '}}' is expected"
    )
    assert "one frame at 20 fps" in results["single"].reason
    lengths = {"kick": 61, "long": 200, "thirty": 53, "a/walk-slow": 61}
    for name, length in lengths.items():
        clip = results[name]
        alone = joints_to_features(load_bvh_joints(folder / f"{name}.bvh"))
        assert clip.features.shape == (length - 1, 263)
        assert clip.features.dtype == np.float32
        np.testing.assert_allclose(clip.features, alone, atol=1e-4)
        assert clip.captions and clip.split in ("train", "val", "test")
    forward = results["kick"].features[:, 2]  # metres per frame on the reference skeleton
    assert (forward > 0.02).all() and (forward < 0.04).all()


def test_results_keep_the_order_of_the_items(folder):
    paths = sorted(folder.rglob("*.bvh"))
    items = [Item(path.stem, path, "train") for path in paths]
    items.insert(1, Item("gone", folder / "gone.bvh", "train"))
    results = load_bvh_items(items, BvhSettings())
    assert [result.id for result in results] == [item.id for item in items]
    assert isinstance(results[1], Rejected)
    assert load_bvh_items([], BvhSettings()) == []


def stay(*place: float):
    return lambda frame: place


TO_Z, TO_Y = dict(turn=90), dict(z_up=True, turn=-90)  # a root that is turned to another axis


def head_and_feet(folder: Path, usual: dict, odd: dict) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the head and the lower foot in the first frame of every file, the odd one last."""
    for number in range(3):
        write_figure(folder / f"clip{number}.bvh", **usual)
    write_figure(folder / "odd.bvh", **odd)
    source = BvhSource(folder, template="x")
    clips = load_items(source, source.list_items())
    assert all(isinstance(clip, LoadedClip) for clip in clips), clips[-1]
    joints = np.stack([features_to_joints(clip.features)[0, :, 1] for clip in clips])
    feet = joints[:, [NAMES.index("left_foot"), NAMES.index("right_foot")]]
    return joints[:, NAMES.index("head")], feet.min(axis=1)


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        ({}, dict(z_up=True)),
        ({}, dict(z_up=True, root=stay(300, 200, 95))),
        ({}, dict(z_up=True, root=stay(0, 0, 95))),
        ({}, dict(TO_Z, root=walk_z)),
        ({}, dict(TO_Z, root=stay(300, 200, 95))),
        ({}, dict(TO_Z, root=stay(0, 0, 95))),
        (dict(z_up=True), {}),
        (dict(z_up=True), dict(root=stay(300, 95, 200))),
        (dict(z_up=True), dict(TO_Y, root=walk_y)),
        (dict(z_up=True), dict(TO_Y, root=stay(300, 95, 200))),
        (dict(TO_Z, root=walk_z), {}),
        (dict(TO_Z, root=walk_z), dict(z_up=True)),
    ],
)
def test_the_up_axis_is_judged_for_each_file(tmp_path, usual, odd):
    """No file is laid on its back by the others, whatever makes its axis another."""
    heads, feet = head_and_feet(tmp_path, usual, odd)
    assert ((heads > 1.3) & (heads < 1.7)).all(), heads
    assert (abs(feet) < 0.1).all(), feet


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        ({}, dict(TO_Z, root=stay(40, 15, -30))),
        (dict(z_up=True), dict(TO_Y, root=stay(40, -30, 15))),
    ],
)
def test_who_lies_along_an_axis_is_not_stood_up(tmp_path, usual, odd):
    """It looks like one that stands along it: the others, its rest pose and the floor tell."""
    heads, _ = head_and_feet(tmp_path, usual, odd)
    assert (heads[:3] > 1.3).all() and heads[3] < 0.4


@pytest.mark.parametrize(
    ("turn", "stretch", "words"),
    [
        (180, 1, "its head is below its feet"),
        (0, 6, "a standing figure of "),
        (0, 0.2, "a standing figure of "),
    ],
)
def test_a_standing_figure_of_no_persons_height_is_left_out_unless_asked_for(
    tmp_path, turn, stretch, words
):
    """Its bones are a person's in the first frame, by which the unit is found, and then are not."""
    path = write_figure(tmp_path / "odd.bvh", root=stay(0, 95, 0), turn=turn)
    head, _, motion = path.read_text().partition("MOTION\n")
    lines = [head.replace("CHANNELS 3", "CHANNELS 6 Xposition Yposition Zposition") + "MOTION"]
    frames, time, *rows = motion.splitlines()
    lines += [frames, time]
    names = [line.split()[1] for line in head.splitlines() if line.startswith(("ROOT", "JOINT"))]
    offsets = np.array([RIG[name][1] for name in names])
    for number, row in enumerate(rows):
        turns = np.array(row.split(), dtype=float)[3:].reshape(-1, 3)
        places = offsets * (stretch if number else 1)
        lines.append(" ".join(map(str, np.concatenate([places, turns], axis=1).ravel())))
    path.write_text("\n".join(lines) + "\n")
    item = Item("odd", path, "train")
    (found,) = load_bvh_items([item], BvhSettings())
    assert isinstance(found, Rejected) and words in found.reason and "up_axis=" in found.reason
    for given in ({"units": "cm"}, {"up_axis": "y"}):
        assert isinstance(load_bvh_items([item], BvhSettings(**given))[0], LoadedClip)


def test_describe_tells_what_would_be_read(folder):
    write_figure(folder / "thirty.bvh", frames=31, frame_time="0.0333333")
    source = BvhSource(folder, template="{stem}")
    items = source.list_items()
    (folder / "thirty.bvh").write_text("spoilt")
    report = source.describe(items)
    assert report["files"] == 5
    assert report["frames"] == 4 * 61
    assert report["fps"] == {"20": 4}
    assert report["skeletons"] == {"mixamo": 4}
    assert report["units"] == {"cm": 4}
    assert report["up_axis"] == {"y": 4}
    assert report["seconds"] == {"2-4 s": 4}
    assert len(report["unreadable"]) == 1 and "thirty.bvh:1: " in report["unreadable"][0]
    assert report["captions"] == 5


REAL = ("walk_normal", "walk-back_normal", "kick_normal", "bow_normal")


@pytest.fixture(scope="session")
def real_clips(sample_data, tmp_path_factory) -> dict[str, Path]:
    """A few clips of the Bandai-Namco collection."""
    archive = sample_data / "bandai-namco" / "dataset-1.tar.xz"
    if not archive.is_file():
        pytest.skip(f"{archive} is absent")
    folder, found = tmp_path_factory.mktemp("real"), {}
    with tarfile.open(archive) as stream:
        for member in stream:
            kind = next((k for k in REAL if f"-1_{k}_" in member.name and k not in found), None)
            if kind and member.name.endswith(".bvh"):
                found[kind] = folder / f"{kind}.bvh"
                found[kind].write_bytes(stream.extractfile(member).read())
    return found


def test_real_clips_are_human_upright_and_not_mirrored(real_clips):
    for kind, path in real_clips.items():
        joints = dict(zip(NAMES, np.moveaxis(load_bvh_joints(path), 1, 0), strict=True))
        assert 0.85 < joints["pelvis"][0, 1] < 1.05, kind
        assert 0.0 < joints["left_foot"][0, 1] < 0.15, kind
        assert 1.2 < joints["head"][0, 1] < 1.6, kind
        forward = np.cross(joints["left_hip"] - joints["right_hip"], [0, 1, 0])
        for side in ("left", "right"):  # toes point where the hips say that the figure faces
            toes = joints[f"{side}_foot"] - joints[f"{side}_ankle"]
            assert (toes * forward).sum(-1).mean() > 0, kind
            knee = joints[f"{side}_knee"] - (joints[f"{side}_hip"] + joints[f"{side}_ankle"]) / 2
            assert (knee * forward).sum(-1).mean() > 0, kind  # and knees bend that way


def test_real_walks_go_where_they_should(real_clips):
    for kind, sign in (("walk_normal", 1), ("walk-back_normal", -1)):
        joints = dict(zip(NAMES, np.moveaxis(load_bvh_joints(real_clips[kind]), 1, 0), strict=True))
        forward = np.cross(joints["left_hip"][0] - joints["right_hip"][0], [0, 1, 0])
        path = joints["pelvis"][-1] - joints["pelvis"][0]
        cosine = path @ forward / np.linalg.norm(path) / np.linalg.norm(forward)
        assert sign * cosine > 0.8, kind


def test_real_frames_at_twenty_fps_coincide_with_the_file(real_clips):
    """Every other output frame is every third of the file: checked limb by limb with scipy."""
    path = real_clips["walk_normal"]
    motion = read_bvh(path)
    text = path.read_text().splitlines()
    rows = np.array([line.split() for line in text[text.index("MOTION") + 3 :]], dtype=float)
    joints = load_bvh_joints(path)
    assert len(joints) == (len(rows) - 1) * 2 // 3 + 1
    chain = ("joint_Root", "Hips", "UpperLeg_L", "LowerLeg_L", "Foot_L", "Toes_L")
    for output in range(0, len(joints), 2):
        turn, place = Rotation.identity(), np.zeros(3)
        for name in chain:
            column = 6 * motion.names.index(name)
            x, y, z, *angles = rows[output // 2 * 3, column : column + 6]
            place = place + turn.apply([x, y, z])
            turn = turn * Rotation.from_euler("ZXY", angles, degrees=True)
        np.testing.assert_allclose(joints[output, NAMES.index("left_foot")], place / 100, atol=1e-5)


def test_real_clips_become_finite_features(real_clips):
    items = [Item(kind, path, "train") for kind, path in real_clips.items()]
    for clip in load_bvh_items(items, BvhSettings(units="cm", up_axis="y")):
        assert np.isfinite(clip.features).all()
        contacts = clip.features[:, -4:]
        assert 0.1 < contacts.mean() <= 1.0


def test_bvh_and_amc_files_stand_in_one_folder(folder, tmp_path, acclaim_figure):
    """Both forms in one data set: ids without endings, one skeleton, the table names either."""
    figure = acclaim_figure(frames=601)
    figure.write(folder / "c", "90_01", "90")
    figure.write(folder / "c", "kick", "kick")
    figure.write(folder / "d", "alone", "90")
    (folder / "d" / "90.asf").unlink()
    rows = "".join(
        f"{name},a motion\n" for name in ("c/90_01.amc", "c/kick", "d/alone", "kick.bvh")
    )
    source = BvhSource(folder, captions=table(tmp_path, "id,caption\n" + rows))
    results = by_id(load_items(source, source.list_items()))
    good = {name for name, result in results.items() if isinstance(result, LoadedClip)}
    assert good == {"c/90_01", "c/kick", "kick"}
    assert "no .asf file beside it" in results["d/alone"].reason
    joints = load_bvh_joints(folder / "c" / "90_01.amc")
    features = joints_to_features(joints, shortest_turn=True)
    np.testing.assert_allclose(results["c/90_01"].features, features, atol=1e-5)
    facts = source.describe(source.list_items())
    assert facts["fps"] == {"120": 2, "20": 1}
    assert facts["skeletons"] == {"acclaim": 2, "mixamo": 1}


def test_a_name_in_both_forms_is_one_motion(folder, acclaim_figure):
    acclaim_figure(frames=601).write(folder, "kick", "90")
    source = BvhSource(folder, template="a person performs {stem}")
    results = by_id(load_items(source, source.list_items()))
    assert len(results) == 5
    assert "same motion as kick.amc" in results["kick.bvh"].reason


@pytest.mark.parametrize(("fps", "frames"), [(120, 100), (60, 200), (30.0, 400)])
def test_amc_files_have_the_rate_that_is_said(fps, frames, tmp_path, acclaim_figure):
    acclaim_figure(frames=601).write(tmp_path / "clips", "walk", "walk")
    source = BvhSource(tmp_path / "clips", template="{stem}", amc_fps=fps)
    (clip,) = source.load(source.list_items())
    assert len(clip.features) == frames
    with pytest.raises(RequestError, match="'amc_fps"):
        build("source", {"_target_": "bvh", "source": tmp_path, "template": "x", "amc_fps": 0})
