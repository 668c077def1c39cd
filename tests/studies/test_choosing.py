"""Which of several clips of a sentence is kept."""

import numpy as np
import pytest

from lead.cli.main import main
from lead.evaluation.judge import Judge
from lead.export.motion_file import Motion, read_motion
from lead.representation import features_to_joints
from lead.studies.choosing import nearest

NEAR, FAR, SENTENCE = 4.0, 7.0, "a person walks"


class Plain(Judge):
    """Who sees the first feature of a motion, and every sentence at the origin."""

    def __init__(self):
        pass

    def embed_motions(self, features):
        return np.array([clip[0, :1] for clip in features])

    def embed_texts(self, captions, tokens=None):
        return np.zeros((len(captions), 1))


@pytest.fixture
def clip_of(sticks):
    """A clip at a distance from its sentence, whose feet are carried along at so many m/s."""

    def make(distance: float, speed: float, text: str = SENTENCE) -> Motion:
        features = sticks.stick_features(40, speed / 20)
        joints = features_to_joints(features, "humanml3d")
        features[0, 0] = distance
        return Motion(joints, features, text, 0, 20.0)

    return make


@pytest.mark.parametrize(
    ("clips", "kept"),
    [
        ([(FAR, 0), (NEAR, 0)], 1),  # the nearer one
        ([(NEAR, 0), (NEAR, 0)], 0),  # the first of equal ones
        ([(NEAR, 2), (FAR, 0)], 1),  # 4 (1 + 1) > 7
        ([(NEAR, 0.4), (FAR, 0)], 0),  # below half a metre a second nothing slides
        ([(NEAR - 1, 2), (FAR, 0)], 0),  # 3 (1 + 1) < 7
    ],
)
def test_distance_counts_twice_for_feet_that_always_slide(clip_of, clips, kept):
    made = [clip_of(*clip) for clip in clips]
    assert nearest(made, len(made), Plain()) == [made[kept]]


def test_one_of_each_row_of_clips_is_kept(clip_of):
    made = [
        clip_of(FAR, 0, text) if place % 3 else clip_of(NEAR, 0, text)
        for place, text in enumerate(["a", "a", "a", "b", "b", "b"])
    ]
    assert nearest(made, 3, Plain()) == [made[0], made[3]]


def test_the_file_says_which_seed_was_kept(sticks, world, monkeypatch, repository):
    run = sticks.make_run(world.here / "runs" / "stick", monkeypatch)
    judge = repository / "checkpoints" / "judge"
    folders = {"all": "count=4", "best": "count=2"}
    for name, count in folders.items():
        given = [f"run={run.folder}", "text=a person slides", "formats=[npz]", "sheet=false"]
        given += ["seconds=2", "seed=3", count, f"output={world.here / name}", "device=cpu"]
        given += ["best_of=2", f"evaluator={judge}"] if name == "best" else []
        assert main(["generate", *given]) == 0
    every = {
        clip.seed: clip for clip in map(read_motion, sorted((world.here / "all").glob("*.npz")))
    }
    kept = [read_motion(path) for path in sorted((world.here / "best").glob("*.npz"))]
    assert sorted(every) == [3, 4, 5, 6]
    assert kept[0].seed in (3, 4) and kept[1].seed in (5, 6)
    assert {clip.provenance["best_of"] for clip in kept} == {f"2 by {judge}"}
    for clip in kept:
        np.testing.assert_array_equal(clip.joints, every[clip.seed].joints)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["text=a <hop> person"], "<hop>"),
        (["text=a person"], "checkpoints/judge does not exist: name a run"),
        (["timeline={prompts}"], "chooses by a sentence: leave timeline"),
        (["task=motion"], "chooses by a sentence: leave timeline"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(sticks, world, monkeypatch, refused, words, line):
    run = sticks.make_run(world.here / "runs" / "stick", monkeypatch)
    prompts = world.file("prompts.txt", "a person walks # 2\n")
    given = [word.format(prompts=prompts) for word in words]
    assert line in refused(["generate", f"run={run.folder}", "best_of=2", "device=cpu", *given])
