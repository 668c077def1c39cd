"""Another system than LEAD, told in two tables, through the verbs as they are."""

import json

import numpy as np
import pytest
import requests

from lead.cli.demo import make_server
from lead.cli.main import main
from lead.export.motion_file import read_motion


@pytest.fixture
def run(sticks, tmp_path, monkeypatch):
    return sticks.make_run(tmp_path / "runs" / "stick", monkeypatch)


def generated(run, folder, *words: str) -> list:
    given = [f"run={run.folder}", f"output={folder}", "sheet=false", "device=cpu", *words]
    assert main(["generate", "formats=[npz]", *given]) == 0
    return [read_motion(path) for path in sorted(folder.glob("*.npz"))]


def paces(joints: np.ndarray) -> np.ndarray:
    """Metres that the root goes forward in each frame."""
    return np.diff(joints[:, 0, 2])


def test_it_generates_and_its_files_are_exported(world, run, sticks):
    prompts = world.file("prompts.txt", "a person walks # 3\nsomeone slides # 1\n")
    motions = generated(run, world.here / "clips", f"prompts={prompts}", "seed=3", "count=2")
    assert [len(motion.joints) for motion in motions] == [60, 60, 20, 20]
    for motion, seed in zip(motions, (3, 4, 3, 4), strict=True):
        np.testing.assert_allclose(paces(motion.joints), sticks.pace_of(seed), atol=1e-5)
        assert motion.provenance["project"] == "false"
    for format in ("bvh", "glb"):
        file = world.here / f"stick.{format}"
        given = [f"motion={world.here / 'clips/000.npz'}", f"format={format}", f"output={file}"]
        assert main(["export", *given]) == 0 and file.stat().st_size > 1000


@pytest.mark.parametrize("options", [[], ["batch_size=2"]], ids=["together", "in-batches"])
def test_it_is_evaluated(world, run, options):
    output = world.here / "table.json"
    given = {"run": run.folder, "dataset": world.data, "output": output, "device": "cpu"}
    given |= {"split": "train", "clips": 5, "sampling.steps": 2}
    assert main(["evaluate", *options, *(f"{key}={value}" for key, value in given.items())]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert [*rows] == ["real", "generated (stick)"]  # no auto-encoder, no projector
    assert rows["generated (stick)"]["jitter"]["mean"] < 0.1 * rows["real"]["jitter"]["mean"]


def test_it_is_served(run, sticks, tmp_path):
    words = [f"run={run.folder}", "port=0", "device=cpu"]
    with make_server(words, tmp_path) as server, requests.Session() as session:
        session.trust_env = False
        about = session.get(f"{server.url}about", timeout=60).json()
        assert about["projector"] is False and about["limits"]["seconds"] == [0.6, 5.0]
        body = {"text": "a person walks", "seconds": 2, "seed": 7, "joints": True}
        (clip,) = session.post(f"{server.url}generate", json=body, timeout=60).json()["clips"]
        refusal = session.post(
            f"{server.url}generate", json={**body, "projector": "on"}, timeout=60
        ).json()
    assert clip["frames"] == 40
    np.testing.assert_allclose(paces(np.array(clip["joints"])), sticks.pace_of(7), atol=1e-3)
    assert "the model has no projector" in refusal["error"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["generate", "text=hop", "project=true"], "project=true needs a projector"),
        (["generate", "text=hop", "start={bvh}"], "start= and keep= need a flow run, such as"),
        (["evaluate", "projectors=[{run}]"], "no latents that a projector realigns"),
        (["evaluate", "controls=[moments]"], "controls with moments need latents of one size"),
        (["invert", "motions={bvh}", "word=<hop>", "init=walk"], "cannot learn words from motions"),
    ],
)
def test_what_it_cannot_do_is_one_line(world, refused, run, words, line):
    data = world.data  # trains the chain where nobody has yet
    places = {"run": run.folder, "bvh": world.figure("walk.bvh")}
    given = [word.format(**places) for word in words]
    given += [f"dataset={data}"] if given[0] == "evaluate" else []
    assert line in refused([*given, f"run={run.folder}", "device=cpu"])
