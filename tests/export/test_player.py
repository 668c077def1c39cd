"""The HTML player: what is in the file, and what a browser makes of it."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.export import player
from lead.export.motion_file import Motion
from lead.export.player import write_player
from lead.representation import get_skeleton

NASTY = '</script><script>document.title="taken"</script> "quoted" \'single\' {{DATA}} <b>&amp;'
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class Page(HTMLParser):
    """Tags with attributes, and the text inside each kind of tag."""

    def __init__(self, source: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "link", "img", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        for tag in self._open:
            self.texts.setdefault(tag, []).append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def walk(frames: int = 40, seed: int = 0, far: float = 3.0, name: str = "humanml3d") -> Motion:
    """Joints at random heights that travel ``far`` metres."""
    skeleton = get_skeleton(name)
    rng = np.random.default_rng(seed)
    joints = rng.uniform((-0.4, 0.0, -0.3), (0.4, 1.7, 0.3), size=(1, skeleton.joints, 3))
    joints = joints + 0.1 * np.sin(np.arange(frames))[:, None, None]
    joints[..., 2] += np.linspace(0, far, frames)[:, None]
    features = np.zeros((frames, skeleton.features))
    return Motion(joints, features, "a person walks", seed=seed, fps=skeleton.fps, skeleton=name)


def written(path: Path, motions: list[Motion]) -> str:
    write_player(path / "player.html", motions)
    return (path / "player.html").read_text(encoding="utf-8")


def embedded(source: str) -> dict:
    return json.loads("".join(re.findall(r'id="data">(.*?)</script>', source, re.DOTALL)[0]))


def decoded(clip: dict, joints: int) -> np.ndarray:
    whole = np.frombuffer(base64.b64decode(clip["joints"]), dtype="<i2")
    return whole.reshape(clip["frames"], joints, 3) * clip["step"]


def test_the_page_asks_for_nothing_from_outside(tmp_path):
    source = written(tmp_path, [walk(), walk(seed=1)])
    page = Page(source)
    assert not re.search(r"https?:|\bwss?:|//[a-z0-9-]+\.[a-z]", source)
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|importScripts|WebSocket", source)
    for tag, attributes in page.tags:
        assert not {"src", "href", "action", "data"} & set(attributes), (tag, attributes)
    assert not {"link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    policies = [meta for meta in page.all("meta") if "http-equiv" in meta]
    assert [policy["http-equiv"] for policy in policies] == ["Content-Security-Policy"]
    assert "default-src 'none'" in policies[0]["content"]


def test_the_figures_are_where_the_motions_are(tmp_path):
    motions = [walk(), walk(seed=1, far=-20.0), walk(seed=2, name="kit")]
    clips = embedded(written(tmp_path, motions))["clips"]
    for clip, motion in zip(clips, motions, strict=True):
        assert (clip["fps"], clip["frames"]) == (motion.fps, motion.frames)
        assert (clip["skeleton"], clip["step"]) == (motion.skeleton, 0.001)
        shown = decoded(clip, motion.joints.shape[1])
        assert np.abs(shown - motion.joints).max() <= 0.0005 + 1e-6


def test_a_clip_that_goes_far_is_stored_more_coarsely(tmp_path):
    motion = walk(far=100.0)
    (clip,) = embedded(written(tmp_path, [motion]))["clips"]
    assert clip["step"] == 0.004  # 0.004 x 32767 m is the first power of two to reach 100 m
    assert np.abs(decoded(clip, 22) - motion.joints).max() <= 0.002 + 1e-5


def test_captions_are_text_and_nothing_else(tmp_path):
    source = written(tmp_path, [Motion(walk().joints, walk().features, NASTY)])
    page = Page(source)
    assert [attributes["title"] for attributes in page.all("span")] == [NASTY]
    assert NASTY in "".join(page.texts["figcaption"])
    assert page.texts["title"] == [NASTY]
    assert len(page.all("script")) == 2 and not page.all("b")
    assert len(embedded(source)["clips"]) == 1


def test_ten_seconds_cost_less_than_100_kilobytes(tmp_path):
    sizes = [len(written(tmp_path, [walk(frames=200)] * count)) for count in (1, 2)]
    assert sizes[1] - sizes[0] < 40_000
    assert sizes[0] < 100_000
    folder = Path(player.__file__).parent
    template = [path for path in folder.iterdir() if path.suffix in (".html", ".js", ".css")]
    assert len(template) == 4
    assert sum(path.stat().st_size for path in template) < 40_000


def test_the_controls_have_names(tmp_path):
    page = Page(written(tmp_path, [walk(), walk(seed=1)]))
    views = [div for div in page.all("div") if div.get("class") == "view" and "id" not in div]
    assert [view["aria-label"] for view in views] == ["moving figure: a person walks"] * 2
    assert all(view["role"] == "img" for view in views)
    for control in page.all("button") + page.all("input"):
        assert control.get("aria-label") or control.get("title")
    assert page.texts["small"] == ["seed 0 · 2.0 s", "seed 1 · 2.0 s"]


@pytest.mark.parametrize("name", ["humanml3d", "kit"])
def test_the_body_has_a_left_and_a_right_side_alike(tmp_path, name):
    data = embedded(written(tmp_path, [walk(name=name)]))
    skeleton = get_skeleton(name)
    solids = data["skeletons"][name]["solids"]
    mirror = dict(skeleton.mirror_pairs) | {b: a for a, b in skeleton.mirror_pairs}
    other = {"left": "right", "right": "left", "middle": "middle"}

    def mirrored(solid: list) -> tuple:
        a, b, *rest, side = solid
        return mirror.get(a, a), mirror.get(b, b), *rest, other[side]

    # a bar across the body is its own mirror image, its ends exchanged
    bars = {(a, b) for a, b, *_ in solids if mirror.get(a) == b}
    limbs = {tuple(solid) for solid in solids if (solid[0], solid[1]) not in bars}
    assert {mirrored(list(solid)) for solid in limbs} == limbs
    assert len(bars) == 2
    moved = {joint for solid in solids for joint in solid[:2]}
    hands_feet_head = [
        joint
        for joint, part in enumerate(skeleton.joint_names)
        if part.endswith(("wrist", "foot", "toes")) or part == "head"
    ]
    assert set(hands_feet_head) <= moved
    assert {solid[-1] for solid in solids} == {"left", "right", "middle"}


def test_nothing_to_play_is_refused(tmp_path):
    with pytest.raises(RequestError, match="at least one motion"):
        write_player(tmp_path / "player.html", [])
    assert not list(tmp_path.iterdir())


def test_equal_motions_make_equal_bytes(tmp_path):
    assert written(tmp_path, [walk()]) == written(tmp_path, [walk()])


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Open a page in a headless browser, run a script in it, return what ``report`` was given."""
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    folder = tmp_path_factory.mktemp("browser")

    def run(source: str, script: str, *flags: str) -> dict:
        script = (
            "{ const report = (value) => document.documentElement.setAttribute("
            f"'data-report', JSON.stringify(value));\n{script} }}"
        )
        page = folder / "page.html"
        page.write_text(source.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
        command = [
            *(found[0], "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--window-size=320,300"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=50", *flags),
            *("--dump-dom", page.as_uri()),
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
        document = Page(result.stdout).all("html")
        assert document and "data-report" in document[0], result.stdout[-500:] + result.stderr
        return json.loads(document[0]["data-report"]) | {"state": document[0].get("data-state")}

    return run


LOOK = """
const player = window.leadPlayer;
const canvas = document.getElementById("canvas");
const gl = canvas.getContext("webgl2");
// Pixels of a view that are blue (left limbs), orange (right limbs) or light grey (the middle).
const look = (element) => {
  player.draw();
  const box = element.getBoundingClientRect();
  const [width, height] = [Math.floor(box.width), Math.floor(box.height)];
  const pixels = new Uint8Array(4 * width * height);
  gl.readPixels(
    Math.round(box.left), Math.round(innerHeight - box.bottom), width, height,
    gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  const seen = { left: 0, right: 0, all: width * height, sum: 0 };
  for (let i = 0; i < pixels.length; i += 4) {
    const [r, , b] = pixels.subarray(i, i + 3);
    seen.left += b > r + 60;
    seen.right += r > b + 60;
    seen.sum += pixels[i] * (1 + (i % 977));
  }
  return seen;
};
"""


MOTIONS = (
    walk(),
    walk(seed=1, name="kit", frames=30),
    Motion(walk(seed=2).joints, walk().features, NASTY),
)
VISIT = (
    LOOK
    + """
player.pause();
player.seek(0);
const views = [...document.querySelectorAll("figure .view")].slice(0, 2);
const first = views.map(look);
player.seek(1.5);
const later = views.map(look);
const clock = document.getElementById("clock").textContent;

const press = (key) => document.body.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
press(" ");
const started = player.playing;
press("ArrowLeft");
const stopped = [player.playing, player.time];

player.seek(1.5);
const [view] = views, home = { ...player.view };
const drag = (type, x, y) => view.dispatchEvent(
  new PointerEvent(type, { pointerId: 1, clientX: x, clientY: y, buttons: 1 }));
view.setPointerCapture = () => 0;
drag("pointerdown", 50, 50);
drag("pointermove", 90, 70);
drag("pointerup", 90, 70);
view.dispatchEvent(new WheelEvent("wheel", { deltaY: -120, ctrlKey: true, cancelable: true }));
const moved = { ...player.view }, turned = look(view);
document.getElementById("reset").click();
const reset = look(view);

document.getElementById("overlay").click();
const stage = document.getElementById("stage");
report({
  first, later, clock, started, stopped, home, moved, turned, reset,
  stage: [stage.hidden, stage.clientHeight > 50, look(stage)],
  title: document.title, duration: player.duration, error: gl.getError(),
  captions: player.clips.map((clip) => clip.caption),
  joints: player.clips.map((clip) => [...clip.joints.slice(0, 66), ...clip.joints.slice(-3)]),
});
"""
)


@pytest.fixture(scope="module")
def visit(tmp_path_factory, browse) -> dict:
    """What a visitor of a page of three clips sees and does."""
    return browse(written(tmp_path_factory.mktemp("visit"), list(MOTIONS)), VISIT)


def test_a_browser_reads_what_was_written(visit):
    assert visit["state"] == "ready" and visit["error"] == 0
    assert visit["title"] == "3 motions"  # and nothing that a caption says
    assert visit["captions"] == ["a person walks", "a person walks", NASTY]
    assert visit["duration"] == pytest.approx(30 / 12.5)  # the longest: 40 / 20, 30 / 12.5
    for shown, motion in zip(visit["joints"], MOTIONS, strict=True):
        flat = motion.joints.reshape(-1)
        np.testing.assert_allclose(shown, [*flat[:66], *flat[-3:]], atol=0.00051)


def test_a_browser_shows_moving_figures(visit):
    for first, later in zip(visit["first"], visit["later"], strict=True):
        assert first["left"] > 0.002 * first["all"] and first["right"] > 0.002 * first["all"]
        assert first["sum"] != later["sum"]
    assert visit["clock"] == "1.5 / 2.4 s"


def test_the_space_bar_starts_and_an_arrow_steps(visit):
    assert visit["started"] is True
    assert visit["stopped"] == [False, pytest.approx(1.45)]  # one frame of 20 a second back


def test_a_drag_turns_the_wheel_zooms_and_reset_undoes_both(visit):
    assert visit["moved"]["yaw"] != visit["home"]["yaw"]
    assert visit["moved"]["pitch"] > visit["home"]["pitch"]
    assert visit["moved"]["zoom"] > visit["home"]["zoom"] == 1
    assert visit["turned"]["sum"] != visit["later"][0]["sum"] == visit["reset"]["sum"]


def test_an_overlay_shows_all_figures_in_one_view(visit):
    hidden, high, seen = visit["stage"]
    assert not hidden and high
    assert seen["left"] > 0 and seen["right"] > 0  # the first clip is blue, the second vermilion


def test_without_webgl_the_captions_stand_and_a_message_says_why(tmp_path, browse):
    source = written(tmp_path, [walk()]).replace(
        "<script>\n", "<script>\nHTMLCanvasElement.prototype.getContext = () => null;\n", 1
    )
    seen = browse(
        source,
        """const message = document.getElementById("message");
report({text: message.textContent, hidden: message.hidden,
        caption: document.querySelector("figcaption").textContent});""",
    )
    assert seen["state"] == "failed" and seen["hidden"] is False
    assert "WebGL2" in seen["text"]
    assert "a person walks" in seen["caption"]
