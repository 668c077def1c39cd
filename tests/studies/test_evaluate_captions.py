"""`lead evaluate task=caption`: real captions and controls without a run, a run's beside them."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lead.cli.main import main
from lead.data.caption_kinds import BY_PEOPLE
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource
from lead.evaluation.caption_wording import Written
from lead.studies.benchmark import captioning
from lead.studies.benchmark.caption_rows import commonest

JUDGE, FEATURES = "nearest training clip, by judge", "nearest training clip, by features"


class PlainJudge:
    """A motion lies at the mean of its local positions, a sentence at its count of letters."""

    name, fingerprint = "plain", "0123456789abcdef"

    def embed_motions(self, features) -> np.ndarray:
        return np.array([clip[:, 4:10].mean(axis=0) for clip in features], dtype=np.float32)

    def embed_texts(self, captions, tokens=None) -> np.ndarray:
        return np.array([[text.count(c) for c in "aeinot"] for text in captions], np.float32)


@pytest.fixture
def talking(sticks):
    """A motion model that says how long a clip is, and its seed."""

    class Talking(sticks.WalkingSticks):
        abilities = frozenset({"caption"})

        def caption(self, clips, seeds, *, count=1, beams=1, sampling):
            assert len(clips) <= 3 and count == beams == 1 and sampling.steps == 10
            return [[(f"{len(c)} frames, {s}.", -1.0)] for c, s in zip(clips, seeds, strict=True)]

    plain = sticks.make_sticks()
    parts = ("text_encoder", "skeleton", "fps", "frame_limits")
    return Talking(**{name: getattr(plain, name) for name in parts})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("captions") / "data"
    pack(CmuOpenSource(clips=16), folder, workers=1)
    return folder


@pytest.fixture
def words(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(captioning, "load_judge", lambda *_: PlainJudge())

    def words(**options) -> list[str]:
        given = {"task": "caption", "protocol": "open", "evaluator": tmp_path, "dataset": dataset}
        given |= {"split": "train", "device": "cpu", "batch_size": 3}
        given |= {"protocol.pool_size": 4, "protocol.replications": 2} | options
        kept = {key: value for key, value in given.items() if value is not None}
        return ["evaluate", *(f"{key}={value}" for key, value in kept.items())]

    return words


def test_without_a_run_there_are_real_captions_and_controls(words, dataset, tmp_path, capsys):
    """On the clips that the controls look in, the nearest one is the clip itself."""
    assert main(words(output="table.json")) == 0
    record, out = json.loads(Path("table.json").read_text("utf-8")), capsys.readouterr().out
    split = open_dataset(dataset).split("train")
    assert [*record["rows"]][:4] == ["Real", JUDGE, FEATURES, "commonest caption"]
    assert out.splitlines()[0] == record["headline"] and "no BERTScore" in out
    assert "raw: lower-case words" in out and "CIDEr raw ↑" in out
    people = sum(labels.get("captions") in BY_PEOPLE for labels in split.labels)
    assert 0 < people < len(split) == record["groups"]["all"]["clips"]
    assert record["groups"]["captions by people"]["clips"] == people
    assert record["rows"] == record["rows_by"]["all"]
    assert f"captions by people: {people} clips" in out
    captions = dict(zip(split.ids, split.captions, strict=True))
    motions = zip(split.ids, split.captions, strict=True)
    pairs = {(text, re.split("[#@]", clip)[0]) for clip, own in motions for text in own}
    counts = Counter(text for text, _ in pairs)
    for said in record["sentences"]:
        assert {said["Real"], said[JUDGE], said[FEATURES]} <= {*captions[said["clip"]]}
        assert counts[said["commonest caption"]] == max(counts.values())
    assert {key: record[key] for key in ("dataset", "split")} == {
        "dataset": "cmu_open",
        "split": "train",
    }
    assert main(words(output="again.json")) == 0
    assert json.loads(Path("again.json").read_text("utf-8")) == record
    before = sorted(tmp_path.rglob("*"))
    assert main(words()) == 0
    assert "not written" in capsys.readouterr().out and sorted(tmp_path.rglob("*")) == before


def test_a_run_that_captions_is_a_row_and_the_report_shows_it(
    words, dataset, tmp_path, monkeypatch, capsys, sticks, talking
):
    run = sticks.make_run(tmp_path / "run", monkeypatch)
    monkeypatch.setattr(captioning, "load_for_inference", lambda _: talking)
    assert main(words(run=run.folder)) == 0
    record = json.loads((run.folder / "captions.json").read_text("utf-8"))
    split = open_dataset(dataset).split("train")
    frames = dict(zip(split.ids, (split.frames // 4 * 4).tolist(), strict=True))
    said = {one["clip"]: one["captions (stick)"] for one in record["sentences"]}
    assert {clip: int(text.split()[0]) for clip, text in said.items()} == frames
    assert len({text.split()[-1] for text in said.values()}) == len(frames)  # a seed each
    assert record["run"] == str(run.folder) and record["protocol"]["task"] == "caption"
    capsys.readouterr()
    assert main(["report", "mote_captions_humanml3d", str(run.folder / "captions.json")]) == 0
    out = capsys.readouterr().out
    assert "| MoTe " in out and "| captions (stick) " in out and "Not in one table: " in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocol": None, "protocol.pool_size": None, "protocol.replications": None}, "protocol"),
        ({"dataset": None}, "dataset=DIR"),
        ({"task": "captoin"}, "did you mean 'caption'"),
        ({"controls": "[guidance1]"}, "leave controls= out"),
        ({"classifier": "c"}, "leave classifier= out"),
        ({"bertscore": "nowhere"}, "no folder nowhere"),
    ],
)
def test_what_does_not_go_together_is_refused(words, options, said, capsys):
    assert main(words(**options)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_model_without_captions_is_refused(words, tmp_path, monkeypatch, capsys, sticks):
    run = sticks.make_run(tmp_path / "run", monkeypatch)
    monkeypatch.setattr(captioning, "load_for_inference", lambda _: sticks.make_sticks())
    assert main(words(run=run.folder)) == 2
    assert "writes no sentences" in capsys.readouterr().err
    assert not (run.folder / "captions.json").exists()


def test_the_commonest_caption_is_so_whatever_case_and_punctuation():
    """Windows of one motion are one: nine of them bow."""
    texts = {"a": ["A man runs.", "he sits"], "b#0": ["a man runs"], "c@7": ["A MAN RUNS!"]}
    texts |= {"b#1": ["he  sits."], **{f"d#{n}": ["she bows"] for n in range(9)}}
    found = commonest([*texts], [[Written(text) for text in own] for own in texts.values()])
    assert found == Written("A man runs.")
    assert commonest("ab", [[Written("walk")], [Written("he bows now")]], 3).text == "he bows now"
    assert commonest("a", [[Written("walk")]], 3) is None
