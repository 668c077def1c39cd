"""The server of `lead demo` as anyone can ask it: what is answered, and what is refused how."""

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import numpy as np
import pytest

from lead.core.errors import WorkError
from lead.export.formats import FORMATS
from lead.service import app, jobs, server

JSON, BINARY = "application/json", "application/octet-stream"
FORM = b'{"text": "a person walks", "seconds": 3}'


def raw(visitor, data: bytes, more: bytes = b"") -> bytes:
    """What the server answers to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", visitor.server.port), timeout=60) as stream:
        stream.sendall(data)
        if more:
            stream.sendall(more)
        answer = b""
        while block := stream.recv(1 << 16):
            answer += block
    return answer


def head(text: str, *lines: str) -> bytes:
    """A request's first line and headers; the server is asked to close the connection."""
    return "\r\n".join([text, *lines, "Connection: close", "", ""]).encode("latin-1")


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_a_clip_is_answered_with_its_joints_and_files(visitor):
    answer = visitor.generate(seconds=3, seed=4, joints=True, projector="both")
    assert answer.status_code == 200 and answer.json()["state"] == "done"
    for clip, side in zip(answer.json()["clips"], ("on", "off"), strict=True):
        joints = np.array(clip["joints"])
        assert joints.shape == (60, 22, 3) and clip["projector"] == side
        assert np.diff(joints[:, 0, 2]).mean() == pytest.approx(0.05, abs=1e-3)  # by its seed
        assert set(clip["files"]) == set(FORMATS)
    page = visitor.ask("GET", answer.json()["player"])
    assert b"a person walks (projector off)" in page.content
    assert "sandbox allow-scripts" in page.headers["Content-Security-Policy"]


def test_a_clip_taught_as_a_word_is_that_motion(visitor):
    clip = visitor.generate(seconds=3, seed=2).json()["clips"][0]
    data = visitor.ask("GET", clip["files"]["bvh"]).content
    answer = visitor.teach(data, word="<Hop>")
    word = answer.json()["word"]
    assert (answer.status_code, word["word"], word["init"]) == (200, "<hop>", "walk")
    steps = visitor.server.studio.read[:, 2]
    assert steps.mean() == pytest.approx(0.03, abs=3e-3)  # metres a frame, as the seed says
    file = visitor.ask("GET", word["file"])
    assert file.status_code == 200
    assert file.headers["Content-Disposition"] == "attachment; filename*=UTF-8''hop.safetensors"
    assert "<hop>" in [entry["word"] for entry in visitor.ask("GET", "/about").json()["words"]]


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/about", "/openapi.json"])
def test_head_is_answered_as_get_without_a_body(visitor, path):
    full, short = visitor.ask("GET", path), visitor.ask("HEAD", path)
    assert short.status_code == full.status_code == 200 and short.content == b""
    assert short.headers["Content-Length"] == str(len(full.content))
    for name in ("Content-Type", "Content-Security-Policy", "X-Content-Type-Options"):
        assert short.headers[name] == full.headers[name]


def test_head_of_a_job_and_of_nothing(visitor):
    job = visitor.generate(seconds=3).json()
    for path in (f"/jobs/{job['id']}", job["player"], job["clips"][0]["files"]["bvh"]):
        assert visitor.ask("HEAD", path).status_code == 200
    assert visitor.ask("HEAD", "/jobs/unknown").status_code == 404


JSON_IS_WRONG, NOT_FINITE = "the body is not valid JSON", "takes a finite number"
BODIES = [
    (b"{", JSON_IS_WRONG),
    (b"", "the body is empty"),
    (b"[1]", "an object of keys and values expected"),
    (b'"text"', "an object of keys and values expected"),
    (b"null", "an object of keys and values expected"),
    (b"\xff\xfe", JSON_IS_WRONG),
    (b'{"seconds": NaN, "text": "x"}', NOT_FINITE),
    (b'{"seconds": -Infinity, "text": "x"}', NOT_FINITE),
    (b'{"text": "x", "seconds": 1e999}', NOT_FINITE),
    (b'{"text": "\\ud800"}', JSON_IS_WRONG),
    (b'{"text": "a \\udc00 walks"}', JSON_IS_WRONG),
    (b'{"\\ud800": 1, "text": "x"}', JSON_IS_WRONG),
    (b'{"text": "x", "joints": {"\\udfff": 1}}', JSON_IS_WRONG),
    (b'{"text": "\xed\xa0\x80"}', JSON_IS_WRONG),
    (b"[" * 9_000, JSON_IS_WRONG),
    (b'{"text": ' + b'{"a":' * 3_000 + b"1" + b"}" * 3_000 + b"}", JSON_IS_WRONG),
    (b'{"text": "x", "seed": ' + b"9" * 5_000 + b"}", JSON_IS_WRONG),
    (b'{"text": "x", "seconds": ' + b"9" * 5_000 + b".5}", NOT_FINITE),
    (b'{"text": "x", "seed": -' + b"9" * 300 + b"}", "'seed' takes a number greater than"),
    (b"{" + b'"a": 1, ' * 1_500 + b'"text": "x"}', "unknown key 'a'"),
    (json.dumps({f"f{n}": n for n in range(500)} | {"text": "x"}).encode(), "unknown key 'f0'"),
    (json.dumps({"text": "x" * 19_000}).encode(), "text has 19000 characters, 500 are the most"),
    (json.dumps({"n" * 19_000: 1, "text": "x"}).encode(), "unknown key 'nnn"),
    (json.dumps({"text": "x", "projector": "o" * 9_000}).encode(), "'off' or 'both', got 'ooo"),
]


@pytest.mark.parametrize(("body", "says"), BODIES)
def test_whatever_a_body_holds_gets_a_line(visitor, body, says):
    answer = visitor.ask("POST", "/generate", data=body, headers={"Content-Type": JSON})
    assert says in visitor.refused(answer, 400)


QUERIES = [
    ("", "it has no 'word'"),
    ("word=%3Ca%3E", "it has no 'init'"),
    ("&".join(f"f{n}={n}" for n in range(500)), "unknown key 'f0'"),
    ("word=%3Ca%3E&init=walk&" + "&".join(f"f{n}" for n in range(500)), "unknown key 'f0'"),
    ("word=%3Ca%3E&init=walk&" + "&".join(["word=b"] * 500), "angle brackets"),
    ("word=%3Ca%3E&init=walk&%ED%A0%80=1", "unknown key"),
    ("word=%ED%A0%80&init=walk", "angle brackets"),
    ("word=%FF&init=walk", "angle brackets"),
    ("word=%3Ca%3E&init=%00", "init must be plain text"),
    ("word=%3Ca%3E&init=" + "x" * 9_000, "init has 9000 characters, 500 are"),
    ("word=%3C" + "x" * 400 + "%22%3E&init=walk", "angle brackets"),
    ("word=%3Ca%3E&init=walk&means=x", "'means' takes 'manner' or 'motion', got 'x'"),
    ("word=%3Ca%3E&init=walk&wait=perhaps", "'wait' takes a valid boolean"),
    ("=&=&;;&%", "unknown key"),
]


@pytest.mark.parametrize(("query", "says"), QUERIES)
def test_whatever_a_query_holds_gets_a_line(visitor, query, says):
    headers = {"Content-Type": BINARY}
    answer = visitor.ask("POST", f"/words?{query}", data=b"HIERARCHY", headers=headers)
    assert says in visitor.refused(answer, 400)


@pytest.fixture(scope="module")
def bvh(opened) -> str:
    """A motion that can be taught."""
    opened.stick.gate.set()
    clip = opened.generate(seconds=3).json()["clips"][0]
    return opened.ask("GET", clip["files"]["bvh"]).text


TIMES = ["5e-324", "1e-300", "1e-30", "1e300", "9e999", "inf", "nan", "0", "-1", "900", "1e5", "x"]
COUNTS = ["0", "-1", "1" + "0" * 30, "1e9", "999999999", "nan", ""]
NUMBERS = ["1e200", "1e308", "nan", "inf", "9" * 400, "0x10", "1e-320"]


@pytest.mark.parametrize(
    ("pattern", "value"),
    [("Frame Time: .*", f"Frame Time: {time}") for time in TIMES]
    + [("Frames: .*", f"Frames: {count}") for count in COUNTS]
    + [(r"(?<=\n)-?[\d.]+(?= [^\n]*\Z)", number) for number in NUMBERS[:-1]]
    + [(r"(?<=\t\tOFFSET )\S+", number) for number in NUMBERS[:-1]],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_motion_that_cannot_be_is_refused(visitor, bvh, pattern, value):
    broken = re.sub(pattern, value, bvh.rstrip("\n"), count=1)
    assert broken != bvh.rstrip("\n")
    assert "walk.bvh" in visitor.refused(visitor.teach(broken.encode()), 400)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: "PK\x03\x04" + "\0" * 999, "walk.bvh: not a whole .npz archive"),
        (lambda text: "GIF89a", "walk.bvh:1: not a BVH file"),
        (lambda text: "\0" * 100_000, "walk.bvh:1: not a BVH file"),
        (lambda text: "HIERARCHY\n" + "{" * 280_000, "walk.bvh:2: ROOT expected"),
        (lambda text: text.replace("MOTION\n", ""), "MOTION expected, found 'Frames:'"),
        (lambda text: re.sub("Frame Time: .*", "Frame Time: 9", text), "walk.bvh lasts 540 s"),
        (lambda text: text[: len(text) // 2], "walk.bvh:"),
        (lambda text: text.replace("left_hip", "flipper"), "no skeleton map"),
        (lambda text: "HIERARCHY\xff\nMOTION\n", "walk.bvh:1: not a BVH text file"),
        (lambda text: text + " " * 300_000, "0.3 MB are the most"),
    ],
)
def test_an_upload_that_is_no_motion_is_told_so(visitor, bvh, change, says):
    answer = visitor.teach(change(bvh).encode("latin-1"))
    assert says in visitor.refused(answer, 413 if "0.3 MB" in says else 400)


def test_an_upload_is_of_one_kind_and_its_name_is_only_a_name(visitor, bvh):
    for name in ("../../../etc/passwd", "/etc/passwd", "a\0b.bvh", "x" * 300):
        says = visitor.refused(visitor.teach(bvh[:400].encode(), file=name), 400)
        assert "/etc" not in says
    multipart = visitor.teach(bvh.encode(), kind="multipart/form-data")
    assert "Content-Type must be" in visitor.refused(multipart, 415)


WORDS = "POST /words?word=%3Ca%3E&init=walk HTTP/1.1"
HERE = "Host: localhost"
TYPE = f"Content-Type: {BINARY}"


@pytest.mark.parametrize(
    ("request_head", "status", "says"),
    [
        (
            head(WORDS, HERE, TYPE, "Content-Length: 500000000"),
            413,
            "500.0 MB are too much",
        ),
        (
            head(WORDS, HERE, TYPE, "Content-Length: 500000000", "Expect: 100-continue"),
            413,
            "500.0 MB are too much",
        ),
        (head(WORDS, HERE, TYPE, f"Content-Length: {'9' * 30}"), 400, "Invalid HTTP"),
        (head(WORDS, HERE, TYPE), 400, "the body is empty"),
        (head(WORDS, HERE, TYPE, "Content-Length: -5"), 400, "Invalid HTTP"),
        (head(WORDS, HERE, TYPE, "Content-Length: 5", "Content-Length: 6"), 400, "Invalid HTTP"),
        (head(WORDS, HERE, TYPE, "Content-Length: 5, 6"), 400, "Invalid HTTP"),
        (head(WORDS, HERE, TYPE, "Transfer-Encoding: gzip"), 400, "Invalid HTTP"),
        (
            head(WORDS, HERE, TYPE, "Content-Encoding: gzip", "Content-Length: 9"),
            415,
            "a packed body is not taken",
        ),
        (head("POST /generate HTTP/1.1", HERE, "Content-Length: 2"), 415, JSON),
        (head("PUT /generate HTTP/1.1", HERE), 405, "there is no PUT /generate here"),
        (head("OPTIONS /generate HTTP/1.1", HERE), 405, "there is no OPTIONS"),
        (head("GET / HTTP/1.1"), 400, "Invalid HTTP"),
        (head("GET / HTTP/1.1", HERE, "Host: evil.example"), 400, "Invalid HTTP"),
        (head("GET / HTTP/1.1", "Host: evil.example"), 403, "names=[HOST]"),
        (head("GET /../../etc/passwd HTTP/1.1", HERE), 404, "there is no"),
        (head("GET /%2e%2e/forms.py HTTP/1.1", HERE), 404, "there is no"),
        (head("GET /forms.py HTTP/1.1", HERE), 404, "there is no GET /forms.py here"),
        (head("GET /words/..%2Fx.safetensors HTTP/1.1", HERE), 404, "there is no"),
        (head("GET /jobs/x/..%2F0.bvh HTTP/1.1", HERE), 404, "there is no"),
        (head("GET /%ED%A0%80%FF%00 HTTP/1.1", HERE), 404, "there is no"),
        (head("GET http://[/ HTTP/1.1", HERE), 400, "the address is broken"),
        (head("GET x HTTP/1.1", HERE), 400, "the address is broken"),
        (head("OPTIONS * HTTP/1.1", HERE), 400, "the address is broken"),
        (head("GET /" + "x" * 9_000 + " HTTP/1.1", HERE), 404, "there is no GET /xxx"),
        (b"nonsense\r\n\r\n", 400, "Invalid HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "Invalid HTTP"),
    ],
)
def test_what_is_too_large_or_broken_is_refused_at_once(visitor, request_head, status, says):
    answer = raw(visitor, request_head)
    first, _, rest = answer.partition(b"\r\n")
    assert f" {status} ".encode() in first, answer
    line = json.loads(rest.partition(b"\r\n\r\n")[2])["error"]
    assert says in line and len(line) <= 300 and b"100 Continue" not in answer


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "x@localhost", "local.x"])
def test_a_foreign_host_in_a_whole_address_is_refused(visitor, host):
    for line in (HERE, f"Host: {host}"):
        answer = raw(visitor, head(f"GET http://{host}/about HTTP/1.1", line))
        assert b" 403 " in answer and b"is not served here" in answer


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "box.example", "BOX.example:1"])
def test_a_whole_address_of_this_server_is_its_path(visitor, host):
    answer = raw(visitor, head(f"GET http://{host}/about?x HTTP/1.1", f"Host: {host}"))
    assert b" 200 " in answer and b'"run":"stick"' in answer


def chunks(data: bytes, size: int) -> bytes:
    """A body in chunks."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def test_a_body_in_chunks_is_read_and_limited_like_others(visitor, bvh):
    chunked = (HERE, "Transfer-Encoding: chunked")
    post = head("POST /generate HTTP/1.1", *chunked, f"Content-Type: {JSON}")
    answer = raw(visitor, post, chunks(FORM, 7))
    assert b" 200 " in answer and b'"state":"done"' in answer
    large = json.dumps({"text": "x" * 30_000}).encode()
    assert b"MB are too much: 0.02 MB are the most" in raw(visitor, post, chunks(large, 5_000))
    teach = head(WORDS, *chunked, TYPE)
    assert b'"state":"done"' in raw(visitor, teach, chunks(bvh.encode(), 9_000))
    answer = raw(visitor, teach, chunks(bvh.encode() + b" " * 300_000, 60_000)[:350_000])
    assert b" 413 " in answer and b"MB are too much: 0.3 MB are the most" in answer
    assert b" 400 " in raw(visitor, post, b"zz\r\n")  # no length of a chunk


LET_GO = 4.0  # seconds: longer than a loaded machine takes for the four rounds below


def test_slow_senders_shut_nobody_out_and_are_let_go(visitor, monkeypatch):
    """More connections than there used to be threads, each with a byte now and then."""
    monkeypatch.setattr(server, "HEAD_SECONDS", LET_GO)
    monkeypatch.setattr(app, "BODY_SECONDS", LET_GO)
    address = ("127.0.0.1", visitor.server.port)
    silent = [socket.create_connection(address, timeout=60) for _ in range(10)]
    heads = [socket.create_connection(address, timeout=60) for _ in range(100)]
    bodies = [socket.create_connection(address, timeout=60) for _ in range(10)]
    begin = f"POST /generate HTTP/1.1\r\n{HERE}\r\nContent-Type: {JSON}\r\n".encode()
    for stream in bodies:
        stream.sendall(begin + b"Content-Length: 15000\r\n\r\n")
    for place in range(4):
        for stream in heads:
            stream.sendall(begin[place : place + 1])
        for stream in bodies:
            stream.sendall(b" ")
        assert visitor.generate(seconds=3).status_code == 200
    for stream in (*silent, *heads):
        assert stream.recv(999) == b""
        stream.close()
    for stream in bodies:
        assert b"408" in stream.recv(999)
        stream.close()


def test_a_client_that_leaves_takes_its_jobs_along(visitor):
    visitor.stick.gate.clear()
    post = f"POST /generate HTTP/1.1\r\n{HERE}\r\nContent-Type: {JSON}\r\n"
    post += f"Content-Length: {len(FORM)}\r\n\r\n"
    streams = []
    queue, made = visitor.server.desk.queue, visitor.stick.steps
    before = set(queue._jobs)
    for _ in range(3):  # one is worked on, two wait
        streams.append(socket.create_connection(("127.0.0.1", visitor.server.port), timeout=60))
        streams[-1].sendall(post.encode() + FORM)
        wait_for(lambda: len(set(queue._jobs) - before) == len(streams))
    mine = [queue._jobs[name] for name in queue._jobs if name not in before]
    wait_for(lambda: mine[0].state == "working")
    busy = visitor.generate(seconds=3)
    assert "2 requests wait already" in visitor.refused(busy, 503)
    assert busy.headers["Retry-After"] == "5"
    for stream in streams:
        stream.close()
    wait_for(lambda: [job.state for job in mine[1:]] == ["cancelled", "cancelled"])
    wait_for(lambda: mine[0].cancelled)
    visitor.stick.gate.set()
    assert mine[0].finished.wait(60) and mine[0].state == "cancelled"
    assert visitor.stick.steps <= made + 1
    assert visitor.generate(seconds=3).status_code == 200


def test_a_job_that_nobody_asks_for_makes_room(visitor, monkeypatch):
    visitor.stick.gate.clear()
    ids = [visitor.generate(wait=False).json()["id"] for _ in range(1)]
    queue = visitor.server.desk.queue
    wait_for(lambda: queue.find(ids[0]).state == "working")
    ids += [visitor.generate(wait=False).json()["id"] for _ in range(2)]
    visitor.refused(visitor.generate(wait=False), 503)
    queue.find(ids[1]).asked -= jobs.PATIENCE + 1
    answer = visitor.generate(wait=False)
    assert answer.status_code == 202 and answer.json()["before"] == 2
    visitor.stick.gate.set()
    states = []
    for name in (*ids, answer.json()["id"]):
        job = queue.find(name)
        assert job.finished.wait(60)
        states.append(visitor.ask("GET", f"/jobs/{name}").json()["state"])
    assert states == ["done", "cancelled", "done", "done"]


def test_a_job_can_be_followed_and_cancelled(visitor):
    visitor.stick.gate.clear()
    answer = visitor.generate(wait=False, steps=1000)
    assert answer.status_code == 202 and answer.json()["state"] in ("waiting", "working")
    path = f"/jobs/{answer.json()['id']}"
    assert "has no clips" in visitor.refused(visitor.ask("GET", f"{path}/player"), 404)
    assert visitor.ask("DELETE", path).status_code == 200
    visitor.stick.gate.set()
    wait_for(lambda: visitor.ask("GET", path).json()["state"] == "cancelled")
    assert "unknown or forgotten" in visitor.refused(visitor.ask("DELETE", "/jobs/x"), 404)


def test_work_that_fails_is_one_line(visitor):
    visitor.stick.fails = WorkError("the disk is full")
    assert visitor.refused(visitor.generate(), 500) == "the disk is full"
    visitor.stick.fails = KeyError("inner\nworkings \ud800 " + "x" * 999)
    says = visitor.refused(visitor.generate(), 500)
    assert says.startswith("a mistake inside lead (KeyError")
    job = visitor.generate(wait=False).json()
    wait_for(lambda: visitor.ask("GET", f"/jobs/{job['id']}").json()["state"] == "failed")
    assert visitor.ask("GET", f"/jobs/{job['id']}").json()["error"] == says


def test_a_mistake_outside_of_jobs_is_one_line(visitor, monkeypatch):
    def stumble(*_):
        raise ZeroDivisionError("inner\nworkings")

    monkeypatch.setattr(app.replies, "about", stumble)
    says = visitor.refused(visitor.ask("GET", "/about"), 500)
    assert says.startswith("a mistake inside lead (ZeroDivisionError: inner workings)")


def test_older_results_are_forgotten(visitor):
    first = visitor.generate(seconds=3).json()
    file = first["clips"][0]["files"]["bvh"]
    assert visitor.ask("GET", file).status_code == 200
    for number in range(8):
        visitor.generate(seconds=3, seed=number)
    assert "send it again" in visitor.refused(visitor.ask("GET", file), 404)


def test_a_server_that_ends_cancels_and_writes_nothing_more(open_server, monkeypatch):
    began, go, written = threading.Event(), threading.Event(), []

    def export(motion, path, format):
        began.set()
        assert go.wait(60)
        written.append(path)
        path.write_bytes(b"x")

    monkeypatch.setattr(app, "export_motion", export)
    with ThreadPoolExecutor(4) as visitors, open_server() as visitor:
        visitor.stick.gate.set()
        file = visitor.generate(seconds=3).json()["clips"][0]["files"]["bvh"]
        visitor.stick.gate.clear()
        waits = visitors.submit(visitor.generate, seconds=3)
        first = visitors.submit(visitor.ask, "GET", file)
        assert began.wait(60)
        later = visitors.submit(visitor.ask, "GET", file)
        desk = visitor.server.desk
        ends = visitors.submit(desk.close, 60)
        wait_for(lambda: desk.queue._jobs and all(j.cancelled for j in desk.queue._jobs.values()))
        visitor.stick.gate.set()
        assert "cancelled" in visitor.refused(waits.result(), 409)
        wait_for(lambda: desk._closed)
        go.set()
        ends.result()
        assert first.result().content == b"x" and len(written) == 1
        assert visitor.refused(later.result(), 409) == "the server ends"
        assert not list(visitor.folder.iterdir())


def test_other_sites_can_neither_ask_nor_look(visitor):
    origin = visitor.server.url[:-1]
    for foreign in ("http://evil.example", "null", "http://127.0.0.1:1"):
        for method, path in (("POST", "/generate"), ("GET", "/about"), ("GET", "/openapi.json")):
            answer = visitor.ask(method, path, json={}, headers={"Origin": foreign})
            assert "another site" in visitor.refused(answer, 403)
    simple = {"Content-Type": "text/plain"}  # what a form of another site can send unasked
    assert visitor.refused(visitor.ask("POST", "/generate", data=FORM, headers=simple), 415)
    assert visitor.ask("GET", "/about", headers={"Origin": origin}).status_code == 200
    page = visitor.ask("GET", "/")
    assert "Access-Control-Allow-Origin" not in page.headers
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_the_page_asks_for_nothing_from_outside(visitor):
    for path in ("/", "/page.css", "/page.js"):
        found = visitor.ask("GET", path)
        assert found.status_code == 200
        assert b"http:" not in found.content and b"https:" not in found.content
        assert found.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):  # their scripts are elsewhere
        assert "there is no" in visitor.refused(visitor.ask("GET", path), 404)


def test_every_control_of_the_page_has_a_label(visitor):
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(visitor.ask("GET", "/").text)
    labelled = {attributes.get("for") for tag, attributes in tags if tag == "label"}
    controls = [
        attributes["id"]
        for tag, attributes in tags
        if tag in ("input", "textarea", "select") and attributes.get("type") not in ("radio",)
    ]
    assert len(controls) == 9
    assert set(controls) <= labelled


def test_docs_name_every_field(visitor, repository):
    text = (repository / "docs" / "demo.md").read_text()
    about = visitor.ask("GET", "/about").json()
    answer = visitor.generate(joints=True).json()
    fields = {"text", *about["defaults"], *about, *answer, *answer["clips"][0]}
    assert not [name for name in sorted(fields) if f"`{name}`" not in text]


def test_the_description_names_every_request_and_every_limit(visitor):
    described = visitor.ask("GET", "/openapi.json").json()
    assert {path: sorted(kinds) for path, kinds in described["paths"].items()} == {
        "/about": ["get"],
        "/captions": ["post"],
        "/generate": ["post"],
        "/words": ["post"],
        "/words/{file}": ["get"],
        "/jobs/{name}": ["delete", "get"],
        "/jobs/{name}/attention": ["post"],
        "/jobs/{name}/attention.png": ["get"],
        "/jobs/{name}/player": ["get"],
        "/jobs/{name}/{file}": ["get"],
    }
    body = described["paths"]["/generate"]["post"]["requestBody"]["content"][JSON]["schema"]
    about = visitor.ask("GET", "/about").json()
    for name, default in about["defaults"].items():
        assert body["properties"][name]["default"] == default
    for name in ("seconds", "seed", "guidance", "steps"):
        field = body["properties"][name]
        assert [field["minimum"], field["maximum"]] == about["limits"][name]
