"""A server whose model is a stick figure that slides by its seed; only HTTP is real."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import torch

from lead.generation import Sampling
from lead.inversion import InversionOptions, Word
from lead.service import server
from lead.service.forms import Settings
from lead.service.studio import Recipe, Studio
from lead.service.uploads import read_upload


class Toy(Studio):
    """A studio that learns a word by reading its file."""

    def teach(self, form, data, report):
        self.read = read_upload(data, form.file, self.folder, self.model)
        word = Word(form.word, torch.zeros(4), "stick", {"init": form.init})
        self.taught = {**self.taught, word.word: word}
        return word


@dataclass(frozen=True)
class Visitor:
    """A server and a way to ask it."""

    server: server.DemoServer
    stick: object  # the strings of its model
    folder: Path

    def ask(self, method: str, path: str, **given) -> requests.Response:
        """One request; ``json``, ``data`` and ``headers`` as requests has them."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.server.url[:-1] + path, timeout=60, **given)

    def generate(self, **form) -> requests.Response:
        return self.ask("POST", "/generate", json={"text": "a person walks", **form})

    def teach(self, data: bytes, kind: str = "application/octet-stream", **query):
        query = {"word": "<hop>", "init": "walk", "file": "walk.bvh", **query}
        return self.ask("POST", "/words", params=query, data=data, headers={"Content-Type": kind})

    def refused(self, answer: requests.Response, status: int) -> str:
        """The one line of a refusal."""
        assert answer.status_code == status, (answer.status_code, answer.content)
        assert answer.headers["Content-Type"] == "application/json"
        assert list(answer.json()) == ["error"]
        line = answer.json()["error"]
        assert 0 < len(line) <= 300 and line.isprintable() and str(self.folder) not in line
        return line


@contextmanager
def opened_in(folder: Path, make_sticks) -> Iterator[Visitor]:
    """A server that keeps its files in a folder."""
    stick, recipe = make_sticks(able=frozenset({"project"})), Recipe(InversionOptions(), {})
    studio = Toy(stick, Sampling(steps=2), "stick", [], recipe, folder)
    settings = Settings(port=0, upload_mb=0.3, waiting=2, kept=6, names=["Box.example"])
    listener = server.listen(settings.host, settings.port)
    with server.DemoServer(listener, studio, settings) as running:
        yield Visitor(running, stick.strings, folder)


@pytest.fixture(scope="module")
def opened(tmp_path_factory, sticks):
    """One server for the tests of a module."""
    with opened_in(tmp_path_factory.mktemp("service"), sticks.make_sticks) as visitor:
        yield visitor


@pytest.fixture
def open_server(tmp_path, sticks):
    """Opens a server that a test may close."""
    return lambda: opened_in(tmp_path, sticks.make_sticks)


@pytest.fixture
def visitor(opened):
    """The server with an empty queue; afterwards nothing is left in its folder."""
    opened.stick.gate.set()
    yield opened
    opened.stick.gate.set()
    opened.stick.fails = None  # before the next test, whose wider fixtures come first
    assert not list(opened.folder.iterdir())
