"""What stands behind the page of `lead demo`: forms, visitors, the queue."""

import json
import threading
from types import SimpleNamespace

import pytest

from lead.core.errors import RequestError, WorkError
from lead.generation import Sampling
from lead.service import jobs
from lead.service.forms import Settings, WordForm, clip_form, fill
from lead.service.guard import refusal
from lead.service.jobs import BusyError, CancelledError, JobQueue

MODEL = SimpleNamespace(fps=20.0, frame_limits=(12, 196), can="project".__eq__)
CLIP = clip_form(MODEL, Sampling(steps=10, guidance_scale=2.0))


def test_a_form_keeps_what_is_given_and_fills_in_the_rest():
    given = {"text": "  a person\n walks ", "seconds": 3, "seed": 2**53 - 1, "projector": "both"}
    form = fill(CLIP, json.dumps(given).encode())
    assert (form.text, form.seconds, form.seed) == ("a person walks", 3.0, 9007199254740991)
    assert (form.guidance, form.steps, form.projector) == (2.0, 10, "both")
    assert form.wait is True and form.joints is False


@pytest.mark.parametrize(
    ("frames", "usual"), [((12, 196), 4.0), ((12, 40), 2.0), ((90, 196), 4.5), ((81, 83), 4.1)]
)
def test_a_clip_is_as_long_as_is_usual_where_the_model_can(frames, usual):
    model = SimpleNamespace(fps=20.0, frame_limits=frames, can="project".__eq__)
    form = fill(clip_form(model, Sampling()), b'{"text": "walk"}')
    assert form.seconds == pytest.approx(usual)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "it has no 'text'"),
        ({"text": " \n"}, "text is empty: give one, such as a person walks forward"),
        ({"text": "walk", "secnds": 3}, "unknown key 'secnds', did you mean 'seconds'?"),
        ({"text": 3}, "'text' takes a text, got 3"),
        ({"text": "a" * 501}, "text has 501 characters, 500 are the most"),
        ({"text": "a\0b"}, "text must be plain text"),
        ({"text": "a \x1b[31m b"}, "without control characters"),
        ({"text": "walk", "seconds": "4"}, "'seconds' takes a number, got '4'"),
        ({"text": "walk", "seconds": True}, "'seconds' takes a number, got true"),
        ({"text": "walk", "seconds": 0.5}, "number greater than or equal to 0.6, got 0.5"),
        ({"text": "walk", "seconds": 1e300}, "a number less than or equal to 9.8, got 1e+300"),
        ({"text": "walk", "seconds": 10**390}, "'seconds' takes a number, got a number of many"),
        ({"text": "walk", "seed": -1}, "'seed' takes a number greater than or equal to 0, got -1"),
        ({"text": "walk", "seed": 10**30}, "less than or equal to 9007199254740991, got a number"),
        ({"text": "walk", "seed": 1.5}, "'seed' takes a whole number, got 1.5"),
        ({"text": "walk", "steps": 0}, "'steps' takes a number greater than or equal to 1, got 0"),
        ({"text": "walk", "guidance": -2}, "'guidance' takes a number greater than or equal to 0"),
        ({"text": "walk", "projector": "of"}, "'projector' takes 'on', 'off' or 'both', got 'of'"),
        ({"text": "walk", "projector": ["on"]}, "'on', 'off' or 'both', got a list of 1"),
        ({"text": "walk", "joints": "yes"}, "'joints' takes true or false, got 'yes'"),
        ([1], "an object of keys and values expected"),
        (None, "an object of keys and values expected"),
    ],
)
def test_a_wrong_form_is_one_line(values, says):
    with pytest.raises(RequestError) as refused:
        fill(CLIP, json.dumps(values).encode())
    line = str(refused.value)
    assert says in line and "\n" not in line and len(line) <= 300


def test_a_model_without_projector_is_asked_without():
    model = SimpleNamespace(fps=20.0, frame_limits=(12, 196), can=lambda _: False)
    form = clip_form(model, Sampling())
    with pytest.raises(RequestError, match="the model has no projector"):
        fill(form, b'{"text": "walk", "projector": "both"}')
    assert fill(form, b'{"text": "walk"}').projector == "off"


def test_a_word_is_spelled_in_brackets_and_its_file_is_only_a_name():
    values = {"word": "<Zombie>", "init": " walk ", "file": "..\\../../etc/pass\nwd.bvh"}
    form = fill(WordForm, values)
    assert (form.word, form.init, form.file) == ("<zombie>", "walk", "passwd.bvh")
    assert fill(WordForm, {**values, "wait": "false"}).wait is False
    for wrong, says in (
        ({"word": "zombie"}, "angle brackets"),
        ({"word": "<../x>"}, "angle brackets"),
        ({"init": " "}, "init is empty"),
        ({"init": "x\ud800"}, "init"),
        ({"means": "mood"}, "'means' takes 'manner' or 'motion', got 'mood'"),
        ({"wait": "maybe"}, "'wait' takes a valid boolean"),
        ({"path": "x"}, "unknown key 'path'"),
    ):
        with pytest.raises(RequestError, match=says):
            fill(WordForm, {**values, **wrong})


def test_an_upload_is_limited_in_bytes():
    assert Settings(upload_mb=0.3).upload_bytes == 300_000


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
    """A queue of two places that keeps two results."""
    made = JobQueue(most_waiting=2, most_kept=2)
    yield made
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

    first = queue.submit(work)
    assert began.wait(10)
    others = [queue.submit(work) for _ in range(2)]
    assert [queue.place(job) for job in (first, *others)] == [0, 1, 2]
    with pytest.raises(BusyError, match="2 requests wait already"):
        queue.submit(work)
    gate.set()
    for job in (first, *others):
        assert job.finished.wait(10)
        assert (job.state, job.result, job.progress) == ("done", job.name, 1.0)
    assert most == [1, 1, 1]


def test_old_results_make_room(queue):
    made = []
    for _ in range(5):
        made.append(queue.submit(lambda job: 1))
        assert made[-1].finished.wait(10)
    assert [queue.find(job.name) for job in made] == [None, None, *made[2:]]


def test_a_job_is_cancelled_while_it_waits_or_works(queue):
    began, asked = threading.Event(), threading.Event()

    def work(job):
        began.set()
        assert asked.wait(10)
        job.report(0.5, "half")
        raise AssertionError("it went on")

    working, waiting = queue.submit(work), queue.submit(work)
    assert began.wait(10)
    for job in (waiting, working):
        queue.cancel(job)
    assert waiting.state == "cancelled" and working.state == "working"
    asked.set()
    assert working.finished.wait(10) and working.state == "cancelled"
    with pytest.raises(CancelledError):
        working.report(1, "done")


def test_jobs_that_nobody_asks_for_any_more_are_dropped(queue, monkeypatch):
    began, gate, worked = threading.Event(), threading.Event(), []

    def work(job):
        worked.append(job)
        began.set()
        assert gate.wait(10)
        job.report(0.5, "half")

    working = queue.submit(work)
    assert began.wait(10)
    left, stays = queue.submit(work), queue.submit(work)
    for job in (working, left):
        job.asked -= jobs.PATIENCE + 1
    assert queue.find(stays.name) is stays
    later = queue.submit(work)  # there is a place again
    assert left.state == "cancelled" and [queue.place(job) for job in (stays, later)] == [1, 2]
    gate.set()
    for job in (working, stays, later):
        assert job.finished.wait(10)
    assert [job.state for job in (working, stays, later)] == ["cancelled", "done", "done"]
    assert left not in worked


def test_a_failure_is_kept_and_the_next_job_is_done(queue):
    def refuse(job):
        raise RequestError("no such word")

    def stumble(job):
        raise KeyError("inner workings")

    first, second = queue.submit(refuse), queue.submit(stumble)
    assert first.finished.wait(10) and second.finished.wait(10)
    assert (first.state, str(first.error)) == ("failed", "no such word")
    assert isinstance(second.error, WorkError)
    assert "a mistake inside lead (KeyError" in str(second.error)
    assert queue.submit(lambda job: 1).finished.wait(10)
