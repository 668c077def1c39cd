"""What stands behind the page of `lead demo`: forms, visitors, the queue, uploads."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from lead.cli.demo_page.forms import (
    ClipForm,
    Limits,
    read_clip_form,
    read_json_object,
    read_word_form,
)
from lead.cli.demo_page.guard import refusal
from lead.cli.demo_page.jobs import BusyError, CancelledError, JobQueue
from lead.cli.demo_page.uploads import read_upload
from lead.core.errors import RequestError, WorkError
from lead.representation import get_skeleton

LIMITS = Limits(fps=20.0, frames=(12, 196), projector=True)
DEFAULTS = ClipForm(text="", guidance=2.0, steps=10)


def test_a_form_keeps_what_is_given_and_fills_in_the_rest():
    given = {"text": "  a person\n walks ", "seconds": 3, "seed": 2**53 - 1, "projector": "both"}
    form = read_clip_form(given, DEFAULTS, LIMITS)
    assert (form.text, form.seconds, form.seed) == ("a person walks", 3.0, 9007199254740991)
    assert (form.guidance, form.steps, form.projector) == (2.0, 10, "both")
    assert form.wait is True and form.joints is False


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "text is empty"),
        ({"text": "walk", "secnds": 3}, "unknown field 'secnds': did you mean 'seconds'?"),
        ({"text": 3}, "text takes a text, got 3"),
        ({"text": "a" * 501}, "text has 501 characters: 500 are the most"),
        ({"text": "a\0b"}, "text must be plain text"),
        ({"text": "a \x1b[31m b"}, "without control characters"),
        ({"text": "\ud800"}, "text must be plain text"),
        ({"text": "walk", "seconds": "4"}, 'seconds takes a number, got "4"'),
        ({"text": "walk", "seconds": True}, "seconds takes a number, got true"),
        ({"text": "walk", "seconds": 0.5}, "seconds must be from 0.6 to 9.8"),
        ({"text": "walk", "seconds": 1e300}, "seconds takes a number"),
        ({"text": "walk", "seconds": 10**400}, "seconds takes a number"),
        ({"text": "walk", "seed": -1}, "seed must be from 0 to 9007199254740991, got -1"),
        ({"text": "walk", "seed": 1.5}, "seed takes a whole number, got 1.5"),
        ({"text": "walk", "steps": 0}, "steps must be from 1 to 1000, got 0"),
        ({"text": "walk", "guidance": -2}, "guidance must be from 0 to 30, got -2"),
        ({"text": "walk", "projector": "of"}, "unknown projector 'of': did you mean 'off'?"),
        ({"text": "walk", "clean_feet": "yes"}, 'clean_feet takes true or false, got "yes"'),
    ],
)
def test_a_wrong_form_is_one_line(values, says):
    with pytest.raises(RequestError) as refused:
        read_clip_form(values, DEFAULTS, LIMITS)
    assert says in str(refused.value) and "\n" not in str(refused.value)


def test_a_model_without_projector_is_asked_without():
    limits = Limits(fps=20.0, frames=(12, 196), projector=False)
    with pytest.raises(RequestError, match="the model has no projector"):
        read_clip_form({"text": "walk"}, DEFAULTS, limits)
    assert read_clip_form({"text": "walk", "projector": "off"}, DEFAULTS, limits).text == "walk"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b'"text"', b'{"seconds": NaN}', b'{"a": Infinity}', b"\xff", b"[" * 9999]
    + [b'{"seed": ' + b"9" * 5000 + b"}"],
)
def test_only_a_json_object_is_read(body):
    with pytest.raises(RequestError, match="JSON"):
        read_json_object(body)


def test_a_word_is_spelled_in_brackets_and_its_file_is_only_a_name():
    values = {"word": "<Zombie>", "init": " walk ", "file": "..\\../../etc/pass\nwd.bvh"}
    form = read_word_form(values)
    assert (form.word, form.init, form.file) == ("<zombie>", "walk", "passwd.bvh")
    for wrong, says in (
        ({"word": "zombie"}, "angle brackets"),
        ({"word": "<../x>"}, "angle brackets"),
        ({"init": " "}, "init is missing"),
        ({"means": "mood"}, "unknown means 'mood'"),
        ({"path": "x"}, "unknown field 'path'"),
    ):
        with pytest.raises(RequestError, match=says):
            read_word_form({**values, **wrong})


WELCOME = [
    {"Host": "localhost:7860"},
    {"Host": "127.0.0.1"},
    {"Host": "[::1]:7860"},
    {"Host": "192.168.7.1:80"},
    {"Host": "Box.example:7860"},
    {"Host": "localhost:7860", "Origin": "http://localhost:7860"},
    {"Host": "localhost:7860", "Sec-Fetch-Site": "same-origin"},
]
FOREIGN = [
    {},
    {"Host": "evil.example:7860"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "localhost:7860:1"},
    {"Host": "x@localhost"},
    {"Host": "localhost:7860", "Origin": "http://localhost:8888"},
    {"Host": "localhost:7860", "Origin": "http://evil.example"},
    {"Host": "localhost:7860", "Origin": "null"},
    {"Host": "localhost:7860", "Sec-Fetch-Site": "cross-site"},
    {"Host": "localhost:7860", "Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", WELCOME)
def test_pages_of_this_server_and_programs_are_welcome(headers):
    assert refusal(headers, ["box.example"], "/generate") is None


@pytest.mark.parametrize("headers", FOREIGN)
def test_other_sites_and_names_pointed_here_are_refused(headers):
    assert refusal(headers, ["box.example"], "/generate")


def test_a_link_on_another_site_may_lead_to_the_page_alone():
    headers = {"Host": "localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert refusal(headers, [], "/") is None
    assert refusal(headers, [], "/jobs/x/0.bvh")


@pytest.fixture
def queue():
    """A queue of two places that keeps two results, and the names of those it has forgotten."""
    forgotten = []
    made = JobQueue(most_waiting=2, most_kept=2, forget=lambda job: forgotten.append(job.name))
    yield SimpleNamespace(jobs=made, forgotten=forgotten)
    made.close(patience=5)


def test_jobs_are_done_one_at_a_time_in_order(queue):
    gate, began, running, most = threading.Event(), threading.Event(), [], []

    def work(job):
        running.append(job.name)
        most.append(len(running))
        began.set()
        assert gate.wait(10)
        running.remove(job.name)
        return job.name

    first = queue.jobs.submit(work)
    assert began.wait(10)
    others = [queue.jobs.submit(work) for _ in range(2)]
    assert [queue.jobs.place(job) for job in (first, *others)] == [0, 1, 2]
    with pytest.raises(BusyError, match="2 requests wait already"):
        queue.jobs.submit(work)
    gate.set()
    for job in (first, *others):
        assert job.finished.wait(10)
        assert (job.state, job.result, job.progress) == ("done", job.name, 1.0)
    assert most == [1, 1, 1]


def test_old_results_make_room(queue):
    jobs = []
    for _ in range(4):
        jobs.append(queue.jobs.submit(lambda job: 1))
        assert jobs[-1].finished.wait(10)
    last = queue.jobs.submit(lambda job: 1)
    assert last.finished.wait(10)
    assert queue.forgotten[:2] == [job.name for job in jobs[:2]]
    assert queue.jobs.find(jobs[0].name) is None
    assert queue.jobs.find(last.name) is last


def test_a_job_is_cancelled_while_it_waits_or_works(queue):
    began, asked = threading.Event(), threading.Event()

    def work(job):
        began.set()
        assert asked.wait(10)
        job.report(0.5, "half")
        raise AssertionError("it went on")

    working, waiting = queue.jobs.submit(work), queue.jobs.submit(work)
    assert began.wait(10)
    for job in (waiting, working):
        queue.jobs.cancel(job)
    assert waiting.state == "cancelled" and working.state == "working"
    asked.set()
    assert working.finished.wait(10) and working.state == "cancelled"
    with pytest.raises(CancelledError):
        working.report(1, "done")


def test_a_failure_is_kept_and_the_next_job_is_done(queue):
    def refuse(job):
        raise RequestError("no such word")

    def stumble(job):
        raise KeyError("inner\nworkings")

    first, second = queue.jobs.submit(refuse), queue.jobs.submit(stumble)
    assert first.finished.wait(10) and second.finished.wait(10)
    assert (first.state, str(first.error)) == ("failed", "no such word")
    assert isinstance(second.error, WorkError) and "\n" not in str(second.error)
    assert "a mistake inside lead (KeyError" in str(second.error)
    assert queue.jobs.submit(lambda job: 1).finished.wait(10)


MODEL = SimpleNamespace(skeleton=get_skeleton("humanml3d"), fps=20.0)


def upload(world, data: bytes):
    folder = world.here / "uploads"
    folder.mkdir(exist_ok=True)
    try:
        return read_upload(data, "walk.bvh", folder, MODEL)
    finally:
        assert not list(folder.iterdir())


def test_an_uploaded_walk_becomes_features_and_leaves_no_file(world):
    features = upload(world, world.figure("a.bvh").read_bytes())
    assert features.shape == (60, 263) and np.isfinite(features).all()
    # the file walks 3 cm a frame at 20 frames a second, and features hold the step of each frame
    steps = np.linalg.norm(features[:, 1:3], axis=1)
    scale = steps / 0.03  # a person of the reference skeleton's size
    assert scale.min() > 0.7 and scale.max() - scale.min() < 0.02


def test_uploads_that_are_no_motion_are_one_line_and_leave_no_file(world):
    text = world.figure("a.bvh").read_text()
    rows = text.splitlines()
    nan = "\n".join([*rows[:-1], rows[-1].replace(rows[-1].split()[1], "nan", 1)])
    for data, says in (
        (b"PK\x03\x04" + b"\0" * 1000, "walk.bvh is a packed file: unpack it"),
        (b"\x1f\x8b\x08" + b"\0" * 99, "walk.bvh is a packed file"),
        (b"GIF89a", "walk.bvh is not a BVH file"),
        (b"\0" * 100_000, "walk.bvh is not a BVH file"),
        (b"HIERARCHY\n" + b"{" * 400_000, "has no line MOTION in its first 256 kB"),
        (text.replace("MOTION\n", "").encode(), "has no line MOTION"),
        (text.replace("\n", " " * 20_000 + "\n", 1).encode(), "16384 are the most"),
        (text.replace("0.05", "60", 1).encode(), "walk.bvh lasts 3660 s"),
        (nan.encode(), f"walk.bvh:{len(rows)}: value 2 is 'nan', not a finite number"),
        (text[: len(text) // 2].encode(), "walk.bvh:"),
        (text.replace("LeftUpLeg", "Flipper").encode(), "no skeleton map"),
        (b"HIERARCHY\xff\nMOTION\n", "walk.bvh:1: not a BVH text file"),
    ):
        with pytest.raises(RequestError) as refused:
            upload(world, data)
        message = str(refused.value)
        assert says in message, message
        assert "\n" not in message and str(world.here) not in message
