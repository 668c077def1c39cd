"""The page as visitors with a phone, a keyboard or a screen reader meet it, with sticks."""

import importlib.util
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from lead.export.animation import write_animation

_path = Path(__file__).parents[1] / "cli" / "chromium.py"
_spec = importlib.util.spec_from_file_location("chromium", _path)
chromium = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chromium)

PHONE, SMALL, DESK = (375, 667), (320, 568), (1280, 860)
AXE = """axe.run(document, { iframes: false }).then(({ violations }) => violations
  .map(({ impact, id, nodes }) => `${impact} ${id}: ${nodes.map((n) => n.target).join(" ")}`))"""
SAID = """(() => {
  const said = document.getElementById("said"), seen = said.getBoundingClientRect();
  const text = document.getElementById("error").textContent;
  const inView = seen.top >= 0 && seen.bottom <= innerHeight;
  return { text, after: said.previousElementSibling.id, seen: inView };
})()"""


SEGMENTS = """[...document.querySelectorAll(".choice")].map((choice) => {
  const parts = [...choice.querySelectorAll("span")], right = choice.getBoundingClientRect().right;
  return {
    inside: choice.scrollWidth <= choice.clientWidth && right <= innerWidth,
    whole: parts.every((part) => part.scrollWidth <= part.clientWidth + 1),
    heights: parts.map((part) => part.offsetHeight),
    own: choice.clientHeight,
  };
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless browser, driven as the tests of `lead demo` do."""
    found = chromium.find_browser()
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.BROWSERS)} is installed")
    opened = chromium.Browser(found, tmp_path_factory.mktemp("browser"), size=PHONE)
    yield opened
    opened.close()


@pytest.fixture
def page(browser, visitor):
    """The page on a phone, as somebody finds it who was never there."""
    browser.resize(*PHONE)
    browser.dark(False)
    browser.open(visitor.server.url)
    browser.run("keep = () => {}; sessionStorage.clear()")
    browser.open(visitor.server.url)
    yield browser
    browser.open("data:text/html,<html data-state=ready>")  # so that nothing is asked for any more
    chromium.wait_for(lambda: not any(visitor.folder.iterdir()))


def fill(page, **values: str) -> None:
    for name, value in values.items():
        page.run(f"document.getElementById({name!r}).value = {value!r}")


def generate(page, text: str, seed: int = 1) -> None:
    fill(page, text=text, seed=str(seed))
    page.run("document.getElementById('status').textContent = ''")
    page.run("document.getElementById('ask').requestSubmit()")
    page.wait("document.getElementById('status').textContent.startsWith('Ready')")


def refuse_sentence(page, visitor, tmp_path) -> str:
    fill(page, text="a <stranger> walks")
    page.run("document.getElementById('ask').requestSubmit()")
    return "ask"


def refuse_word(page, visitor, tmp_path) -> str:
    page.run("document.getElementById('teach-box').open = true")
    (tmp_path / "walk.bvh").write_bytes(b"HIERARCHY")
    page.upload("#file", tmp_path / "walk.bvh")
    fill(page, word="two words")
    page.run("document.getElementById('teach').requestSubmit()")
    return "teach"


def refuse_large_file(page, visitor, tmp_path) -> str:
    page.run("document.getElementById('teach-box').open = true")
    (tmp_path / "big.bvh").write_bytes(b" " * 400_000)
    page.upload("#file", tmp_path / "big.bvh")
    fill(page, word="big")
    page.run("document.getElementById('teach').requestSubmit()")
    return "teach"


def lose_download(page, visitor, tmp_path) -> str:
    generate(page, "a person walks")
    page.run(
        "for (const link of document.querySelectorAll('#downloads a')) link.href = '/jobs/no/0.npz'"
    )
    page.run("document.querySelector('#downloads a').click()")
    return "downloads"


def lose_motion(page, visitor, tmp_path) -> str:
    generate(page, "a person walks")
    generate(page, "a person turns")
    page.run("earlier[1].id = 'gone'; document.querySelectorAll('#earlier button')[1].click()")
    return "earlier-box"


@pytest.mark.parametrize("size", [PHONE, DESK])
@pytest.mark.parametrize(
    "cause", [refuse_sentence, refuse_word, refuse_large_file, lose_download, lose_motion]
)
def test_a_message_stands_in_view_behind_what_caused_it(page, visitor, tmp_path, cause, size):
    page.resize(*size)
    place = cause(page, visitor, tmp_path)
    page.wait("!document.getElementById('error').hidden")
    said = page.run(SAID)
    assert said["text"] and (said["after"], said["seen"]) == (place, True)


@pytest.mark.parametrize(
    ("typed", "word"),
    [("zombie", "<zombie>"), ("<zombie>", "<zombie>"), (" zombie> ", "<zombie>"), (" ", "")],
)
def test_a_word_gets_its_brackets(page, typed, word):
    page.run("document.getElementById('teach-box').open = true")
    page.run("document.getElementById('word').focus()")
    page.type(typed)
    page.press("Tab")
    assert page.run("document.getElementById('word').value") == word


def test_a_word_without_brackets_is_taught(page, visitor, tmp_path, acclaim_figure):
    page.run("document.getElementById('teach-box').open = true")
    acclaim_figure(frames=200).write_bvh(tmp_path, "walk")
    page.upload("#file", tmp_path / "walk.bvh")
    fill(page, word="hop")
    page.run("document.getElementById('teach').requestSubmit()")
    page.wait(
        "!document.getElementById('error').hidden || /^Learned/.test($('status').textContent)",
        60,
    )
    assert page.run("$('error').textContent") == ""
    assert page.run("$('status').textContent").startswith("Learned <hop>")


@pytest.mark.parametrize("size", [SMALL, PHONE, DESK])
def test_the_segments_of_a_choice_are_whole_and_equally_high(page, size):
    page.resize(*size)
    page.run("document.getElementById('teach-box').open = true")
    measured = page.run(SEGMENTS)
    assert len(measured) == 2
    for choice in measured:
        assert choice["inside"] and choice["whole"] and set(choice["heights"]) == {choice["own"]}


def test_text_settings_and_motions_survive_a_reload(page, visitor):
    generate(page, "a person walks", 7)
    generate(page, "a person turns", 8)
    page.run("document.querySelectorAll('#earlier button')[1].click()")
    page.wait("document.getElementById('player').src.includes(earlier[1].id)")
    page.run("document.querySelector('input[name=projector][value=off]').click()")
    page.run("document.getElementById('text').focus()")
    fill(page, text="")
    page.type("half a sent")
    before = page.run("[earlier.map((job) => job.id), shown]")
    page.open(visitor.server.url)
    assert page.run("[earlier.map((job) => job.id), shown]") == before
    assert page.run("document.getElementById('player').src").endswith(f"{before[1]}/player")
    page.frame("document.documentElement.dataset.state === 'ready' && leadPlayer.clips.length")
    assert page.run(
        "[...document.querySelectorAll('#earlier span')].map((s) => s.textContent)"
    ) == [
        *("a person turns", "a person walks"),
    ]
    assert page.run("[chosen('projector'), $('seed').value, $('text').value]") == [
        *("off", "8", "half a sent"),
    ]
    page.run("earlier[0].id = 'gone'; keep()")  # the server has made too many since
    page.open(visitor.server.url)
    assert page.run("earlier.map((job) => job.id)") == before[0][1:]
    page.run("about.run = 'another'; keep()")
    page.open(visitor.server.url)
    assert page.run("[earlier.length, $('seed').value, $('text').value]") == [0, "1", ""]


def test_every_control_has_a_name_for_a_screen_reader(page):
    """By the browser's own accessibility tree."""
    generate(page, "a person walks")
    page.run("for (const box of document.querySelectorAll('details')) box.open = true")
    page.tell("Accessibility.enable")
    controls = {"button", "textbox", "slider", "radio", "link", "spinbutton", "Iframe"}
    nodes = page.tell("Accessibility.getFullAXTree")["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in controls
    ]
    assert controls <= {role for role, _ in found}
    assert [role for role, name in found if not name.strip()] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK])
def test_axe_finds_nothing_serious(page, visitor, tmp_path, size, dark):
    """On the page with everything open, a motion and a message; and on the player in it."""
    if importlib.util.find_spec("axe_core_python") is None:
        pytest.skip("axe-core is not installed: pip install axe-core-python")
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.resize(*size)
    page.dark(dark)
    found = []
    for look in (None, lose_motion, refuse_word):
        if look is not None:
            look(page, visitor, tmp_path)
            page.wait("!document.getElementById('error').hidden")
        page.run("for (const box of document.querySelectorAll('details')) box.open = true")
        page.run(f"(() => {{ {axe} }})()")
        found += page.run(AXE)
    frame = page.frame("document.documentElement.dataset.state === 'ready'")
    page.run(f"(() => {{ {axe} }})()", frame)
    found += page.run(AXE, frame)
    assert [line for line in found if line.startswith(("serious", "critical"))] == []


def test_a_browser_plays_an_mp4(browser, tmp_path):
    joints = np.random.default_rng(2).uniform((-0.3, 0, -0.2), (0.3, 1.7, 0.2), size=(1, 22, 3))
    moving = joints + np.arange(30)[:, None, None] * [0.02, 0, 0.01]
    write_animation(tmp_path / "clip.mp4", moving, "a person walks", 20, format="mp4")
    browser.tell("Page.navigate", url=(tmp_path / "clip.mp4").as_uri())
    film = "document.querySelector('video')"
    browser.wait(f"{film} !== null")
    if not browser.run(f"{film}.canPlayType('video/mp4; codecs=avc1.42C028')"):
        pytest.skip("this browser has no H.264")
    browser.run(f"{film}.currentTime = 1.2")
    browser.wait(f"{film}.error || {film}.readyState > 1", 60)
    said = browser.run(f"[{film}.error, {film}.videoWidth, {film}.duration]")
    assert said == [None, 320, 1.5]
