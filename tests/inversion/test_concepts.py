"""Windows of motions, sentences with a gap, and everything that cannot be learned from."""

import math

import numpy as np
import pytest
import torch

from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.seeding import make_generator
from lead.inversion.concepts import Exemplar, check_distinct, draw, windows


def numbered(frames: int) -> np.ndarray:
    return np.arange(frames, dtype=np.float32)[:, None].repeat(263, axis=1)


def test_windows_are_runs_of_frames_within_the_limits(concept_of):
    cut = windows(concept_of([numbered(90), numbered(20)]), 50, 0.5, (12, 60), seed=1)
    assert len(cut) == 100
    for motion, window in [(90, w) for w in cut[:50]] + [(20, w) for w in cut[50:]]:
        low, high = max(12, motion // 2), min(60, motion)
        assert low <= len(window) <= high
        assert (np.diff(window[:, 0]) == 1).all() and window[-1, 0] < motion
    lengths = [len(window) for window in cut[:50]]
    assert min(lengths) < 50 and max(lengths) > 55 and len({w[0, 0] for w in cut[:50]}) > 10


def test_windows_hang_on_seed_and_word_alone(concept_of):
    one, other = (concept_of([numbered(90)], word) for word in ("<a>", "<b>"))

    def cut(concept, seed):
        return [(w[0, 0], len(w)) for w in windows(concept, 4, 0.3, (5, 90), seed)]

    assert cut(one, 1) == cut(one, 1)
    assert len({tuple(cut(one, 1)), tuple(cut(one, 2)), tuple(cut(other, 1))}) == 3


def test_a_short_motion_is_named(concept_of):
    with pytest.raises(RequestError, match="clip 1 has 9 frames, too short .* 10 to 60"):
        windows(concept_of([numbered(30), numbered(9)]), 4, 0.5, (10, 60), 0)


@pytest.mark.parametrize(
    ("clips", "options", "message"),
    [
        ([], {}, "no motions for <zombie>"),
        ([np.full((20, 263), np.nan, dtype=np.float32)], {}, "clip 0: .*not finite"),
        ([numbered(20)], {"templates": ()}, "no templates"),
        ([numbered(20)], {"templates": ("a person",)}, r"template 'a person' has no <\*>"),
        ([numbered(20)], {"word": "zombie"}, "angle brackets"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line(concept_of, clips, options, message):
    with pytest.raises(RequestError, match=message) as error:
        concept_of(clips, **options)
    assert "\n" not in str(error.value)


def test_two_concepts_need_two_words(make_concept):
    with pytest.raises(RequestError, match="<a> is to be learned twice"):
        check_distinct([make_concept("<a>"), make_concept("<b>"), make_concept("<A>")])
    with pytest.raises(RequestError, match="no words to learn"):
        check_distinct([])


def test_a_draw_uses_every_window_and_template_before_one_twice(make_concept):
    concept = make_concept(templates=tuple(f"{n} <*>" for n in range(3)))
    exemplar = Exemplar(
        concept, torch.zeros(4, 1, 8), torch.zeros(4, 1, 8), torch.ones(4), (0,) * 4
    )
    seen = []
    for step in range(200):
        drawn = draw(exemplar, 4, (100, 102), make_generator(0, step))
        assert sorted(drawn.windows.tolist()) == [0, 1, 2, 3]
        assert len(drawn.templates) == 4 and set(drawn.templates) == {0, 1, 2}
        seen += drawn.timestep.tolist()
    counts = np.bincount(seen)[100:]
    assert len(counts) == 3 and (abs(counts - 800 / 3) < 60).all()  # over four sigma
    assert concept.sentence(1, 0) == "1 <zombie>"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "laed"}, "'objective': unknown 'laed', did you mean 'lead'"),
        ({"weighting": "snrr"}, "did you mean 'snr'"),
        ({"latent": "max"}, "'latent': unknown 'max'"),
        *[({"lr": value}, "'lr' takes") for value in (0.0, -1.0, math.nan, math.inf, 1e300, "1")],
        *[({"window_min": value}, "'window_min' takes") for value in (0.0, -1.0, 1.5, math.nan)],
        *[({"averaged": value}, "'averaged' takes") for value in (-0.1, 1.5, math.nan, "1")],
        *[
            ({name: value}, f"'{name}' takes")
            for name in ("steps", "batch_size", "windows", "at_once")
            for value in (0, -1, 10**6, 10**300, 2.5, "2", None, True)
        ],
        ({"timestep_min": -1}, "'timestep_min' takes"),
        ({"timestep_max": 10**9}, "'timestep_max' takes"),
        ({"timestep_min": 5, "timestep_max": 4}, "timestep_min <= timestep_max"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(RequestError, match=message):
        build("inversion", {"_target_": "inversion", **options})


def test_a_template_says_what_is_done_in_its_own_motion(make_concept):
    templates = ("a <*> person {action}", "someone <*>")
    concept = make_concept(motions=2, templates=templates, actions=("walks", "bows"))
    assert concept.sentence(0, 0) == "a <zombie> person walks"
    assert concept.sentence(0, 1) == "a <zombie> person bows"
    assert concept.sentence(1, 1) == "someone <zombie>"


def test_actions_are_as_many_as_motions(make_concept):
    with pytest.raises(RequestError, match="2 motions and 1 actions, give one for each"):
        make_concept(motions=2, templates=("a <*> person {action}",), actions=("walks",))
