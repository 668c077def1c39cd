"""Systems on latents that keep time through the verbs: generate, evaluate, demo, invert."""

import csv
import json
from collections import defaultdict

import numpy as np
import pytest
import requests
import torch

from lead.cli.demo import make_server
from lead.cli.main import main
from lead.core.runs import Run
from lead.export.motion_file import read_motion
from lead.inversion import read_word
from lead.studies.benchmark import protocol as evaluate_protocol


def generated(run, folder, *words: str) -> list:
    given = [f"run={run.folder}", f"output={folder}", "sheet=false", "device=cpu", *words]
    assert main(["generate", "formats=[npz]", "sampling.steps=2", *given]) == 0
    return [read_motion(path) for path in sorted(folder.glob("*.npz"))]


def test_it_generates_by_the_sampling_that_it_was_made_for(world, flow_run):
    prompts = world.file("prompts.txt", "a person walks # 1.55\nsomeone jumps # 3\n")
    motions = generated(flow_run, world.here / "clips", f"prompts={prompts}", "count=2")
    assert [len(motion.joints) for motion in motions] == [31, 31, 60, 60]
    assert {motion.provenance["sampling"] for motion in motions} == {"euler 2 x3.0"}
    assert not np.allclose(motions[0].joints, motions[1].joints, atol=1e-2)
    again = generated(flow_run, world.here / "alone", "text=someone jumps", "seconds=3", "seed=2")
    np.testing.assert_allclose(again[0].joints, motions[3].joints, atol=1e-3)


def test_a_trained_flow_is_sampled_as_its_stage_says(world):
    below, run = world.here / "below", world.here / "flow"
    assert main(world.train("autoencoder", run=below)) == 0
    assert main(world.train("flow", run=run, autoencoder=below)) == 0
    (made,) = generated(Run(run), world.here / "clips", "text=a person walks", "seconds=3")
    assert made.provenance["sampling"] == "euler 2 x3.0" and len(made.joints) == 60


def test_it_goes_on_from_a_motion_and_fills_one(world, flow_run, refused):
    figure = world.figure("walk.bvh", 25)
    (longer,) = generated(
        flow_run, world.here / "on", f"start={figure}", "text=someone bows", "seconds=1"
    )
    assert len(longer.joints) == 25 + 20 and longer.provenance["start"] == str(figure)
    fill = [f"keep={figure}", "text=someone bows", "keep_frames=[0-8,16-24]"]
    (filled,) = generated(flow_run, world.here / "filled", *fill)
    assert len(filled.joints) == 25 and filled.provenance["keep_frames"] == "0-8,16-24"
    words = ["generate", f"run={flow_run.folder}", "text=hop", "device=cpu", f"keep={figure}"]
    for more, line in (
        ([], "keep= needs keep_frames="),
        (["keep_frames=[0-99]"], "keep_frames has 0-99"),
        (["keep_frames=[8-4]"], "keep_frames has 8-4"),
        ([f"start={figure}"], "give one of them"),
    ):
        assert line in refused([*words, *more])


def test_a_timeline_is_one_motion_that_knows_its_sentences(world, timed_flow_run, refused, capfd):
    lines = world.file("lines.txt", "a person walks # 3\n\nsomeone jumps # 2.05\na person bows\n")
    words = [f"timeline={lines}", "seconds=1", "count=2"]
    motions = generated(timed_flow_run, world.here / "line", *words)
    assert (
        "3 sentences in 6.05 s; up to 0.25 s from a seam (and elsewhere)" in capfd.readouterr().out
    )
    assert [len(motion.joints) for motion in motions] == [121, 121]  # two of at most 60 trained
    assert not np.allclose(motions[0].joints, motions[1].joints, atol=1e-2)
    assert motions[0].text == "a person walks; someone jumps; a person bows"
    assert json.loads(motions[1].provenance["timeline"]) == [
        {"text": "a person walks", "frames": [0, 60]},
        {"text": "someone jumps", "frames": [60, 102]},
        {"text": "a person bows", "frames": [102, 121]},
    ]
    short = world.file("short.txt", "a person walks # 3\nsomeone jumps # 0.2\n")
    broken = world.file("broken.txt", "a person walks # 3\nsomeone jumps # soon\n")
    long = world.file("long.txt", "a person walks # 400\na person walks # 400\n")
    for more, line in (
        ([f"timeline={short}"], "sentence 2 of the timeline has 4 frames, 10 are the fewest"),
        ([f"timeline={broken}"], f"{broken}:2: length in seconds takes a finite number"),
        ([f"timeline={long}"], "the timeline has 800 seconds, 600 are the most"),
        ([f"timeline={lines}", "text=hop"], "or timeline=FILE"),
        ([f"timeline={lines}", f"start={lines}"], "leave start, keep and project out"),
    ):
        words = ["generate", f"run={timed_flow_run.folder}", "device=cpu", *more]
        assert line in refused(words)


def test_where_attention_goes_is_drawn_and_listed(world, timed_flow_run, refused, capfd):
    texts = world.file("texts.txt", "a person walks # 3\nsomeone jumps over a box # 2\n")
    words = ["report", "attention", f"run={timed_flow_run.folder}", "device=cpu"]
    drawn = [f"texts={texts}", "sampling.steps=2", "output=a/b.png"]
    assert main([*words, *drawn]) == 0
    out = capfd.readouterr().out
    assert "'a person walks': SinkRatio 0." in out and "b.csv, b.sinks.csv" in out
    assert (world.here / "a" / "b.png").read_bytes().startswith(b"\x89PNG")
    with (world.here / "a" / "b.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["sentence"] == "a person walks"]
    assert {row["word"] for row in rows} == {"(start)", "a", "person", "walks", "(padding)"}
    assert len(rows) == 2 * 2 * 20 * 5  # steps, layers, latents, words
    sums = defaultdict(float)
    for row in rows:
        sums[row["step"], row["layer"], row["second"]] += float(row["share"])
    np.testing.assert_allclose([*sums.values()], 1, atol=1e-3)
    with (world.here / "a" / "b.sinks.csv").open(newline="") as stream:
        ratios = [float(row["sink_ratio"]) for row in csv.DictReader(stream)]
    assert len(ratios) == 2 * 2 * 2 * 2 and all(0 < ratio <= 1 for ratio in ratios)
    assert "give either text=" in refused([*words])
    run = f"run={world.run('projector')}"
    line = refused(["report", "attention", run, "text=a person walks", "device=cpu"])
    assert "this model reads no text word by word" in line


def test_controls_of_attention_are_rows_with_their_sinks(world, timed_flow_run, monkeypatch):
    monkeypatch.setattr(evaluate_protocol, "load_judge", lambda *_: PlainJudge())
    small = {"pool_size": 4, "replications": 2, "multimodality_texts": 2}
    small |= {"multimodality_repeats": 3, "multimodality_pairs": 2}
    words = [f"protocol.{key}={value}" for key, value in small.items()]
    words += ["controls=[start,random,unmasked]", "clips=4", f"evaluator={world.here}"]
    record = evaluated(world, timed_flow_run, "protocol=open", *words, whole=True)
    rows = {name.partition(", ")[2]: row for name, row in record["rows"].items()}
    start = rows["start masked from 0.2)"]
    assert (
        start["start_share"]["mean"]
        < 0.7 * record["rows"]["generated (flow)"]["start_share"]["mean"]
    )
    assert 0 < rows["padding read)"]["sink_ratio"]["mean"] < start["sink_ratio"]["mean"]
    assert start["sink_ratio"]["count"] == 4 and "sink_ratio" not in record["rows"]["Real"]
    found = record["differences"]["generated (flow, random word masked from 0.2)"]["fid"]
    of = record["replications"]
    each = np.subtract(
        of["generated (flow, random word masked from 0.2)"]["fid"], of["generated (flow)"]["fid"]
    )
    assert found["mean"] == pytest.approx(each.mean()) and found["count"] == 2


class PlainJudge:
    """A motion lies at the mean of its local positions, a sentence at its count of letters."""

    name, fingerprint, dim = "plain", "0123456789abcdef", 6

    def embed_motions(self, features) -> np.ndarray:
        return np.array([clip[:, 4:10].mean(axis=0) for clip in features], dtype=np.float32)

    def embed_texts(self, captions, tokens=None) -> np.ndarray:
        return np.array([[text.count(c) for c in "aeinot"] for text in captions], np.float32)


def evaluated(world, run, *words: str, whole: bool = False) -> dict:
    output = world.here / "table.json"
    given = {"run": run.folder, "dataset": world.data, "output": output, "device": "cpu"}
    given |= {"split": "train", "sampling.steps": 2, "batch_size": 3}
    assert main(["evaluate", *words, *(f"{key}={value}" for key, value in given.items())]) == 0
    record = json.loads(output.read_text())
    return record if whole else record["rows"]


def test_the_judge_of_everybody_sees_it(world, flow_run, monkeypatch):
    monkeypatch.setattr(evaluate_protocol, "load_judge", lambda *_: PlainJudge())
    small = {"pool_size": 4, "replications": 2, "multimodality_texts": 2}
    small |= {"multimodality_repeats": 3, "multimodality_pairs": 2}
    words = [f"protocol.{key}={value}" for key, value in small.items()]
    rows = evaluated(world, flow_run, "protocol=open", f"evaluator={world.here}", *words)
    assert [*rows] == ["Real", "auto-encoder reconstruction", "generated (flow)"]
    assert (
        rows["generated (flow)"]["fid"]["mean"] > 0 and "multimodality" in rows["generated (flow)"]
    )
    assert "mpjpe" in rows["auto-encoder reconstruction"]


def test_lead_on_latents_that_keep_time_is_judged_with_its_projector(world, timed_lead_run):
    rows = evaluated(world, timed_lead_run, "clips=4")
    assert [*rows] == [
        *("real", "VAE reconstruction", "VAE + projector reconstruction"),
        *("generated (MLD)", "generated (LEAD)"),
    ]
    assert rows["generated (MLD)"]["jitter"] != rows["generated (LEAD)"]["jitter"]
    assert rows["VAE reconstruction"]["mpjpe"] != rows["VAE + projector reconstruction"]["mpjpe"]


def test_lead_on_latents_that_keep_time_speaks_with_and_without_projector(world, timed_lead_run):
    prompts = world.file("two.txt", "a person walks # 1.55\nsomeone jumps # 3\n")
    words = [f"prompts={prompts}", "sampling.guidance_scale=2"]
    made = {
        project: generated(timed_lead_run, world.here / project, *words, f"project={project}")
        for project in ("true", "false")
    }
    for motions in made.values():
        assert [len(motion.joints) for motion in motions] == [31, 60]
    assert not np.allclose(made["true"][1].joints, made["false"][1].joints, atol=1e-3)
    one = [f"run={timed_lead_run.ancestor('diffusion').folder}", "text=someone jumps", "seconds=3"]
    alone = generated(timed_lead_run, world.here / "one", *one, "sampling.guidance_scale=2")
    np.testing.assert_allclose(alone[0].joints, made["false"][1].joints, atol=1e-3)


@pytest.mark.parametrize("objective", ["lead", "mld", "feat"])
def test_lead_on_latents_that_keep_time_learns_by_every_objective(world, timed_lead_run, objective):
    output = world.here / f"{objective}.safetensors"
    words = ["invert", f"run={timed_lead_run.folder}", f"motions={world.figure('walk.bvh')}"]
    words += ["word=<hop>", "init=walk", f"output={output}", "progress=false", "device=cpu"]
    assert main([*words, f"inversion={objective}", "inversion.steps=2"]) == 0
    about = read_word(output).about
    assert about["objective"] == objective and np.isfinite(about["loss_after"])


def test_an_auto_encoder_alone_is_evaluated(world, flow_run):
    rows = evaluated(world, flow_run.ancestor("autoencoder"), "clips=4")
    assert [*rows] == ["real", "auto-encoder reconstruction"]


@pytest.mark.parametrize("of", ["flow_run", "timed_flow_run"])
def test_it_learns_a_word_and_speaks_it(world, request, of, refused):
    flow_run = request.getfixturevalue(of)
    words = ["invert", f"run={flow_run.folder}", f"motions={world.figure('walk.bvh')}", "init=walk"]
    words += ["word=<hop>", f"output={world.here / 'hop.safetensors'}", "progress=false"]
    assert "objective 'lead' is for diffusion and projector runs" in refused([*words, "device=cpu"])
    assert main([*words, "device=cpu", "inversion=mld", "inversion.steps=2"]) == 0
    speak = ["text=a <hop> person walks", f"words=[{world.here / 'hop.safetensors'}]", "seconds=2"]
    (said,) = generated(flow_run, world.here / "said", *speak)
    plain = ["text=a walk person walks", "seconds=2"]
    assert not np.allclose(said.joints, generated(flow_run, world.here / "plain", *plain)[0].joints)


def test_words_of_motions_of_several_lengths_are_learned_together(world, flow_run):
    """Each as alone, up to rounding."""
    concepts = [("<hop>", "walk", world.figure("long.bvh")), ("<bow>", "turn", "short.bvh")]
    world.figure("short.bvh", 30)
    lines = [
        json.dumps({"word": word, "init": init, "motions": [str(motions)]})
        for word, init, motions in concepts
    ]
    learn = ["invert", f"run={flow_run.folder}", "inversion=mld", "inversion.steps=2"]
    learn += ["progress=false", "device=cpu"]
    together = world.file("both.jsonl", "\n".join(lines))
    assert main([*learn, f"concepts={together}", f"output={world.here / 'both'}"]) == 0
    alone = world.file("one.jsonl", lines[1])
    assert main([*learn, f"concepts={alone}", f"output={world.here / 'one'}"]) == 0
    both, one = (read_word(world.here / of / "bow.safetensors") for of in ("both", "one"))
    torch.testing.assert_close(both.vector, one.vector, rtol=0, atol=1e-4)
    assert read_word(world.here / "both" / "hop.safetensors").about["loss_before"] > 0


def test_it_is_served(flow_run, tmp_path):
    words = [f"run={flow_run.folder}", "port=0", "device=cpu", "sampling.steps=2"]
    with make_server(words, tmp_path) as server, requests.Session() as session:
        session.trust_env = False

        def asked(path: str, body: dict) -> dict:
            return session.post(f"{server.url}{path}", json=body, timeout=60).json()

        about = session.get(f"{server.url}about", timeout=60).json()
        assert about["projector"] is False and about["defaults"]["guidance"] == 3.0
        assert about["attention"] is True
        answer = asked("generate", {"text": "a person walks", "seconds": 2, "joints": True})
        assert answer["progress"] == 1.0 and answer["clips"][0]["frames"] == 40
        looked = asked(f"jobs/{answer['id']}/attention", {"wait": True})
        assert looked["progress"] == 1.0
        picture = session.get(f"{server.url[:-1]}{looked['picture']}", timeout=60)
        assert picture.headers["Content-Type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")
        none = session.get(f"{server.url}jobs/{answer['id']}/attention.png", timeout=60)
        assert none.status_code == 404
        again = asked(f"jobs/{looked['id']}/attention", {"wait": True})
        assert again == {"error": "this request has no clips"}


def test_lead_on_latents_that_keep_time_is_served(timed_lead_run, tmp_path):
    words = [f"run={timed_lead_run.folder}", "port=0", "device=cpu", "sampling.steps=2"]
    with make_server(words, tmp_path) as server, requests.Session() as session:
        session.trust_env = False
        about = session.get(f"{server.url}about", timeout=60).json()
        assert about["projector"] is True and about["defaults"]["guidance"] == 2.0
        body = {"text": "a person walks", "seconds": 2, "projector": "both"}
        answer = session.post(f"{server.url}generate", json=body, timeout=60).json()
        assert [clip["frames"] for clip in answer["clips"]] == [40, 40]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["generate", "text=hop", "seconds=2", "project=true"], "project=true needs a projector"),
        (
            ["generate", "text=hop", "seconds=2", "sampling=ddim50"],
            "unknown sampler 'ddim' of a flow",
        ),
        (
            ["generate", "text=hop", "seconds=2", "compiled=true"],
            "compiled=true is for diffusion runs",
        ),
        (["evaluate", "controls=[moments]"], "controls with moments need latents of one size"),
        (["evaluate", "projectors=[{run}]"], "no latents that a projector realigns"),
    ],
)
def test_what_it_cannot_do_is_one_line(world, refused, flow_run, words, line):
    data = world.data  # trains the chain where nobody has yet
    given = [word.format(run=flow_run.folder) for word in words]
    given += [f"dataset={data}"] if given[0] == "evaluate" else []
    assert line in refused([*given, f"run={flow_run.folder}", "device=cpu"])
