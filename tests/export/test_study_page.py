"""The page of a user study: what it gives away, and what a participant does with it."""

import base64
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.export.motion_file import Motion
from lead.export.study import Pair, Study, write_study

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SYSTEMS = ("checkpoints/plain-mld", "checkpoints/lead-projector")
SENTENCES = ("a person walks", "</script><b>someone</b> waves & bows", "a man sits down")


def motion(text: str, height: float, seed: int = 7) -> Motion:
    """A stiff figure that rises a little; ``height`` tells the systems apart."""
    frames = 30
    joints = np.zeros((frames, 22, 3)) + np.linspace(0, 1.7, 22)[:, None] * [0.1, 1, 0.1]
    joints[..., 1] += height + np.linspace(0, 0.2, frames)[:, None]
    run = {"run": SYSTEMS[height > 0]}
    return Motion(joints, np.zeros((frames, 263)), text, seed=seed, provenance=run)


def study(count: int = 3, seed: int = 1, candidates: int | None = None) -> Study:
    texts = [SENTENCES[place % 3] + " again" * (place // 3) for place in range(count)]
    pairs = [
        Pair(motion(text, 0.0, 7 + at), motion(text, 0.5, 7 + at)) for at, text in enumerate(texts)
    ]
    return Study(pairs, SYSTEMS, candidates or count, seed)


def written(folder: Path, made: Study) -> tuple[str, dict]:
    write_study(folder, made)
    page = (folder / "study.html").read_text(encoding="utf-8")
    return page, json.loads((folder / "key.json").read_text())


def embedded(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def heights(page: str) -> list[float]:
    """Height of the root in the first frame of every clip, in the page's order."""
    clips = embedded(page)["clips"]
    return [
        float(np.frombuffer(base64.b64decode(clip["joints"]), "<i2")[1] * clip["step"])
        for clip in clips
    ]


def test_the_key_says_what_the_page_shows(tmp_path):
    page, key = written(tmp_path, study(9))
    shown = [SYSTEMS[height > 0.25] for height in heights(page)]
    assert shown[::2] == [pair["left"] for pair in key["pairs"]]
    assert shown[1::2] == [pair["right"] for pair in key["pairs"]]
    assert [pair["change"] for pair in key["pairs"]] == [0.5] * 9
    assert key["systems"] == [*SYSTEMS]
    assert [pair["pair"] for pair in key["pairs"]] == [f"p0{n}" for n in range(1, 10)]
    assert key["study"] == embedded(page)["study"]["id"]


def test_the_page_does_not_give_the_systems_away(tmp_path):
    page, _ = written(tmp_path, study(3))
    for word in ("plain-mld", "lead-projector", "checkpoints", "key.json", "provenance"):
        assert word not in page
    assert set(embedded(page)["study"]) == {"id", "pairs"}
    assert all(set(pair) == {"pair", "text"} for pair in embedded(page)["study"]["pairs"])
    fields = {"skeleton", "fps", "frames", "leg", "step", "joints"}
    assert all(set(clip) == fields for clip in embedded(page)["clips"])
    assert not re.search(r"https?:|\bfetch\(|XMLHttpRequest|WebSocket|\{\{", page)


@pytest.mark.parametrize("count", [8, 9])
def test_each_system_is_on_the_left_half_of_the_time(tmp_path, count):
    sides = set()
    for seed in range(6):
        _, key = written(tmp_path, study(count, seed))
        left = [pair["left"] == SYSTEMS[0] for pair in key["pairs"]]
        assert sum(left) in (count // 2, count - count // 2)
        sides.add(tuple(left))
    assert len(sides) > 3  # of six seeds


def test_equal_studies_make_equal_bytes(tmp_path):
    assert written(tmp_path / "a", study()) == written(tmp_path / "b", study())


def test_a_choice_of_the_most_changed_is_declared(tmp_path):
    typical, _ = written(tmp_path, study(3))
    chosen, key = written(tmp_path, study(3, candidates=40))
    assert "drawn at random; none was picked by hand" in typical
    said = "40 were drawn at random, and the 3 whose two movements differ most"
    assert said in chosen and said in key["choice"] and said not in typical


def test_what_cannot_be_compared_is_refused(tmp_path):
    with pytest.raises(RequestError, match="at least one pair"):
        write_study(tmp_path, Study([], SYSTEMS, 0, 1))
    with pytest.raises(RequestError, match="two names"):
        write_study(tmp_path, Study(study().pairs, ("a", "a"), 3, 1))
    kit = Motion(np.zeros((5, 21, 3)), np.zeros((5, 251)), "x", skeleton="kit")
    with pytest.raises(RequestError, match="pair 1 has skeletons humanml3d and kit"):
        write_study(tmp_path, Study([Pair(motion("x", 0), kit)], SYSTEMS, 1, 1))
    assert not list(tmp_path.iterdir())


class Browser:
    """A headless browser, told what to do over DevTools' pipe (file descriptors 3 and 4)."""

    def __init__(self, program: str, folder: Path):
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        flags += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        flags += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "--window-size=600,700"]

        def connect() -> None:
            ends = [os.dup(read), os.dup(write)]
            high = [os.dup2(end, 100 + end) for end in ends]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [program, *flags, "about:blank"],
            preexec_fn=connect,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        self._buffer, self._count, self._session = b"", 0, None
        target = next(
            found
            for found in self.send("Target.getTargets")["targetInfos"]
            if found["type"] == "page"
        )
        attach = {"targetId": target["targetId"], "flatten": True}
        self._session = self.send("Target.attachToTarget", attach)["sessionId"]

    def send(self, method: str, parameters: dict | None = None) -> dict:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters or {}}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            assert part, "the browser has gone"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def open(self, page: Path) -> None:
        self.send("Page.navigate", {"url": page.as_uri()})
        self.wait(f"location.href === {json.dumps(page.as_uri())}")
        self.wait("document.readyState === 'complete'")

    def do(self, script: str):
        """Value of a script that the page runs."""
        asked = {"expression": script, "returnByValue": True, "userGesture": True}
        result = self.send("Runtime.evaluate", asked)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, condition: str) -> None:
        for _ in range(5000):
            if self.do(condition):
                return
            time.sleep(0.05)
        pytest.fail(f"never came true: {condition}")

    def click(self, place: str) -> None:
        """Press the mouse in the middle of an element, as a person does."""
        name = json.dumps(place)
        box = self.do(
            f"{{ const e = document.querySelector({name}); e.scrollIntoView({{block: 'center'}});"
            " const b = e.getBoundingClientRect(); [b.x + b.width / 2, b.y + b.height / 2] }"
        )
        for kind in ("mousePressed", "mouseReleased"):
            at = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", {"type": kind, **at})

    def close(self) -> None:
        self._session = None
        try:
            self.send("Browser.close")
            self._process.wait(120)
        finally:
            self._process.kill()
            os.close(self._read)
            os.close(self._write)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    opened = Browser(found[0], tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def rate(browser: Browser, left: tuple[int, int], right: tuple[int, int]) -> None:
    """Realism and relevance of both sides, in the order that the page asks for them."""
    for place, question in enumerate(("realism", "relevance")):
        for side, values in (("left", left), ("right", right)):
            browser.click(f"#{side}-{question} input[value='{values[place]}']")


SEEN = """{
const part = (id) => document.getElementById(id);
const all = (place) => [...document.querySelectorAll(place)];
({
  at: document.documentElement.dataset.study, progress: part("progress").textContent,
  sentence: part("sentence").textContent, next: !part("next").disabled,
  relevance: !part("left-relevance").disabled,
  checked: all("#sides input:checked").map((e) => `${e.name}=${e.value}`),
  figures: all("figure.clip").flatMap((e, i) => e.hidden ? [] : [i]),
  duration: leadPlayer.duration,
})}"""


def test_a_participant_rates_comes_back_and_saves(tmp_path, browser):
    page, key = written(tmp_path, study(3))
    downloads = tmp_path / "downloads"
    behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
    browser.send("Browser.setDownloadBehavior", behaviour)
    browser.open(tmp_path / "study.html")
    assert browser.do("document.documentElement.dataset.study") == "intro"
    browser.click("#begin")
    first = browser.do(SEEN)
    assert (first["at"], first["progress"]) == ("rating", "Pair 1 of 3")
    assert first["duration"] == 1.5 and first["checked"] == []
    pair = first["figures"][0] // 2  # participants see the pairs in an order of their own
    assert first["figures"] == [2 * pair, 2 * pair + 1]
    assert not first["relevance"] and not first["next"]
    assert key["pairs"][pair]["text"] not in first["sentence"]

    browser.click("#left-realism input[value='4']")
    browser.click("#left-relevance input[value='1']")  # too early: nothing happens
    assert browser.do(SEEN)["checked"] == ["left-realism=4"]
    browser.click("#right-realism input[value='2']")
    seen = browser.do(SEEN)
    assert seen["relevance"] and not seen["next"]
    assert seen["sentence"] == f"“{key['pairs'][pair]['text']}”"
    assert browser.do("document.querySelectorAll('b').length") == 0  # a sentence is text
    rate(browser, (5, 3), (2, 1))
    assert browser.do(SEEN)["next"]

    browser.send("Page.reload")  # the tab is closed and opened again
    browser.wait("document.readyState === 'complete'")
    browser.wait("document.documentElement.dataset.study === 'rating'")
    again = browser.do(SEEN)
    assert (again["progress"], again["figures"]) == ("Pair 1 of 3", first["figures"])
    chosen = ["left-realism=5", "left-relevance=3", "right-realism=2", "right-relevance=1"]
    assert sorted(again["checked"]) == chosen

    order = [pair]
    for values in (((4, 4), (3, 3)), ((1, 2), (5, 5))):
        browser.click("#next")
        order.append(browser.do(SEEN)["figures"][0] // 2)
        rate(browser, *values)
    browser.click("#next")
    assert browser.do("document.documentElement.dataset.study") == "end"
    browser.click("#export")
    for _ in range(5000):
        if list(downloads.glob("*.json")):
            break
        time.sleep(0.05)
    (saved,) = downloads.glob("*.json")
    answers = json.loads(saved.read_text())
    assert (answers["study"], answers["complete"], answers["schema"]) == (key["study"], True, 1)
    assert sorted(order) == [0, 1, 2]
    assert [(entry["pair"], entry["place"]) for entry in answers["answers"]] == [
        (f"p0{pair + 1}", place) for place, pair in enumerate(order)
    ]
    assert answers["answers"][0]["left"] == {"realism": 5, "relevance": 3}
    assert answers["answers"][0]["right"] == {"realism": 2, "relevance": 1}
    assert answers["answers"][2]["left"] == {"realism": 1, "relevance": 2}
    copied = json.loads(browser.do("document.getElementById('answers').value"))
    assert copied["answers"] == answers["answers"]
    assert saved.name == f"answers-{key['study']}-{answers['participant']}.json"


def test_without_webgl_a_message_says_why(tmp_path, browser):
    page, _ = written(tmp_path, study(1))
    broken = page.replace(
        "<script>\n", "<script>\nHTMLCanvasElement.prototype.getContext = () => null;\n", 1
    )
    (tmp_path / "broken.html").write_text(broken, encoding="utf-8")
    browser.open(tmp_path / "broken.html")
    assert "WebGL2" in browser.do("document.getElementById('message').textContent")
    assert browser.do("document.getElementById('study').hidden") is True
