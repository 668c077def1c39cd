"""100STYLE: cuts of frames, names, captions, splits, and what is wrong with a folder."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.data.bvh.joints import load_bvh_joints
from lead.data.loading import load_items
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.source import PROBLEM
from lead.data.sources.style100 import Style100Source
from lead.representation import joints_to_features

# The collection's skeleton, centimetres: joint -> (parent, offset).
RIG = {
    "Hips": ("", (0, 0, 0)),
    "Chest": ("Hips", (0, 10, 0)),
    "Chest2": ("Chest", (0, 10, 0)),
    "Chest3": ("Chest2", (0, 9, 0)),
    "Chest4": ("Chest3", (0, 9, 0)),
    "Neck": ("Chest4", (0, 13, 0)),
    "Head": ("Neck", (0, 9, 2)),
}
for side, sign in (("Left", 1), ("Right", -1)):
    RIG |= {
        f"{side}Collar": ("Chest4", (3 * sign, 8, 0)),
        f"{side}Shoulder": (f"{side}Collar", (14 * sign, 0, 0)),
        f"{side}Elbow": (f"{side}Shoulder", (28 * sign, 0, 0)),
        f"{side}Wrist": (f"{side}Elbow", (24 * sign, 0, 0)),
        f"{side}Hip": ("Hips", (9 * sign, 0, 0)),
        f"{side}Knee": (f"{side}Hip", (0, -42, 0)),
        f"{side}Ankle": (f"{side}Knee", (0, -41, 0)),
        f"{side}Toe": (f"{side}Ankle", (0, -7, 15)),
    }
HEADER = "STYLE_NAME,FW_START,FW_STOP,ID_START,ID_STOP,TR2_START,TR2_STOP\n"
CUTS = HEADER + "Aeroplane,30,240,0,150,N/A,N/A\nOnPhoneRight,60,210,,,12,180\n"


def write_clip(path: Path, frames: int = 300, first: int = 0) -> Path:
    """60 fps; walks 1 cm a frame and swings; the same from ``first`` on as a longer clip."""
    lines = ["HIERARCHY"]

    def add(joint: str) -> None:
        kind = "JOINT" if lines[1:] else "ROOT"
        channels = "3" if lines[1:] else "6 Xposition Yposition Zposition"
        lines.extend([f"{kind} {joint}", "{", "OFFSET {} {} {}".format(*RIG[joint][1])])
        lines.append(f"CHANNELS {channels} Yrotation Xrotation Zrotation")
        for child, (parent, _) in RIG.items():
            if parent == joint:
                add(child)
        lines.append("}")

    add("Hips")
    lines += ["MOTION", f"Frames: {frames - first}", "Frame Time: 0.016667"]
    for frame in range(first, frames):
        turns = 10 * np.sin(frame / 15 + np.arange(3 * len(RIG)))
        turns[:3] = 0
        lines.append(" ".join(f"{value:.5f}" for value in (0, 90, frame, *turns)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "100STYLE"
    for name in (
        "Aeroplane/Aeroplane_FW",
        "Aeroplane/Aeroplane_ID",
        "OnPhoneRight/OnPhoneRight_FW",
    ):
        write_clip(root / f"{name}.bvh")
    (root / "Aeroplane" / "._Aeroplane_FW.bvh").write_bytes(b"\x00\x05\x16\x07")
    (root / "Frame_Cuts.csv").write_text(CUTS)
    return root


def source(folder: Path, **options) -> Style100Source:
    return Style100Source(folder, **{"held_out": ["Aeroplane"], **options})


def test_items_have_labels_captions_and_splits(folder):
    items = {item.id: item for item in source(folder).list_items()}
    assert list(items) == ["Aeroplane_FW", "Aeroplane_ID", "OnPhoneRight_FW"]
    assert items["Aeroplane_ID"].labels == {"style": "Aeroplane", "content": "ID"}
    assert [item.split for item in items.values()][:2] == ["heldout", "heldout"]
    assert items["OnPhoneRight_FW"].split in ("train", "val", "test")
    (caption,) = items["OnPhoneRight_FW"].captions
    assert caption.text == "a person walks forward in on phone right style"


def test_a_clip_is_its_cut_and_nothing_else(folder, tmp_path):
    """Frames 30 to 239 at 60 fps: 70 joints frames at 20 fps, as a file that begins there gives."""
    reader = pickle.loads(pickle.dumps(source(folder)))
    items = {item.id: item for item in reader.list_items()}
    clip, other = reader.load([items["Aeroplane_FW"], items["OnPhoneRight_FW"]])
    assert (clip.id, len(clip.features)) == ("Aeroplane_FW", 69)
    assert (other.id, len(other.features)) == ("OnPhoneRight_FW", 49)
    alone = write_clip(tmp_path / "alone.bvh", frames=240, first=30)
    expected = joints_to_features(load_bvh_joints(alone), shortest_turn=True)
    np.testing.assert_allclose(clip.features, expected, atol=1e-4)


def test_a_cut_beyond_the_end_is_left_out(folder):
    (folder / "Frame_Cuts.csv").write_text(
        HEADER + "Aeroplane,30,240,400,500,,\nOnPhoneRight,1,9,,,,\n"
    )
    reader = source(folder)
    found = {result.id: result for result in reader.load(reader.list_items())}
    assert "has 300 frames, the ones wanted begin at 400" in found["Aeroplane_ID"].reason


def test_files_without_a_cut_are_left_out_with_the_reason(folder):
    write_clip(folder / "Aeroplane" / "Aeroplane_TR2.bvh")
    write_clip(folder / "Aeroplane" / "Aeroplane_XX.bvh")
    reader = source(folder)
    bad = [item for item in reader.list_items() if PROBLEM in item.labels]
    reasons = {result.id: result.reason for result in load_items(reader, bad)}
    assert "no frames for Aeroplane TR2" in reasons["Aeroplane_TR2"]
    assert "does not read STYLE_CONTENT.bvh" in reasons["Aeroplane_XX"]


def test_a_prepared_dataset_holds_the_labels(folder, tmp_path):
    pack(source(folder), tmp_path / "packed", workers=1)
    dataset = open_dataset(tmp_path / "packed")
    assert (dataset.manifest.licence, dataset.fps) == ("CC BY 4.0", 20.0)
    split = dataset.split("heldout")
    assert split.ids == ["Aeroplane_FW", "Aeroplane_ID"] and split.frames.tolist() == [69, 49]
    assert split.labels[0] == {"style": "Aeroplane", "content": "FW"}
    facts = source(folder).describe(source(folder).list_items())
    assert facts["styles"] == 2 and facts["contents"] == {"FW": 2, "ID": 1}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("STYLE,FW\nAeroplane,3\n", r"Frame_Cuts.csv:1: no columns STYLE_NAME"),
        (HEADER + "Aeroplane,30,x,,,,\n", r"Frame_Cuts.csv:2: FW from '30' to 'x' is no range"),
        (HEADER + "Aeroplane,30,20,,,,\n", r"Frame_Cuts.csv:2: FW from '30' to '20' is no range"),
        (HEADER + "Aeroplane,30\n", r"Frame_Cuts.csv:2: FW from '30' to None is no range"),
        (HEADER + "Zombie,1,2,,,,\n", r"Aeroplane_FW.bvh: Frame_Cuts.csv has no frames for"),
    ],
)
def test_a_table_that_is_not_right(folder, table, message):
    (folder / "Frame_Cuts.csv").write_text(table)
    with pytest.raises(RequestError, match=message) as error:
        source(folder).list_items()
    assert "\n" not in str(error.value)


def test_a_folder_that_is_not_right(folder, tmp_path):
    with pytest.raises(RequestError, match="lists no style 'Aeroplan', did you mean 'Aeroplane'"):
        source(folder, held_out=["Aeroplan"]).list_items()
    (folder / "Frame_Cuts.csv").unlink()
    with pytest.raises(RequestError, match="holds no Frame_Cuts.csv"):
        source(folder).list_items()
    with pytest.raises(RequestError, match="is not a folder"):
        source(tmp_path / "nowhere").list_items()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "Frame_Cuts.csv").write_text(CUTS)
    with pytest.raises(RequestError, match=r"holds no .bvh file"):
        source(tmp_path / "bare").list_items()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"captions": ["a {walk}"]}, "may hold {content} and {style} only"),
        ({"captions": []}, "captions is empty"),
        ({"min_frames": 50, "max_frames": 40}, "min_frames <= max_frames"),
        ({"splits": {"train": 0.5}}, "sum to 1"),
        ({"splits": {"heldout": 1.0}}, "is the split of held_out"),
    ],
)
def test_impossible_options(tmp_path, options, message):
    with pytest.raises(RequestError, match=message):
        source(tmp_path, **options)
