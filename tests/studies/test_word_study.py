"""`lead evaluate ... study=T`: concepts, rows, record, picture, and refusals."""

import json
from collections import Counter

import numpy as np
import pytest

from lead.cli.config import compose
from lead.cli.main import main
from lead.data.packed import PackedDataset
from lead.evaluation.classifier import divide_held_out
from lead.studies.words import study as evaluate_words
from lead.studies.words.concepts import _exemplars, studied_concepts
from lead.studies.words.options import StudyOptions

SMALL = (
    *("study.seeds=2", "study.styles.concepts=3", "study.styles.clips=2", "study.shown=2"),
    *("study.recipe.steps=2", "study.recipe.windows=2", "sampling.steps=2", "device=cpu"),
)
RECIPE = ("lead", "mld", "feat")


class PlainJudge:
    """A motion lies at the mean of its local positions, a sentence at its count of letters."""

    name, fingerprint = "plain", "0123456789abcdef"

    def embed_motions(self, features) -> np.ndarray:
        return np.array([clip[:, 4:10].mean(axis=0) for clip in features], dtype=np.float32)

    def embed_texts(self, captions, tokens=None) -> np.ndarray:
        return np.array([[text.count(c) for c in "aeinot"] for text in captions], np.float32)


@pytest.fixture(scope="session")
def classifier(styled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier") / "run"
    light = ("trainer.progress=false", "trainer.threads=1", "trainer.precision=fp32")
    few = ("trainer.max_steps=2", "trainer.validate_every=2", "model.classifier.width=8")
    where = (f"dataset={styled.folder}", f"run={folder}", "trainer.accelerator=cpu")
    assert main(["train", "stage=classifier", *where, *light, *few]) == 0
    return folder


@pytest.fixture
def words(world, styled, classifier, monkeypatch):
    monkeypatch.setattr(evaluate_words, "load_judge", lambda *_: PlainJudge())

    def of(*more: str, run: str = "projector") -> list[str]:
        named = (f"run={world.run(run)}", f"dataset={styled.folder}", f"classifier={classifier}")
        output = (f"output={world.here / 'table.json'}", f"evaluator={world.here}")
        return ["evaluate", "study=table3", *named, *output, *SMALL, *more]

    return of


def concepts_of(dataset: PackedDataset, *words: str) -> list:
    study = StudyOptions(**compose("evaluate", ["study=table3", *words])["study"])
    return studied_concepts(dataset, "test", study, seed=1)


def test_concepts_are_clips_that_the_classifier_never_saw(styled):
    studied = concepts_of(styled, "study.styles.clips=2")
    split, kept = styled.split("heldout"), divide_held_out(styled)["kept"]
    unseen = {split.ids[place] for place in kept}
    assert len(studied) == 4  # of nine clips
    exemplars = [source for one in studied for source in one.concept.sources]
    assert len(set(exemplars)) == 8 and set(exemplars) <= unseen
    actions = {"bow": "bows", "walk": "walks forward", "run": "runs forward"}
    for one in studied:
        shown = [source.split("_")[1] for source in one.concept.sources]
        assert len(set(shown)) == 2
        assert one.concept.actions == tuple(actions[content] for content in shown)
        assert {asked.request.content for asked in one.asked} == set(actions) - set(shown)
        for asked, plain in zip(one.asked, one.with_plain(), strict=True):
            assert plain == f"an elderly person {actions[asked.request.content]}"
            assert asked.request.style == "elderly"
            assert asked.sentence == f"a <*> person {actions[asked.request.content]}"


def test_exemplars_are_of_contents_drawn_at_random_evenly():
    contents = {name: list(range(10 * at, 10 * at + 6)) for at, name in enumerate("abcdefg")}
    options = StudyOptions(**compose("evaluate", ["study=table3"])["study"]).styles
    seen = set()
    for seed in range(20):
        lots = _exemplars(contents, options, seed)
        places = [place for lot in lots for place in lot]
        assert len(lots) == 10 and len(set(places)) == len(places) == 40  # of 42 clips
        used = Counter()
        for lot in lots:
            assert len({place // 10 for place in lot}) == 4
            used.update(place // 10 for place in lot)
            assert max(used.values()) - min(used[at] for at in range(7)) <= 1
        seen.add(tuple(sorted(place // 10 for place in lots[0])))
    assert len(seen) > 10  # of 35 choices
    (lot,) = _exemplars({"a": [1, 2, 3], "b": [4]}, options, 0)  # fewer contents than clips
    assert sorted(lot) == [1, 2, 3, 4]
    assert _exemplars({"a": [1, 2, 3]}, options, 0) == []


def test_where_exemplars_show_everything_the_sentences_do_too(styled):
    for one in concepts_of(styled, "study.styles.clips=3"):
        assert {asked.request.content for asked in one.asked} == {"bow", "walk", "run"}


def test_without_held_out_styles_a_motion_is_a_concept(styled):
    clips = {"train": 36, "val": 12, "test": 12}
    manifest = styled.manifest.model_copy(update={"clips": clips})
    studied = concepts_of(PackedDataset(styled.folder, manifest), "study.motions.count=5")
    assert len(studied) == 5
    for one in studied:
        (asked,) = one.asked
        assert asked.request.reference.shape[1] == 263
        assert asked.request.caption.split()[-1] in one.concept.sources[0]
        assert one.concept.init in ("walk", "run", "move")  # bow is no coarse word
        assert one.with_plain() == [f"someone {one.plain}"]


def test_table_3_from_runs_to_record(words, world, capsys):
    figure = world.here / "figure"
    assert main(words(f"study.figure={figure}")) == 0
    printed = capsys.readouterr().out
    found = json.loads((world.here / "table.json").read_text())
    taught = [f"MTI {objective}{tail}" for objective in RECIPE for tail in ("", " + project")]
    others = ["Real", "VAE reconstruction", "nearest training clip", "plain word"]
    assert [*found["rows"]] == [*others, "plain word + project", *taught]
    for name, row in found["rows"].items():
        assert row["style"]["count"] == 3  # concepts
        assert row["fid"]["count"] == 2 and len(found["by_seed"][name]["fid"]) == 2  # seeds
        assert ("style_gain" in row) == name.startswith("MTI")
        assert len(found["by_concept"][name]["style"]) == 3
        assert f"| {name} " in printed
    assert found["rows"]["Real"]["fid"]["mean"] == pytest.approx(0, abs=1e-6)
    assert found["study"]["recipe"]["steps"] == 2
    assert (figure / "words.png").is_file() and (figure / "words.html").is_file()


def test_table_4_takes_the_projectors_beside_the_run(words, world):
    runs = world.copy_runs()
    import shutil

    shutil.copytree(runs / "cmu_open-tiny-projector", runs / "cmu_open-tiny-projector-nokl")
    given = [word for word in words() if not word.startswith(("run=", "study=table"))]
    given += ["study=table4", f"run={runs / 'cmu_open-tiny-projector'}", "study.seeds=1"]
    assert main(given) == 0
    found = json.loads((world.here / "table.json").read_text())
    counts = Counter(name for name in found["rows"] if name.startswith("MTI"))
    assert counts == {"MTI lead + project": 1, "MTI lead (nokl) + project": 1}
    same = [found["rows"][name]["fid"]["mean"] for name in counts]
    assert same[0] == pytest.approx(same[1], rel=1e-5)  # it is the same projector


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("study.objectives=[led]",), "study.objectives: unknown 'led'"),
        (("study.project=[maybe]",), "study.project: unknown 'maybe'"),
        (("study.seeds=0",), "study.seeds takes a whole number from 1"),
        (("study.styles.clips=0",), "study.styles.clips takes a whole number from 1"),
        (("study.styles.clips=10",), "no style has 10 clips"),
        (("protocol=open",), "a study has its own protocol"),
        (("classifier=nowhere",), "nowhere is no classifier"),
        (("evaluator=null", "classifier=null"), "a study needs a judge"),
        (("study.recipe.steps=0",), "'steps' takes a number greater than or equal to 1"),
    ],
)
def test_what_cannot_be_studied_is_one_line(words, capsys, more, message):
    assert main(words(*more)) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("lead: ")


def test_a_style_without_a_plain_word_is_one_line(styled):
    from lead.core.errors import RequestError

    study = compose("evaluate", ["study=table3"])["study"]
    study["styles"]["descriptors"] = {}
    with pytest.raises(RequestError, match="descriptors has nothing for 'elderly'"):
        studied_concepts(styled, "test", StudyOptions(**study), seed=1)


def test_a_classifier_run_is_measured_on_unseen_clips(styled, classifier, tmp_path, capsys):
    output = tmp_path / "accuracy.json"
    where = (f"dataset={styled.folder}", f"output={output}", "device=cpu")
    assert main(["evaluate", f"run={classifier}", *where]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert [*rows] == ["test clips", "held-out clips", "held-out style elderly"]
    assert (
        rows["test clips"]["style"]["count"] == 12 and rows["held-out clips"]["style"]["count"] == 9
    )
    assert "test clips" in capsys.readouterr().out
