"""`lead report latents | curves | study`: files, words and refusals."""

import csv
import json
import shutil

import numpy as np
import pytest

from lead.cli.main import main

KINDS = ("latents", "curves", "study")


def test_latents_are_drawn_and_listed(world, capsys):
    words = [f"run={world.run('projector')}", f"dataset={world.data}", "split=train", "label=speed"]
    options = ["method=pca", "device=cpu", "output=a/b.png"]
    assert main(["report", "latents", *words, *options]) == 0
    out = capsys.readouterr().out
    assert "speed of " in out and "silhouette" in out and "realigned" in out
    assert (world.here / "a" / "b.png").read_bytes().startswith(b"\x89PNG")
    index = json.loads((world.data / "train.index.json").read_text())
    speeds = dict(zip(index["id"], (label["speed"] for label in index["labels"]), strict=True))
    with (world.here / "a" / "b.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["clip"]: row["class"] for row in rows} == speeds
    columns = ("vae_x", "vae_y", "realigned_x", "realigned_y")
    points = np.array([[float(row[column]) for column in columns] for row in rows])
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-3 * np.abs(points).max())
    assert abs(np.corrcoef(points[:, 0], points[:, 1])[0, 1]) < 1e-3  # components are uncorrelated


def test_curves_of_two_runs_are_one_picture(world, capsys):
    runs = [str(world.run(stage)) for stage in ("vae", "projector")]
    assert main(["report", "curves", *runs]) == 0
    assert capsys.readouterr().out == "written: outputs/curves-cmu_open-tiny-vae.png\n"
    assert (world.here / "outputs" / "curves-cmu_open-tiny-vae.png").is_file()


STUDY = ("sampling.steps=2", "device=cpu", "pairs=2")


def key(folder) -> dict:
    return json.loads((folder / "key.json").read_text())


def test_a_run_is_compared_with_itself_without_projector(world, capsys):
    data = f"dataset={world.data}"
    words = [f"runs=[{world.run('projector')}]", data, "split=train", *STUDY]
    assert main(["report", "study", *words]) == 0
    assert "outputs/study/study.html to participants" in capsys.readouterr().out
    found = key(world.here / "outputs" / "study")
    name = world.run("projector").name
    assert found["systems"] == [f"{name} without projector", f"{name} with projector"]
    captions = json.loads((world.data / "train.index.json").read_text())["captions"]
    said = {caption for clip in captions for caption in clip}
    texts = [pair["text"] for pair in found["pairs"]]
    assert len(set(texts)) == 2 and set(texts) <= said
    page = (world.here / "outputs" / "study" / "study.html").read_text()
    assert name not in page and "none was picked by hand" in page

    assert main(["report", "study", *words, "output=again"]) == 0  # the same seed
    assert (world.here / "again" / "study.html").read_text() == page
    assert main(["report", "study", *words, "output=other", "seed=2"]) == 0
    assert key(world.here / "other")["pairs"] != found["pairs"]

    chosen = [*words, "choose=changed", "candidates=5", "output=changed"]
    assert main(["report", "study", *chosen]) == 0
    assert "5 were drawn at random, and the 2" in (world.here / "changed/study.html").read_text()
    all_five = [*words[:3], *STUDY[:2], "pairs=5", "output=five"]
    assert main(["report", "study", *all_five]) == 0
    changes = sorted((pair["change"] for pair in key(world.here / "five")["pairs"]), reverse=True)
    kept = sorted((pair["change"] for pair in key(world.here / "changed")["pairs"]), reverse=True)
    assert kept == changes[:2]


def test_folders_of_clips_are_compared_by_sentence_and_seed(world):
    one = ["text=a person walks", "count=3", "output=one"]
    for words in (one, ["text=a person walks", "count=2", "project=false", "output=two"]):
        options = dict(word.split("=", 1) for word in words)
        options["output"] = str(world.here / options["output"])
        assert main(world.generate(**options)) == 0
    assert main(["report", "study", "runs=[one,two]", "pairs=2"]) == 0
    found = key(world.here / "outputs" / "study")
    assert found["systems"] == ["one", "two"]
    assert sorted(pair["seed"] for pair in found["pairs"]) == [1, 2]
    shutil.copytree(world.here / "outputs" / "study", world.here / "copy")

    answers = {"schema": 1, "study": found["study"], "participant": "x", "exported": "1"}
    rated = {"realism": 4, "relevance": 2}
    answers["answers"] = [{"pair": "p01", "place": 0, "left": rated, "right": rated}]
    (world.here / "inbox").mkdir()
    (world.here / "inbox" / "x.json").write_text(json.dumps(answers))
    assert main(["report", "study", "answers=[inbox]", "key=copy/key.json"]) == 0
    results = world.here / "copy" / "results"
    assert sorted(path.name for path in results.iterdir()) == [
        *("plot.png", "ratings.csv", "summary.md"),
    ]
    assert "1 participants (1 left something open), 2 pairs" in (results / "summary.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_own_help(capsys, kind):
    assert main(["report", kind, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"lead report {kind} ")
    assert main(["report", kind, "outptu=x"]) == 2
    err = capsys.readouterr().err
    assert f"unknown option 'outptu' of `lead report {kind}`: did you mean 'output'?" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latents"], "needs run=RUN"),
        (["latents", "run={vae}"], "is a vae run: name a projector run"),
        (["latents", "run={projector}", "dataset={data}", "label=style"], "labels there are"),
        (["latents", "run={projector}", "output=a.jpg"], "drawn as PNG"),
        (["latents", "run={projector}", "method=umap"], "unknown method 'umap'"),
        (["latents", "run={projector}", "classes=1"], "from 2 to 1000, got 1"),
        (
            ["latents", "run={projector}", "dataset={data}", "split=train", "classes=2"],
            "clips of the 2 most frequent classes of action, at least 7",
        ),
        (["curves"], "name the runs"),
        (["curves", "nowhere"], "has no metrics.csv"),
        (["curves", "{vae}", "quantities=[lss]"], "did you mean 'loss'"),
        (["study"], "name either runs"),
        (["study", "{vae}", "answers=[x]"], "name either runs"),
        (["study", "a", "b", "c"], "compares two systems, got 3"),
        (["study", "{vae}"], "knows no text"),
        (["study", "{diffusion}"], "has no projector"),
        (["study", "{projector}", "choose=best"], "unknown choose 'best'"),
        (["study", "{projector}", "choose=changed", "candidates=9"], "more candidates than pairs"),
        (["study", "{projector}", "dataset={data}", "pairs=1000"], "too few for pairs=1000"),
        (["study", "answers=[x]"], "answers need key=FILE"),
        (["study", "answers=[x]", "key=x"], "x is missing"),
    ],
)
def test_what_cannot_be_drawn_gets_one_line(world, refused, words, message):
    runs = {stage: world.run(stage) for stage in ("vae", "diffusion", "projector")}
    told = refused(["report", *(word.format(data=world.data, **runs) for word in words)])
    assert message in told
