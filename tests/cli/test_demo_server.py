"""`lead demo` as other programs see it: the JSON endpoint, files, uploads, refusals, Ctrl-C."""

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from types import SimpleNamespace
from urllib.parse import urlencode

import numpy as np
import pytest

from lead.cli.demo import make_server
from lead.cli.main import main
from lead.export.formats import FORMATS
from lead.export.motion_file import read_motion
from lead.inversion import Word, read_word, write_word

OPTIONS = ("port=0", "device=cpu", "sampling.steps=3", "inversion.steps=2", "upload_mb=0.3")
JSON, BINARY = "application/json", "application/octet-stream"


@pytest.fixture(scope="module")
def demo(chain, tmp_path_factory):
    """A server of the tiny chain, and a way to ask it."""
    folder = tmp_path_factory.mktemp("demo")
    run = chain / "checkpoints" / "synthetic-tiny-projector"
    server = make_server([f"run={run}", "kept=6", *OPTIONS], folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()

    def ask(method: str, path: str, body: object = None, **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=300)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body, given = json.dumps(body).encode(), {"Content-Type": JSON, **given}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        found = SimpleNamespace(
            status=answer.status, headers=answer.headers, data=answer.read(), json=None
        )
        if answer.headers["Content-Type"].startswith(JSON):
            found.json = json.loads(found.data)
        connection.close()
        return found

    yield SimpleNamespace(ask=ask, server=server, folder=folder)
    server.shutdown()
    thread.join()
    server.close()


def done(demo, job: dict) -> dict:
    """The job once it has ended."""
    end = time.monotonic() + 300
    while job["state"] in ("waiting", "working"):
        assert time.monotonic() < end, job
        time.sleep(0.02)
        job = demo.ask("GET", f"/jobs/{job['id']}").json
    return job


def error_of(answer, status: int) -> str:
    """The one line of a refusal."""
    assert answer.status == status, (answer.status, answer.data)
    assert list(answer.json) == ["error"] and "\n" not in answer.json["error"]
    return answer.json["error"]


def test_about_says_what_the_model_can_do(demo):
    about = demo.ask("GET", "/about").json
    assert about["run"] == "synthetic-tiny-projector" and about["projector"] is True
    assert about["fps"] == 20 and len(about["skeleton"]["joints"]) == 22
    assert about["skeleton"]["parents"][0] == -1
    assert about["defaults"]["steps"] == 3 and about["defaults"]["projector"] == "on"
    assert about["upload_bytes"] == 300_000 and about["licence"] == "CC0-1.0 (generated)"
    assert set(about["formats"]) == set(FORMATS)
    assert all(advice is None for name, advice in about["formats"].items() if name != "mp4")


def test_a_clip_is_the_one_that_lead_generate_writes(demo, world):
    request = {"text": "a person walks", "seconds": 3, "seed": 5, "steps": 2, "joints": True}
    answer = demo.ask("POST", "/generate", {**request, "projector": "both", "guidance": 2.0})
    assert answer.status == 200 and answer.json["state"] == "done"
    assert [clip["projector"] for clip in answer.json["clips"]] == ["on", "off"]
    for clip, project in zip(answer.json["clips"], ("true", "false"), strict=True):
        words = world.generate(seed=5, project=project, sampling__guidance_scale=2.0)
        assert main([*words, "overwrite=true"]) == 0
        motion = read_motion(world.here / "clips" / "000.npz")
        joints = np.array(clip["joints"])
        assert joints.shape == (60, 22, 3)
        np.testing.assert_allclose(joints, motion.joints, atol=1e-4)
        assert (clip["text"], clip["seed"], clip["fps"]) == ("a person walks", 5, 20)
        assert (clip["frames"], clip["seconds"], clip["skeleton"]) == (60, 3.0, "humanml3d")


def test_every_format_can_be_downloaded(demo, tmp_path):
    answer = demo.ask("POST", "/generate", {"text": "a person jumps!", "seconds": 2.5}).json
    (clip,) = answer["clips"]
    assert "joints" not in clip
    starts = {"bvh": b"HIERARCHY", "glb": b"glTF", "gif": b"GIF89a", "png": b"\x89PNG"}
    starts |= {"webp": b"RIFF", "html": b"<!doctype html>", "npz": b"PK"}
    for name, start in starts.items():
        found = demo.ask("GET", clip["files"][name])
        assert found.status == 200 and found.data.startswith(start), name
        given = f"attachment; filename*=UTF-8''a-person-jumps-seed1.{name}"
        assert found.headers["Content-Disposition"] == given
    (tmp_path / "clip.npz").write_bytes(demo.ask("GET", clip["files"]["npz"]).data)
    motion = read_motion(tmp_path / "clip.npz")
    assert motion.text == "a person jumps!" and motion.frames == 50
    assert motion.provenance["run"] == "synthetic-tiny-projector"
    player = demo.ask("GET", answer["player"])
    assert b"a person jumps!" in player.data
    assert "sandbox allow-scripts" in player.headers["Content-Security-Policy"]
    if find_spec("av") is None:
        assert "mp4" not in clip["files"]
        says = error_of(demo.ask("GET", clip["files"]["npz"].replace("npz", "mp4")), 400)
        assert "MP4 needs PyAV" in says


def test_progress_can_be_followed(demo):
    answer = demo.ask("POST", "/generate", {"text": "a person walks", "wait": False, "steps": 200})
    assert answer.status == 202 and answer.json["state"] in ("waiting", "working")
    seen, job = [], answer.json
    while job["state"] in ("waiting", "working"):
        seen.append(job["progress"])
        job = demo.ask("GET", f"/jobs/{job['id']}").json
    assert job["state"] == "done" and job["progress"] == 1.0 and job["clips"]
    assert seen == sorted(seen) and any(0 < progress < 1 for progress in seen)


def test_a_request_can_be_cancelled(demo):
    job = demo.ask("POST", "/generate", {"text": "x", "wait": False, "steps": 1000}).json
    demo.ask("DELETE", f"/jobs/{job['id']}")
    job = done(demo, job)
    assert job["state"] == "cancelled" and "clips" not in job
    says = error_of(demo.ask("GET", f"/jobs/{job['id']}/player"), 404)
    assert says == "this request has no clips"


def test_clean_feet_says_what_it_changed(demo):
    request = {"text": "a person walks", "seconds": 3, "clean_feet": True}
    (remark,) = demo.ask("POST", "/generate", request).json["remarks"]
    assert remark.startswith("clean feet, 1 clip: skating ratio ")


def test_a_sentence_far_from_the_training_captions_is_remarked_on(demo, monkeypatch):
    pipeline = type(demo.server.studio.pipeline)
    monkeypatch.setattr(pipeline, "remarks", lambda self, texts: {texts[0]: "far from all"})
    answer = demo.ask("POST", "/generate", {"text": "a cloud of bees", "seconds": 3}).json
    assert answer["remarks"] == ["the sentence is far from all"]


def test_words_of_the_run_s_own_folder_are_offered(demo, world, tmp_path):
    encoder = demo.server.studio.pipeline.text_encoder
    run = world.copy_run("projector")
    word = Word("<limp>", encoder.word_vector("walk").detach(), encoder.fingerprint)
    write_word(run / "words" / "limp.safetensors", word)
    server = make_server([f"run={run}", *OPTIONS], tmp_path)
    assert list(server.studio.words) == ["<limp>"]
    server.close()


def teach(demo, body: bytes, kind: str = BINARY, **query: object):
    values = {"word": "<zombie>", "init": "walk", "file": "my walk.bvh", **query}
    return demo.ask("POST", f"/words?{urlencode(values)}", body, Content_Type=kind)


def test_an_uploaded_motion_becomes_a_word_for_sentences(demo, world, tmp_path):
    sentence = {"text": "a <newcomer> person walks", "seconds": 3, "joints": True}
    says = error_of(demo.ask("POST", "/generate", sentence), 400)
    assert "nobody has taught <newcomer>" in says
    body = world.figure("walk.bvh").read_bytes()
    answer = teach(demo, body, word="<Newcomer>")
    assert answer.status == 200 and answer.json["state"] == "done"
    word = answer.json["word"]
    assert word["word"] == "<newcomer>" and word["init"] == "walk"
    assert [entry["word"] for entry in demo.ask("GET", "/about").json["words"]] == ["<newcomer>"]
    (clip,) = demo.ask("POST", "/generate", sentence).json["clips"]
    file = tmp_path / "newcomer.safetensors"
    file.write_bytes(demo.ask("GET", word["file"]).data)
    learned = read_word(file)
    assert learned.about["sources"] == ["my walk.bvh"] and learned.about["steps"] == 2
    generate = {"text": sentence["text"], "words": file, "sampling__steps": 3}
    assert main(world.generate(**generate)) == 0
    motion = read_motion(world.here / "clips" / "000.npz")
    np.testing.assert_allclose(np.array(clip["joints"]), motion.joints, atol=1e-4)


def test_a_wrong_upload_changes_nothing(demo, world):
    before = demo.ask("GET", "/about").json["words"]
    files = set(demo.folder.rglob("*"))
    body = world.figure("walk.bvh").read_bytes()
    packed = b"PK\x03\x04" + b"\0" * 1000
    assert "is a packed file" in error_of(teach(demo, packed), 400)
    assert "is not a BVH file" in error_of(teach(demo, b"a walk"), 400)
    for name in ("../../../etc/passwd", "/etc/passwd", "a\0b.bvh", "x" * 300):
        says = error_of(teach(demo, body[:400], file=name), 400)
        assert "/etc" not in says and str(demo.folder) not in says and len(says) < 250
    assert "angle brackets" in error_of(teach(demo, body, word="<../../x>"), 400)
    assert "'walk slowly' is 2 pieces" in error_of(teach(demo, body, init="walk slowly"), 400)
    assert "Content-Type must be" in error_of(teach(demo, body, kind="multipart/form-data"), 415)
    assert "0.3 MB are the most" in error_of(teach(demo, body + b" " * 300_000), 413)
    assert demo.ask("GET", "/about").json["words"] == before
    assert set(demo.folder.rglob("*")) <= files  # an old result may have made room


def raw(demo, head: str, body: bytes = b"") -> bytes:
    """What the server answers to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", demo.server.server_port), timeout=300) as stream:
        stream.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
        stream.shutdown(socket.SHUT_WR)
        answer = io.BytesIO()
        while block := stream.recv(1 << 16):
            answer.write(block)
    return answer.getvalue()


WORDS = "POST /words?word=%3Ca%3E&init=walk HTTP/1.1\nHost: localhost\n"


@pytest.mark.parametrize(
    ("head", "status", "says"),
    [
        (WORDS + f"Content-Type: {BINARY}\nContent-Length: 500000000\n", 413, "500.0 MB are too"),
        (
            WORDS + f"Content-Type: {BINARY}\nContent-Length: 500000000\nExpect: 100-continue\n",
            413,
            "500.0 MB are too much: 0.3 MB are the most",
        ),
        (WORDS + f"Content-Type: {BINARY}\nTransfer-Encoding: chunked\n", 411, "Content-Length"),
        (WORDS + f"Content-Type: {BINARY}\n", 411, "Content-Length"),
        (WORDS + f"Content-Type: {BINARY}\nContent-Length: -5\n", 400, "the body is empty"),
        (
            WORDS + f"Content-Type: {BINARY}\nContent-Encoding: gzip\nContent-Length: 9\n",
            415,
            "a packed body is not taken",
        ),
        ("POST /generate HTTP/1.1\nHost: localhost\nContent-Length: 2\n", 415, JSON),
        ("PUT /generate HTTP/1.1\nHost: localhost\n", 501, "Unsupported method"),
        ("GET / HTTP/1.1\n", 403, "is not served here"),
        ("GET / HTTP/1.1\nHost: evil.example\n", 403, "names=[HOST]"),
        ("GET /../../etc/passwd HTTP/1.1\nHost: localhost\n", 404, "there is no"),
        ("GET /page.py HTTP/1.1\nHost: localhost\n", 404, "there is no"),
        ("GET /words/..%2Fx.safetensors HTTP/1.1\nHost: localhost\n", 404, "there is no"),
        ("GET /jobs/x/..%2F0.bvh HTTP/1.1\nHost: localhost\n", 404, "there is no"),
        ("GET http://[/ HTTP/1.1\nHost: localhost\n", 400, "error"),
    ],
)
def test_what_is_too_large_or_broken_is_refused_at_once(demo, head, status, says):
    answer = raw(demo, head)
    first, _, rest = answer.partition(b"\r\n")
    assert f" {status} ".encode() in first, answer
    assert says.encode() in rest and b"100 Continue" not in answer


def test_what_is_no_http_gets_one_line(demo):
    assert raw(demo, "nonsense\n") == b"""{"error":"Bad request syntax ('nonsense')"}"""


def test_other_sites_can_neither_ask_nor_look(demo):
    request = {"text": "a person walks"}
    origin = f"http://127.0.0.1:{demo.server.server_port}"
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert "another site" in error_of(demo.ask("POST", "/generate", request, **headers), 403)
        assert "another site" in error_of(demo.ask("GET", "/about", **headers), 403)
    simple = {"Content_Type": "text/plain"}  # what a form of another site can send unasked
    assert error_of(demo.ask("POST", "/generate", json.dumps(request).encode(), **simple), 415)
    assert demo.ask("GET", "/about", Origin=origin).status == 200
    page = demo.ask("GET", "/")
    assert "access-control-allow-origin" not in {name.lower() for name in page.headers}
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_older_results_are_removed_with_their_files(demo):
    first = demo.ask("POST", "/generate", {"text": "first", "seconds": 3}).json
    file = first["clips"][0]["files"]["bvh"]
    assert demo.ask("GET", file).status == 200
    assert (demo.folder / first["id"]).is_dir()
    for number in range(8):
        demo.ask("POST", "/generate", {"text": "later", "seconds": 3, "seed": number})
    assert "send it again" in error_of(demo.ask("GET", file), 404)
    assert not (demo.folder / first["id"]).exists()


def test_the_page_asks_for_nothing_from_outside(demo):
    for path in ("/", "/page.css", "/page.js"):
        found = demo.ask("GET", path)
        assert found.status == 200
        assert b"http:" not in found.data and b"https:" not in found.data
        assert found.headers["X-Content-Type-Options"] == "nosniff"


def test_every_control_of_the_page_has_a_label(demo):
    from html.parser import HTMLParser

    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(demo.ask("GET", "/").data.decode())
    labelled = {attributes.get("for") for tag, attributes in tags if tag == "label"}
    controls = [
        attributes["id"]
        for tag, attributes in tags
        if tag in ("input", "textarea", "select") and attributes.get("type") not in ("radio",)
    ]
    wrapped = {"clean-feet"}  # its label is around it
    assert len(controls) == 9
    assert set(controls) - labelled == wrapped


def test_docs_name_every_field(demo, repository):
    text = (repository / "docs" / "demo.md").read_text()
    about = demo.ask("GET", "/about").json
    answer = demo.ask("POST", "/generate", {"text": "a person walks", "joints": True}).json
    fields = {"text", *about["defaults"], *about, *answer, *answer["clips"][0]}
    assert not [name for name in sorted(fields) if f"`{name}`" not in text]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"port": 70000}, "port must be from 0 to 65535"),
        ({"upload_mb": 0}, "upload_mb must be above 0"),
        ({"waiting": 0}, "waiting must be at least 1"),
        ({"host": "192.0.2.1"}, "cannot listen on 192.0.2.1 port 7860"),
        ({"words": "nowhere.safetensors"}, "nowhere.safetensors is no file"),
        ({"run": "nowhere"}, "nowhere is not a run directory"),
        ({"sampling": "ddim5"}, "unknown sampling 'ddim5'"),
    ],
)
def test_wrong_options_are_one_line(world, refused, options, says):
    values = {"run": world.run("projector"), **options}
    assert says in refused(["demo", *(f"{key}={value}" for key, value in values.items())])


def test_a_taken_port_is_one_line(world, refused, demo):
    taken = f"port={demo.server.server_port}"
    says = refused(["demo", f"run={world.run('projector')}", taken])
    assert "(Address already in use): choose another; port=0" in says


def test_ctrl_c_ends_it_and_leaves_no_file(world):
    code = "from lead.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
    words = ["demo", f"run={world.run('projector')}", *OPTIONS]
    (world.here / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # also in the background
        env={**os.environ, "TMPDIR": str(world.here / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "loading the model\n"
        line = process.stdout.readline()
        assert "open http://127.0.0.1:" in line, process.stderr.read()
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        body = json.dumps({"text": "a person walks", "seconds": 3})
        connection.request("POST", "/generate", body, {"Content-Type": JSON})
        clip = json.loads(connection.getresponse().read())["clips"][0]
        connection.request("GET", clip["files"]["bvh"])
        assert connection.getresponse().read().startswith(b"HIERARCHY")
        assert list((world.here / "tmp").glob("lead-demo-*/*/0.bvh"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (0, "lead demo: stopped\n", "")
    assert not list((world.here / "tmp").glob("lead-demo-*"))
