"""Answers of a user study: who is who, what is refused, and the intervals."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import LeadError
from lead.evaluation.report.ratings_plot import write_ratings_plot
from lead.evaluation.study import (
    Answers,
    markdown_summary,
    read_answers,
    summarise,
    write_ratings,
)

KEY = {
    **{"schema": 1, "study": "abc", "systems": ["old", "new"], "choice": "Drawn at random."},
    "pairs": [
        {"pair": "p01", "text": "a person, who waves", "left": "new", "right": "old"},
        {"pair": "p02", "text": "a person walks", "left": "old", "right": "new"},
    ],
}


def answer(participant: str, *pairs: tuple, study: str = "abc", exported: str = "1") -> dict:
    """Pairs are (name, (realism, relevance) on the left, the same on the right)."""
    questions = ("realism", "relevance")
    return {
        **{"schema": 1, "study": study, "participant": participant, "exported": exported},
        "answers": [
            {
                "pair": name,
                "place": place,
                "left": dict(zip(questions, left, strict=False)),
                "right": dict(zip(questions, right, strict=False)),
            }
            for place, (name, left, right) in enumerate(pairs)
        ],
    }


def read(folder: Path, *answers: dict) -> Answers:
    (folder / "key.json").write_text(json.dumps(KEY))
    inbox = folder / "inbox"
    inbox.mkdir()
    for number, found in enumerate(answers):
        (inbox / f"{number}.json").write_text(json.dumps(found))
    return read_answers(folder / "key.json", [inbox])


def test_the_key_turns_sides_into_systems(tmp_path):
    given = answer("x", ("p02", (1, 2), (3, 4)), ("p01", (5, 4), (2, 1)))
    found = read(tmp_path, given, answer("y", ("p01", (3,), (3,))))
    realism, relevance = found.ratings
    np.testing.assert_array_equal(realism[0], [[2, 5], [1, 3]])  # rows p01, p02; old, new
    np.testing.assert_array_equal(relevance[0], [[1, 4], [2, 4]])
    np.testing.assert_array_equal(realism[1, 0], [3, 3])
    assert np.isnan(relevance[1]).all() and np.isnan(realism[1, 1]).all()
    assert found.participants == ("x", "y") and found.unfinished == 1
    write_ratings(tmp_path / "ratings.csv", found)
    with (tmp_path / "ratings.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6
    assert rows[1] == {
        **{"participant": "x", "pair": "p01", "text": "a person, who waves", "system": "new"},
        **{"side": "left", "realism": "5", "relevance": "4"},
    }
    assert (rows[4]["realism"], rows[4]["relevance"]) == ("3", "")


def test_the_last_file_of_a_participant_counts(tmp_path):
    late = answer("x", ("p01", (5, 5), (5, 5)), exported="2026-02")
    early = answer("x", ("p01", (1, 1), (1, 1)), exported="2026-01")
    found = read(tmp_path, late, early)
    assert found.participants == ("x",) and found.ratings[0, 0, 0].tolist() == [5, 5]


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (answer("x", study="other"), 2, "answers study other"),
        ({"schema": 1}, 1, "it has no 'study'"),
        (answer("x", ("p09", (1, 1), (1, 1))), 1, "no pair of the study"),
        (
            answer("x", ("p01", (6, 1), (1, 1))),
            1,
            "0.left.realism' takes a number less",
        ),
        (
            answer("x", ("p01", (1, 1), (True, 1))),
            1,
            "0.right.realism' takes a whole",
        ),
        (
            answer("x", ("p01", (1, "4"), (1, 1))),
            1,
            "0.left.relevance' takes a whole",
        ),
        (answer("x", ("p01", (2.5, 4), (1, 1))), 1, "takes a whole number, got 2.5"),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path, given, code, message):
    with pytest.raises(LeadError, match=message) as refusal:
        read(tmp_path, given)
    assert refusal.value.exit_code == code and "0.json" in str(refusal.value)


def test_a_key_and_answers_are_needed(tmp_path):
    (tmp_path / "key.json").write_text(json.dumps({**KEY, "systems": ["old", "else"]}))
    with pytest.raises(LeadError, match="compares other systems than the study: give the key.json"):
        read_answers(tmp_path / "key.json", [tmp_path])
    (tmp_path / "empty").mkdir()
    (tmp_path / "key.json").write_text(json.dumps(KEY))
    with pytest.raises(LeadError, match="holds no answers"):
        read_answers(tmp_path / "key.json", [tmp_path / "empty"])
    with pytest.raises(LeadError, match="is missing"):
        read_answers(tmp_path / "key.json", [tmp_path / "none.json"])


def made(ratings: np.ndarray) -> Answers:
    """Answers of (questions, participants, pairs, systems); a second question may be missing."""
    people, pairs = ratings.shape[1:3]
    ratings = np.concatenate([ratings, np.full((2 - len(ratings), people, pairs, 2), np.nan)])
    names = tuple(f"p{place}" for place in range(pairs))
    left = np.tile([True, False], (pairs, 1))
    return Answers(
        *(("old", "new"), "Drawn at random.", names, names, left),
        *(tuple(f"x{person}" for person in range(people)), ratings),
    )


def test_means_and_preferences_are_plain_counts():
    ratings = np.array([[[[1, 2], [3, 3]], [[2, 5], [4, 1]], [[5, 5], [np.nan, 4]]]], float)
    (outcome,) = summarise(made(ratings), seed=0)
    assert outcome.question == "realism"
    assert outcome.systems[0].mean == pytest.approx((1 + 3 + 2 + 4 + 5) / 5)
    assert outcome.systems[1].mean == pytest.approx((2 + 3 + 5 + 1 + 5 + 4) / 6)
    assert outcome.difference.mean == pytest.approx((1 + 0 + 3 - 3 + 0) / 5)
    assert outcome.preferred == (1, 2, 2)


def test_the_interval_is_that_of_a_crossed_design():
    """Ratings are person + pair + noise: the variance of the mean has a part of each."""
    people, pairs, rng = 30, 20, np.random.default_rng(4)
    person, pair = rng.normal(size=(people, 1)) * 0.6, rng.normal(size=(1, pairs)) * 0.8
    values = 3 + person + pair + 0.5 * rng.normal(size=(people, pairs))
    ratings = np.stack([values, values + 0.3], axis=-1)[None]
    (outcome,) = summarise(made(ratings), seed=1)
    spread = np.sqrt(
        values.mean(axis=1).var(ddof=1) / people + values.mean(axis=0).var(ddof=1) / pairs
    )
    for interval in outcome.systems:
        half = (interval.high - interval.low) / 2
        assert half == pytest.approx(1.96 * spread, rel=0.12)
    apart = outcome.difference
    assert [apart.mean, apart.low, apart.high] == pytest.approx([0.3] * 3)


def test_the_seed_fixes_the_intervals():
    ratings = np.random.default_rng(0).integers(1, 6, (2, 6, 5, 2)).astype(float)
    assert summarise(made(ratings), 3) == summarise(made(ratings), 3)
    assert summarise(made(ratings), 3) != summarise(made(ratings), 4)


def test_the_table_and_the_plot_say_how_clips_were_chosen(tmp_path):
    ratings = np.random.default_rng(0).integers(1, 6, (2, 6, 5, 2)).astype(float)
    answers = made(ratings)
    outcomes = summarise(answers, 3)
    text = markdown_summary(answers, outcomes)
    assert text.startswith("# new against old\n\n6 participants (0 left something open), 5 pairs. ")
    assert "Drawn at random." in text
    first = outcomes[0].systems[0]
    assert f"| realism | {first.mean:.2f} [{first.low:.2f}, {first.high:.2f}] |" in text
    write_ratings_plot(tmp_path / "plot.png", answers, outcomes)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_no_rating_at_all_is_refused():
    with pytest.raises(LeadError, match="no rating"):
        summarise(made(np.full((2, 1, 2, 2), np.nan)), 0)
