"""`lead demo` with a real model: clips as `lead generate` writes them, words, options, signals."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from urllib.parse import urlencode

import numpy as np
import pytest

from lead.cli.demo import make_server
from lead.cli.main import main
from lead.data.sources.cmu_open import CmuOpenSource
from lead.export.formats import FORMATS
from lead.export.motion_file import read_motion
from lead.inversion import Word, read_word, write_word

OPTIONS = ("port=0", "device=cpu", "sampling.steps=3", "inversion.steps=2", "upload_mb=0.3")
LEAD = "from lead.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def fetch(url: str, body: dict | bytes | None = None):
    """What a server answers to one request."""
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(url, data, {"Content-Type": kind}), timeout=300)


@pytest.fixture(scope="module")
def demo(chain, tmp_path_factory):
    """A server of the tiny chain."""
    run = chain / "checkpoints" / "cmu_open-tiny-projector"
    with make_server([f"run={run}", *OPTIONS], tmp_path_factory.mktemp("demo")) as server:
        yield server


def ask(demo, path: str, body: dict | bytes | None = None) -> dict:
    return json.load(fetch(demo.url[:-1] + path, body))


def test_about_says_what_the_model_can_do(demo):
    about = ask(demo, "/about")
    assert about["run"] == "cmu_open-tiny-projector" and about["projector"] is True
    assert about["fps"] == 20 and len(about["skeleton"]["joints"]) == 22
    assert about["skeleton"]["parents"][0] == -1
    assert about["defaults"]["steps"] == 3 and about["defaults"]["projector"] == "on"
    assert about["upload_bytes"] == 300_000 and about["licence"] == CmuOpenSource.licence
    assert about["formats"] == list(FORMATS)


def test_a_clip_is_the_one_that_lead_generate_writes(demo, world):
    request = {"text": "a person walks", "seconds": 3, "seed": 5, "steps": 2, "joints": True}
    answer = ask(demo, "/generate", {**request, "projector": "both", "guidance": 2.0})
    assert answer["state"] == "done"
    assert [clip["projector"] for clip in answer["clips"]] == ["on", "off"]
    for clip, project in zip(answer["clips"], ("true", "false"), strict=True):
        words = world.generate(seed=5, project=project, sampling__guidance_scale=2.0)
        assert main([*words, "overwrite=true"]) == 0
        motion = read_motion(world.here / "clips" / "000.npz")
        joints = np.array(clip["joints"])
        assert joints.shape == (60, 22, 3)
        np.testing.assert_allclose(joints, motion.joints, atol=1e-4)
        assert (clip["text"], clip["seed"], clip["fps"]) == ("a person walks", 5, 20)
        assert (clip["frames"], clip["seconds"], clip["skeleton"]) == (60, 3.0, "humanml3d")


def test_every_format_can_be_downloaded(demo, tmp_path):
    (clip,) = ask(demo, "/generate", {"text": "a person jumps!", "seconds": 2.5})["clips"]
    assert "joints" not in clip
    starts = {"bvh": b"HIERARCHY", "glb": b"glTF", "gif": b"GIF89a", "png": b"\x89PNG"}
    starts |= {"mp4": b"\0\0\0 ftyp", "webp": b"RIFF", "html": b"<!doctype html>", "npz": b"PK"}
    assert set(clip["files"]) == set(starts)
    for name, start in starts.items():
        found = fetch(demo.url[:-1] + clip["files"][name])
        (tmp_path / name).write_bytes(found.read())
        assert (tmp_path / name).read_bytes().startswith(start), name
        given = f"attachment; filename*=UTF-8''a-person-jumps-seed1.{name}"
        assert found.headers["Content-Disposition"] == given
    motion = read_motion((tmp_path / "npz").rename(tmp_path / "clip.npz"))
    assert motion.text == "a person jumps!" and motion.frames == 50
    assert motion.provenance["run"] == "cmu_open-tiny-projector"


def test_progress_can_be_followed(demo):
    job = ask(demo, "/generate", {"text": "a person walks", "wait": False, "steps": 200})
    seen = []
    while job["state"] in ("waiting", "working"):
        seen.append(job["progress"])
        job = ask(demo, f"/jobs/{job['id']}")
    assert job["state"] == "done" and job["progress"] == 1.0 and job["clips"]
    assert seen == sorted(seen) and any(0 < progress < 1 for progress in seen)


def test_a_sentence_far_from_the_training_captions_is_remarked_on(demo, monkeypatch):
    pipeline = type(demo.studio.model)
    monkeypatch.setattr(pipeline, "remarks", lambda self, texts: {texts[0]: "far from all"})
    answer = ask(demo, "/generate", {"text": "a cloud of bees", "seconds": 3})
    assert answer["remarks"] == ["the sentence is far from all"]


def test_words_of_the_run_s_own_folder_are_offered(demo, world, tmp_path):
    encoder = demo.studio.model.text_encoder
    run = world.copy_run("projector")
    word = Word("<limp>", encoder.word_vector("walk").detach(), encoder.fingerprint)
    write_word(run / "words" / "limp.safetensors", word)
    with make_server([f"run={run}", *OPTIONS], tmp_path) as server:
        assert list(server.studio.words) == ["<limp>"]
        assert ask(server, "/generate", {"text": "a <limp> person", "seconds": 3})["clips"]


def test_an_uploaded_motion_becomes_a_word_for_sentences(demo, world, tmp_path):
    sentence = {"text": "a <newcomer> person walks", "seconds": 3, "joints": True}
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        ask(demo, "/generate", sentence)
    assert "nobody has taught <newcomer>" in json.load(refused.value)["error"]
    query = urlencode({"word": "<Newcomer>", "init": "walk", "file": "my walk.bvh"})
    word = ask(demo, f"/words?{query}", world.figure("walk.bvh").read_bytes())["word"]
    assert word["word"] == "<newcomer>" and word["init"] == "walk"
    assert [entry["word"] for entry in ask(demo, "/about")["words"]] == ["<newcomer>"]
    (clip,) = ask(demo, "/generate", sentence)["clips"]
    file = tmp_path / "newcomer.safetensors"
    file.write_bytes(fetch(demo.url[:-1] + word["file"]).read())
    learned = read_word(file)
    assert learned.about["sources"] == ["my walk.bvh"] and learned.about["steps"] == 2
    generate = {"text": sentence["text"], "words": file, "sampling__steps": 3}
    assert main(world.generate(**generate)) == 0
    motion = read_motion(world.here / "clips" / "000.npz")
    np.testing.assert_allclose(np.array(clip["joints"]), motion.joints, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"port": 70000}, "less than or equal to 65535, got 70000"),
        ({"port": "x"}, "port takes a whole number"),
        ({"upload_mb": 0}, "'upload_mb' takes a number greater than 0"),
        ({"waiting": 0}, "'waiting' takes a number greater than or equal to 1"),
        ({"host": "192.0.2.1"}, "cannot listen on 192.0.2.1 port 7860"),
        ({"host": "x" * 300}, "cannot listen on x"),
        ({"words": "nowhere.safetensors"}, "nowhere.safetensors is missing"),
        ({"run": "nowhere"}, "nowhere is not a run directory"),
        ({"run": "null", "projector": "nowhere"}, "no run given: say run=RUN"),
        ({"sampling": "ddim5"}, "unknown sampling 'ddim5'"),
    ],
)
def test_wrong_options_are_one_line(world, refused, options, says):
    values = {"run": world.run("projector"), "port": 0, **options}
    if "host" in options:
        values["port"] = 7860
    assert says in refused(["demo", *(f"{key}={value}" for key, value in values.items())])


def test_a_taken_port_is_told_before_the_model_loads(world, refused, demo, monkeypatch):
    monkeypatch.setattr("lead.cli.demo._studio", lambda *_: pytest.fail("it loads the model"))
    says = refused(["demo", f"run={world.run('projector')}", f"port={demo.port}"])
    assert "(Address already in use): choose another; port=0" in says


@pytest.fixture
def start(world):
    """Starts `lead demo` as a process whose temporary files stand in the test's folder."""
    started = []

    def run(*before: str) -> subprocess.Popen:
        (world.here / "tmp").mkdir()
        words = ["demo", f"run={world.run('projector')}", *OPTIONS]
        process = subprocess.Popen(
            [*before, sys.executable, "-c", LEAD, *words],
            preexec_fn=lambda: [signal.signal(stop, signal.SIG_DFL) for stop in STOPS],
            env={**os.environ, "TMPDIR": str(world.here / "tmp")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "loading the model\n", process.stderr.read()
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def address(process: subprocess.Popen) -> str:
    line = process.stdout.readline()
    assert "open http://127.0.0.1:" in line, process.stderr.read()
    return line.partition("open ")[2].partition("/ ")[0]


@pytest.mark.parametrize("stop", STOPS, ids=[stop.name for stop in STOPS])
def test_a_signal_ends_it_and_leaves_no_file(world, start, stop):
    process = start()
    url = address(process)
    job = json.load(fetch(f"{url}/generate", {"text": "a person walks", "seconds": 3}))
    assert fetch(url + job["clips"][0]["files"]["bvh"]).read().startswith(b"HIERARCHY")
    fetch(f"{url}/generate", {"text": "a person walks", "steps": 1000, "wait": False})
    assert list((world.here / "tmp").glob("lead-demo-*"))
    process.send_signal(stop)
    process.send_signal(stop)  # an impatient one changes nothing
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (0, "lead demo: stopped\n", "")
    assert not list((world.here / "tmp").iterdir())


def test_a_signal_while_the_model_loads_leaves_no_file(world, start):
    process = start()
    process.send_signal(signal.SIGHUP)
    assert process.wait(300) == 0
    assert not list((world.here / "tmp").iterdir())


def test_under_nohup_it_outlives_its_terminal(world, start):
    ignoring = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    ignoring += "os.execv(sys.argv[1], sys.argv[1:])"
    process = start(sys.executable, "-c", ignoring)
    url = address(process)
    process.send_signal(signal.SIGHUP)
    assert json.load(fetch(f"{url}/about"))["fps"] == 20
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 0
    assert not list((world.here / "tmp").iterdir())
