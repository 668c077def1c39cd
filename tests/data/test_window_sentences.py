"""The sentences about single windows of CMU's trials that were written for lead."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from lead.data.caption_kinds import count_kinds, table_lines
from lead.data.captions.mirroring import mirror_caption
from lead.data.cmu.window_sentences import FILE, sentences_about
from lead.data.cmu_open import read_index, read_joints
from lead.data.source import Item
from lead.representation import get_skeleton

WINDOWS = json.loads(FILE.read_text())["windows"]
SENTENCES = [(window, text) for window, of in WINDOWS.items() for text in of["sentences"]]

# Words of these sentences that 16,714 sentences by people do not have.
OTHER_WORDS = """
    acrobat bounding brake brakes begs blow cars corner corners digital dipping drawn drifts
    easy elephant's explains fins fish flies graceful growl guards hardly kata laughs laughter
    loud mop mopping mops nibbles ordinary paw pecks policeman possible quiet quietly rears
    roars ropes rough roundhouse rungs signs sings sinking sinks soda stances swerves swim sword
    telling tiptoe tips wets
"""
MANNERS = {  # trial -> what at least two of three sentences say, so that it is no plain motion
    **dict.fromkeys(["13_14", "13_15", "13_16", "14_17", "14_18", "14_19"], r"laugh"),
    "29_03": "teapot",
    "29_14": "prairie dog|small animal|paws",
    "29_15": "whale",
    "29_16": "bear",
    "29_17": "dog",
    "29_19": "fish",
    "29_20": "elephant",
    "29_22": "chicken",
    "29_23": "dinosaur",
    "29_24": "snake",
    **dict.fromkeys(["14_13", "14_15"], "mop"),
    **dict.fromkeys(["14_24", "14_25", "14_26"], "direct|traffic|wave|signal|point"),
    **dict.fromkeys(["135_04", "135_11"], "kick"),
}


NAMES = get_skeleton("humanml3d").joint_names
TURN = (
    r"\b(?:turn|veer|curve?|drift)(?:s|ed|ing)?\b[^,.]*?\b(left|right)\b(?! (?:arm|hand|knee|leg))"
)
KICK = r"\bkick(?:s|ing)?\b[^,.]*?\b(left|right) (?:leg|foot)"


@pytest.fixture(scope="module")
def listed() -> dict[str, Item]:
    return {item.id: item for item in read_index()}


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_every_training_window_has_three_and_nothing_else_has_any(listed):
    windows = {
        item.id
        for item in listed.values()
        if item.split == "train" and item.labels["captions"] != "humanml3d"
    }
    assert WINDOWS.keys() == windows and len(windows) == 421
    assert {name for name, item in listed.items() if "lead" in item.labels} == windows
    for name, window in WINDOWS.items():
        texts = [caption.text for caption in listed[name].captions]
        assert len(texts) == 4 and texts[1:] == window["sentences"]
        assert listed[name].labels["lead"] == "3"


def test_no_sentence_is_one_of_a_test_or_validation_clip(listed):
    kept_out = {
        caption.text.strip().lower().rstrip(".")
        for item in listed.values()
        if item.split != "train"
        for caption in item.captions
    }
    assert not {text.lower().rstrip(".") for _, text in SENTENCES} & kept_out


def test_they_are_three_ordinary_sentences_of_growing_length():
    for name, window in WINDOWS.items():
        short, middle, long = window["sentences"]
        assert len({short, middle, long}) == 3, name
        assert 4 <= len(words_of(short)) <= 7, short
        assert max(len(words_of(short)), len(words_of(middle))) < len(words_of(long)), name
    for _, text in SENTENCES:
        assert re.fullmatch(r"(a|someone) ?[a-z ,:'-]+[a-z]\.", text), text


def test_they_are_spelt_as_people_spell(sample_data: Path):
    known = json.loads((sample_data / "humanml3d" / "captions.json").read_text())
    vocabulary = {word for texts in known.values() for text in texts for word in words_of(text)}
    used = {word for _, text in SENTENCES for word in words_of(text)}
    assert used - vocabulary == set(OTHER_WORDS.split())


def test_an_animal_or_a_laugh_is_no_plain_motion():
    for name, window in WINDOWS.items():
        manner = MANNERS.get(re.split("[#@]", name)[0])
        if manner:
            said = [text for text in window["sentences"] if re.search(manner, text)]
            assert len(said) >= 2, name


def test_the_mirror_image_changes_every_left_and_right():
    for _, text in SENTENCES:
        image = mirror_caption(text)
        assert mirror_caption(image) == text
        swapped = {"left": "right", "right": "left"}
        assert words_of(image) == [swapped.get(word, word) for word in words_of(text)]


def test_turns_and_kicks_are_to_the_side_that_the_motion_has():
    joints = dict(read_joints(set(WINDOWS)))
    turns = kicks = 0
    for name, text in SENTENCES:
        for match in re.finditer(TURN, text):
            turned = np.degrees(turned_left(joints[name])) * (1 if match[1] == "left" else -1)
            farthest = (turned - np.minimum.accumulate(turned)).max()
            assert farthest > 15, f"{name}: {text}"
            turns += 1
        for match in re.finditer(KICK, text):
            ankle = joints[name][:, NAMES.index(f"{match[1]}_ankle"), 1]
            assert ankle.max() - joints[name][..., 1].min() > 0.4, f"{name}: {text}"
            kicks += 1
    assert turns > 200 and kicks > 20


def turned_left(joints: np.ndarray) -> np.ndarray:
    """How far (frames, 22, 3) has turned since the first frame, by the hips, in radians."""
    across = joints[:, NAMES.index("left_hip")] - joints[:, NAMES.index("right_hip")]
    facing = np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))  # 0 along z, y up
    return facing - facing[0]


def test_a_window_that_is_cut_in_another_way_has_none():
    name, window = next(iter(WINDOWS.items()))
    start, end = map(int, window["frames"].split("-"))
    assert sentences_about(name, start, end) == tuple(window["sentences"])
    assert sentences_about(name, start + 1, end + 1)  # another form of the trial
    assert sentences_about(name, start, end + 3) == ()
    assert sentences_about(name, start - 3, end) == ()
    assert sentences_about("90_01", start, end) == ()


def test_they_are_counted_as_a_kind_beside_the_line_of_the_same_motion():
    counts = count_kinds(
        [
            ({"captions": "cmu", "lead": "3"}, "train", 4, 36.0),
            ({"captions": "cmu", "lead": "3"}, "train", 5, 36.0),
            ({"captions": "cmu", "lead": "x"}, "val", 2, 18.0),
            ({"captions": "humanml3d"}, "test", 3, 72.0),
        ]
    )
    assert counts == {
        "cmu": {
            "train": {"clips": 2, "sentences": 3, "hours": pytest.approx(0.02)},
            "val": {"clips": 1, "sentences": 2, "hours": pytest.approx(0.005)},
        },
        "lead": {"train": {"clips": 2, "sentences": 6, "hours": pytest.approx(0.02)}},
        "humanml3d": {"test": {"clips": 1, "sentences": 3, "hours": pytest.approx(0.02)}},
    }
    lines = table_lines(counts)
    assert lines[-1].split() == ["all", "4", "14", "0.045"]  # a motion counts once
    assert ["lead", "train", "2", "6", "0.020"] in [line.split() for line in lines]
