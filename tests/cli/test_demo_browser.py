"""`lead demo` as a visitor sees it: a headless Chromium generates, plays, downloads, teaches."""

import importlib.util
from pathlib import Path

import pytest

from lead.cli.demo import make_server
from lead.export.motion_file import read_motion

_spec = importlib.util.spec_from_file_location("chromium", Path(__file__).with_name("chromium.py"))
chromium = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chromium)

PLAYING = "document.documentElement.dataset.state === 'ready' && leadPlayer.clips.length === {}"
SEEN = """(() => {
  leadPlayer.pause();
  leadPlayer.seek(1);
  leadPlayer.draw();
  const gl = document.getElementById("canvas").getContext("webgl2");
  const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
  const pixels = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  let [left, right] = [0, 0];
  for (let i = 0; i < pixels.length; i += 4) {
    left += pixels[i + 2] > pixels[i] + 60;
    right += pixels[i] > pixels[i + 2] + 60;
  }
  return { left, right, captions: leadPlayer.clips.map((clip) => clip.caption) };
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless browser."""
    found = chromium.find_browser()
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.BROWSERS)} is installed")
    opened = chromium.Browser(found, tmp_path_factory.mktemp("browser"), size=(900, 640))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def address(chain, tmp_path_factory):
    """Where the tiny chain is shown."""
    run = chain / "checkpoints" / "cmu_open-tiny-projector"
    options = ("port=0", "device=cpu", "sampling.steps=2", "inversion.steps=2", "upload_mb=0.3")
    with make_server([f"run={run}", *options], tmp_path_factory.mktemp("demo")) as server:
        yield server.url


@pytest.fixture
def page(browser, address):
    """Its page, opened anew."""
    browser.resize(900, 640)
    browser.open(address)
    browser.run("keep = () => {}; sessionStorage.clear()")  # as somebody who was never there
    browser.open(address)
    browser.events.clear()
    return browser


def status(page) -> str:
    return page.run("document.getElementById('status').textContent")


def ready(page) -> None:
    page.wait("/^(Ready|Learned|Downloaded)/.test(document.getElementById('status').textContent)")
    assert page.run("document.getElementById('error').hidden") is True


def ask(page, text: str, projector: str = "on") -> None:
    """Fill in the form and press Enter, as a visitor does."""
    page.run("document.getElementById('status').textContent = ''")
    page.run(f"document.querySelector('input[name=projector][value={projector}]').click()")
    page.run("document.getElementById('text').focus()")
    page.run("document.getElementById('text').value = ''")
    page.type(text)
    page.press("Enter")


def complaints(page) -> list:
    """What the browser reports as an error: exceptions, blocked content, failed requests."""
    kinds = ("Runtime.exceptionThrown", "Log.entryAdded")
    return [event for event in page.events if event.get("method") in kinds]


def test_a_sentence_becomes_moving_figures_side_by_side(page):
    page.wait("document.activeElement.id === 'text'")
    ask(page, "a person walks in a circle", "both")
    ready(page)
    frame = page.frame(PLAYING.format(2))
    seen = page.run(SEEN, frame)
    assert seen["left"] > 100 and seen["right"] > 100  # pixels of blue and of orange limbs
    assert seen["captions"] == [
        "a person walks in a circle (projector on)",
        "a person walks in a circle (projector off)",
    ]
    assert page.run("document.querySelectorAll('#downloads .files').length") == 2
    assert complaints(page) == []


def test_a_motion_is_downloaded_with_a_name_that_says_what_it_is(page):
    ask(page, "a person turns left")
    ready(page)
    page.run("document.querySelector('#downloads a[href$=npz]').click()")
    page.wait("document.getElementById('status').textContent.startsWith('Downloaded')")
    file = page.downloads / "a-person-turns-left-seed1.npz"
    chromium.wait_for(file.is_file)
    assert read_motion(file).text == "a person turns left"


def test_where_it_looked_is_drawn_when_asked_for(browser, timed_flow_run, page, tmp_path):
    assert page.run("about.attention") is False  # LEAD reads a sentence as one vector
    options = ("port=0", "device=cpu", "sampling.steps=2")
    with make_server([f"run={timed_flow_run.folder}", *options], tmp_path) as server:
        browser.open(server.url)
        page.run("document.getElementById('seconds').value = 2")
        ask(page, "a person waves", "off")
        ready(page)
        picture = "document.getElementById('attention-picture')"
        assert page.run(f"{picture}.hidden && !{picture}.hasAttribute('src')") is True
        sent = [event for event in page.events if "attention" in str(event.get("params"))]
        assert sent == []
        page.run("document.getElementById('attention').click()")
        page.wait(f"!{picture}.hidden && {picture}.naturalWidth > 800")
        ready(page)
        assert page.run(f"{picture}.alt").startswith("Attention of the motion")
        ask(page, "a person walks away", "off")
        ready(page)
        assert page.run(f"{picture}.hidden") is True
        assert complaints(page) == []


def test_earlier_motions_can_be_played_again(page):
    for text, projector in (("a person walks in a circle", "both"), ("a person turns left", "on")):
        ask(page, text, projector)
        ready(page)
    captions = "[...document.querySelectorAll('#earlier span')].map((s) => s.textContent)"
    assert page.run(captions) == ["a person turns left", "a person walks in a circle"]
    page.run("document.querySelector('#earlier li:last-child button').click()")
    page.frame(PLAYING.format(2))
    assert page.run("document.querySelectorAll('#earlier [aria-current=true]').length") == 1


def test_a_wrong_request_is_one_line_on_the_page(page):
    ask(page, "a <stranger> walks")
    page.wait("!document.getElementById('error').hidden")
    says = page.run("document.getElementById('error').textContent")
    assert says.startswith("nobody has taught <stranger>: teach it")
    assert page.run("document.getElementById('generate').disabled") is False


def test_an_uploaded_motion_becomes_a_word(page, world):
    page.run("document.getElementById('teach-box').open = true")
    page.upload("#file", world.figure("walk.bvh"))
    page.run("document.getElementById('word').value = '<hop>'")
    page.run("document.getElementById('teach').requestSubmit()")
    page.wait("document.getElementById('status').textContent.startsWith('Learned <hop>')")
    page.wait("document.querySelectorAll('#words button').length === 1")
    page.run("document.getElementById('text').value = ''")
    page.run("document.querySelector('#words button').click()")
    assert page.run("document.getElementById('text').value") == "a <hop> person walks"
    page.run("document.getElementById('status').textContent = ''")
    page.press("Enter")
    ready(page)
    page.frame(PLAYING.format(1) + " && leadPlayer.clips[0].caption === 'a <hop> person walks'")
    assert complaints(page) == []


def test_a_file_that_is_too_large_is_not_even_sent(page, world):
    page.upload("#file", world.file("big.bvh", b" " * 400_000))
    page.run("document.getElementById('word').value = '<big>'")
    page.run("document.getElementById('teach').requestSubmit()")
    says = page.run("document.getElementById('error').textContent")
    assert says == "big.bvh has 0.4 MB: 0.3 MB are the most."


def test_all_controls_are_reached_by_the_tab_key(page):
    page.run("document.getElementById('text').focus()")
    page.run("document.querySelector('#ask details').open = true")
    page.run("document.getElementById('teach-box').open = true")
    reached = set()
    for _ in range(60):
        page.press("Tab")
        reached.add(page.run("document.activeElement.id || document.activeElement.name || ''"))
        if "teach-button" in reached:
            break
    wanted = {"seconds", "seed", "other-seed", "projector", "guidance", "steps"}
    assert wanted | {"generate", "file", "word", "init", "means"} <= reached


def test_a_narrow_window_needs_no_sideways_scrolling(page):
    page.resize(360, 640)
    assert page.run("document.documentElement.scrollWidth") == 360


def test_a_visitor_who_leaves_takes_the_request_along(page, address):
    page.run("document.getElementById('steps').value = 1000")
    ask(page, "a person walks away")
    page.wait("document.getElementById('status').textContent.startsWith('Drawing')")
    job = page.run("current")
    page.open(address)  # anew: the old page goes
    page.wait(f"call('/jobs/{job}').then((job) => job.state === 'cancelled')")
