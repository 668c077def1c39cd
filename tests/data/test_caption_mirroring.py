"""Caption mirroring against closed cases, its involution, and KIT-ML's own mirrored texts."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead.data.captions.mirroring import mirror_caption, mirrored
from lead.data.source import Caption

PAIRS = [
    ("a person turns left.", "a person turns right."),
    ("Left, RIGHT; left/right", "Right, LEFT; right/left"),
    ("raises the left-hand side", "raises the right-hand side"),
    ("a left-handed throw", "a right-handed throw"),
    ("moves leftward, then rightwards", "moves rightward, then leftwards"),
    ("the leftmost chair", "the rightmost chair"),
    ("his lefthand and rightfoot", "his righthand and leftfoot"),
    ("left's and lefts", "right's and rights"),
    ("left_hand up", "right_hand up"),
    ("walks clockwise", "walks counterclockwise"),
    ("Clockwise, CLOCKWISE", "Counterclockwise, COUNTERCLOCKWISE"),
    ("sidesteps to the right next to a chair", "sidesteps to the left next to a chair"),
    ("turns right away from the wall", "turns left away from the wall"),
    ("steps left and right then right", "steps right and left then left"),
    ("turns straight right", "turns straight left"),
]
ONE_WAY = [
    ("walks counter-clockwise", "walks clockwise"),
    ("walks counter clockwise", "walks clockwise"),
    ("walks anticlockwise", "walks clockwise"),
    ("Anti-clockwise", "Clockwise"),
    ("walks clock-wise", "walks counterclockwise"),
]
UNCHANGED = [
    "",
    "stands upright",
    "a bright light, a righteous man, leftovers",
    "turns at a right angle",
    "walks in right angles, right-angled",
    "sits down right away",
    "stops right now",
    "is all right",
    "stands right next to a wall",
    "copyright 2020",
    "outright delight",
]
TAGGED = [
    ("turn/VERB left/ADV", "turn/VERB right/ADV"),
    ("left/ADJ hand/NOUN right/ADJ", "right/ADJ hand/NOUN left/ADJ"),
    ("circle/NOUN counter/NOUN clockwise/ADV", "circle/NOUN clockwise/ADV"),
    ("walk/VERB clockwise/ADV", "walk/VERB counterclockwise/ADV"),
    ("sit/VERB right/ADV away/ADV", "sit/VERB right/ADV away/ADV"),
    ("upright/ADJ", "upright/ADJ"),
]


@pytest.mark.parametrize(("text", "image"), PAIRS)
def test_directions_change_places_both_ways(text, image):
    assert mirror_caption(text) == image
    assert mirror_caption(image) == text


@pytest.mark.parametrize(("text", "image"), ONE_WAY + TAGGED)
def test_spellings_and_tags(text, image):
    assert mirror_caption(text) == image


@pytest.mark.parametrize("text", UNCHANGED)
def test_words_that_are_no_direction_stay(text):
    assert mirror_caption(text) == text


def test_a_caption_is_mirrored_in_words_and_tags_and_keeps_its_times():
    caption = Caption("turns left", "turn/VERB left/ADV", 1.0, 2.5)
    assert mirrored(caption) == Caption("turns right", "turn/VERB right/ADV", 1.0, 2.5)


WORDS = st.sampled_from(
    [
        *("left", "Right", "LEFT", "clockwise", "counterclockwise", "Counterclockwise"),
        *("rightward", "left-handed", "upright", "the", "hand", "and", "180", "(left)", "then,"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_mirroring_twice_gives_the_sentence_back(text):
    assert mirror_caption(mirror_caption(text)) == text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="leftrighclokwsnuaA -/.#é\n", max_size=60))
def test_mirroring_three_times_is_mirroring_once(text):
    once = mirror_caption(text)
    assert mirror_caption(mirror_caption(once)) == once


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_text_without_directions_is_never_touched(text):
    if not re.search(r"left|right|wise", text, re.IGNORECASE):
        assert mirror_caption(text) == text


def test_agrees_with_kit_mls_mirrored_texts(sample_data):
    """An independent oracle: it swaps blindly, so the few known blunders are where we differ."""
    entries = json.loads((sample_data / "kit-ml" / "annotations.json").read_text())
    texts = {name: [a["text"] for a in entry["annotations"]] for name, entry in entries.items()}
    pairs = [
        (text, image)
        for name in texts
        if name.startswith("M")
        for text, image in zip(texts[name[1:]], texts[name], strict=True)
    ]
    changed = [(text, image) for text, image in pairs if text != image]
    assert (len(pairs), len(changed)) == (6082, 2295)
    different = [(text, image) for text, image in pairs if mirror_caption(text) != image]
    assert len(different) == 11
    for text, image in different:
        blunder = r"upleft|left angle|contercounter|degreerightwards"
        assert re.search(blunder, image), (text, image)
