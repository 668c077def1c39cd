"""A server whose model is a stick figure that slides by its seed; only HTTP is real."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import requests
import torch

from lead.generation import Sampling
from lead.generation.pipeline import GeneratedMotion
from lead.inversion import InversionOptions, Word
from lead.representation import features_to_joints, get_skeleton, joints_to_features
from lead.service import server
from lead.service.forms import Settings
from lead.service.studio import Recipe, Studio
from lead.service.uploads import read_upload

SKELETON = get_skeleton("humanml3d")


def stick_figure(frames: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints and features of a figure that slides forward, faster for a higher seed."""
    pose = np.zeros((SKELETON.joints, 3), np.float32)
    for joint, parent in enumerate(SKELETON.parents):
        if parent >= 0:
            step = np.array(SKELETON.directions[joint]) * SKELETON.bone_lengths[joint]
            pose[joint] = pose[parent] + step
    pose[:, 1] -= pose[:, 1].min()
    ways = np.arange(frames + 1)[:, None, None] * [0, 0, 0.01 + 0.01 * (seed % 5)]
    features = joints_to_features(np.float32(pose + ways), "humanml3d")
    return features_to_joints(features, "humanml3d"), features


@dataclass
class WalkingStick:
    """What the page asks of a pipeline, without a network. It waits while ``gate`` is shut."""

    projector: object = "yes"
    skeleton: object = SKELETON
    fps: float = 20.0
    frame_limits: tuple[int, int] = (12, 196)
    denoiser: torch.nn.Module = field(default_factory=torch.nn.Identity)
    gate: threading.Event = field(default_factory=threading.Event)
    steps: int = 0  # made so far
    fails: Exception | None = None

    def with_words(self, words) -> "WalkingStick":
        return self

    def remarks(self, texts) -> dict:
        return {}

    def generate(self, texts, frames, seeds, sampling, project):
        for _ in range(sampling.steps):
            assert self.gate.wait(60)
            if self.fails is not None:
                raise self.fails
            self.denoiser(torch.zeros(1))
            self.steps += 1
        joints, features = stick_figure(frames[0], seeds[0])
        return [GeneratedMotion(texts[0], seeds[0], joints, features)]


class Toy(Studio):
    """A studio that learns a word by reading its file."""

    def teach(self, form, data, report):
        self.read = read_upload(data, form.file, self.folder, self.pipeline)
        word = Word(form.word, torch.zeros(3), "stick", {"init": form.init})
        self.taught = {**self.taught, word.word: word}
        return word


@dataclass(frozen=True)
class Visitor:
    """A server and a way to ask it."""

    server: server.DemoServer
    stick: WalkingStick
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
def opened_in(folder: Path) -> Iterator[Visitor]:
    """A server that keeps its files in a folder."""
    stick, recipe = WalkingStick(), Recipe(InversionOptions(), {})
    studio = Toy(stick, Sampling(steps=2), "stick", [], recipe, lambda made: (made, ""), folder)
    settings = Settings(port=0, upload_mb=0.3, waiting=2, kept=6, names=["Box.example"])
    listener = server.listen(settings.host, settings.port)
    with server.DemoServer(listener, studio, settings) as running:
        yield Visitor(running, stick, folder)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """One server for the tests of a module."""
    with opened_in(tmp_path_factory.mktemp("service")) as visitor:
        yield visitor


@pytest.fixture
def open_server(tmp_path):
    """Opens a server that a test may close."""
    return lambda: opened_in(tmp_path)


@pytest.fixture
def visitor(opened):
    """The server with an empty queue; afterwards nothing is left in its folder."""
    opened.stick.gate.set()
    opened.stick.fails = None
    yield opened
    opened.stick.gate.set()
    assert not list(opened.folder.iterdir())
