"""Moving pictures, read back by readers that know nothing of how they were written."""

import sys
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lead.core.errors import RequestError, WorkError
from lead.export import animation
from lead.export.animation import write_animation
from lead.export.figure import BACKGROUND, LIMBS
from lead.export.scene import prepare_scene, render

SIZE = (160, 128)
write_gif, write_webp, write_mp4 = (
    partial(write_animation, format=name) for name in ("gif", "webp", "mp4")
)


def walk(frames: int) -> np.ndarray:
    """Swinging sticks that move along +Z."""
    draw = np.random.default_rng(1)
    rest = draw.uniform((-0.4, 0, -0.2), (0.4, 1.7, 0.2), size=(22, 3))
    time = np.arange(frames)[:, None] / 10
    joints = np.repeat(rest[None], frames, axis=0)
    joints[:, :, 2] += time * 0.6
    joints[:, :, 1] += 0.1 * np.sin(time + np.arange(22))
    return joints.astype(np.float32)


def frames_of(path: Path) -> tuple[list[np.ndarray], list[int], tuple[int, int], int]:
    """RGB frames, milliseconds each, size, loop count: by Pillow's own decoders."""
    with Image.open(path) as picture:
        frames, times = [], []
        for index in range(picture.n_frames):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB")))
            times.append(picture.info["duration"])
        return frames, times, picture.size, picture.info["loop"]


@pytest.mark.parametrize("write", [write_gif, write_webp])
def test_frames_time_size_and_loop(tmp_path: Path, write) -> None:
    write(tmp_path / "clip", walk(30), "a person walks", 20, size=SIZE)
    frames, times, size, loop = frames_of(tmp_path / "clip")
    assert len(frames) == 30
    assert times == [50] * 30
    assert size == SIZE
    assert loop == 0  # for ever


@pytest.mark.parametrize("write", [write_gif, write_webp])
@pytest.mark.parametrize(("fps", "count"), [(12.5, 40), (30, 40), (24, 40), (50, 40), (1, 3)])
def test_rounding_of_delays_adds_up(tmp_path: Path, write, fps: float, count: int) -> None:
    write(tmp_path / "clip", walk(count), "", fps, size=SIZE)
    _, times, _, _ = frames_of(tmp_path / "clip")
    assert len(times) == count
    assert sum(times) == pytest.approx(1000 * count / fps, abs=5)
    assert max(times) - min(times) <= 10


@pytest.mark.parametrize(("frames", "count"), [(119, 49), (120, 50), (121, 50)])
def test_a_fast_gif_loses_frames_but_not_time(tmp_path: Path, frames: int, count: int) -> None:
    write_gif(tmp_path / "clip.gif", walk(frames), "", 120, size=SIZE)
    _, times, _, _ = frames_of(tmp_path / "clip.gif")
    assert len(times) == count
    assert min(times) >= 20
    assert sum(times) == pytest.approx(1000 * frames / 120, abs=5)


def test_a_gif_shows_what_was_drawn(tmp_path: Path) -> None:
    """Rebuilt from its changes, each frame equals the drawing up to the blended edges."""
    joints = walk(12)
    write_gif(tmp_path / "clip.gif", joints, "a person walks", 20, size=SIZE)
    scene = prepare_scene(joints, "a person walks", 20, parents=None, size=SIZE)
    frames, _, _, _ = frames_of(tmp_path / "clip.gif")
    for frame, drawn in zip(frames, render(scene, range(12)), strict=True):
        drawn = np.asarray(drawn)
        for colour in (BACKGROUND, *LIMBS.values()):
            exact = (drawn == colour).all(axis=-1)
            assert exact.any()
            assert (frame[exact] == colour).all()
        assert np.abs(frame.astype(int) - drawn).mean() < 1


def test_a_webp_shows_exactly_what_was_drawn(tmp_path: Path) -> None:
    joints = walk(6)
    write_webp(tmp_path / "clip.webp", joints, "a person walks", 20, size=SIZE)
    scene = prepare_scene(joints, "a person walks", 20, parents=None, size=SIZE)
    frames, _, _, _ = frames_of(tmp_path / "clip.webp")
    for frame, drawn in zip(frames, render(scene, range(6)), strict=True):
        assert np.array_equal(frame, np.asarray(drawn))


def test_a_figure_that_stands_still_keeps_its_frames(tmp_path: Path) -> None:
    write_gif(tmp_path / "clip.gif", np.repeat(walk(1), 15, axis=0), "", 20, size=SIZE)
    frames, times, _, _ = frames_of(tmp_path / "clip.gif")
    assert times == [50] * 15
    assert np.array_equal(frames[0], frames[9])
    assert not np.array_equal(frames[9], frames[10])  # half a second: the clock moves


def test_one_frame_is_a_picture(tmp_path: Path) -> None:
    for write, name in ((write_gif, "one.gif"), (write_webp, "one.webp")):
        write(tmp_path / name, walk(1), "", size=SIZE)
        with Image.open(tmp_path / name) as picture:
            assert picture.size == SIZE


def test_equal_input_makes_equal_bytes(tmp_path: Path) -> None:
    for write in (write_gif, write_webp):
        for name in ("a", "b"):
            write(tmp_path / name, walk(10), "a person walks", size=SIZE)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_real_clip_stays_small(tmp_path: Path, sample_data: Path) -> None:
    joints = np.load(sample_data / "humanml3d" / "new_joints" / "012314.npy")[:128]
    caption = "a person runs forward, turns around and walks back with the hands on the knees"
    write_gif(tmp_path / "clip.gif", joints, caption)
    assert (tmp_path / "clip.gif").stat().st_size < 150_000


def test_mp4_is_read_back(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs the extra 'video'")
    for fps, rate in ((20, Fraction(20)), (12.5, Fraction(25, 2))):
        write_mp4(tmp_path / "clip.mp4", walk(25), "a person walks", fps, size=SIZE)
        with av.open(str(tmp_path / "clip.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.format.name) == ("h264", "yuv420p")
            assert (stream.width, stream.height) == SIZE
            assert stream.average_rate == rate
            assert float(stream.duration * stream.time_base) == pytest.approx(25 / fps)
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == 25
        scene = prepare_scene(walk(25), "a person walks", fps, parents=None, size=SIZE)
        drawn = np.asarray(next(render(scene, [24]))).astype(int)
        assert np.abs(frames[24] - drawn).mean() < 4


def test_mp4_is_deterministic_and_whole_or_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av", reason="needs the extra 'video'")
    for name in ("a.mp4", "b.mp4"):
        write_mp4(tmp_path / name, walk(10), "a person walks", size=SIZE)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    monkeypatch.setattr(animation, "render", _breaks_off)
    with pytest.raises(RuntimeError, match="midway"):
        write_mp4(tmp_path / "c.mp4", walk(10), "", size=SIZE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_mp4_without_pyav_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RequestError, match=r'pip install "lead\[video\]"'):
        write_mp4(tmp_path / "clip.mp4", walk(3), "")
    assert list(tmp_path.iterdir()) == []


def _breaks_off(scene, frames):
    yield from render(scene, list(frames)[:3])
    raise RuntimeError("midway")


@pytest.mark.parametrize("write", [write_gif, write_webp])
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write
) -> None:
    (tmp_path / "old").write_bytes(b"whole")
    monkeypatch.setattr(animation, "render", _breaks_off)
    for name in ("old", "new"):
        with pytest.raises(RuntimeError, match="midway"):
            write(tmp_path / name, walk(6), "", size=SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"whole"


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(scene, frames):  # noqa: ARG001
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(animation, "render", full)
    with pytest.raises(WorkError, match=r"cannot write .*clip\.gif \(No space left on device\)"):
        write_gif(tmp_path / "clip.gif", walk(3), "")
    assert list(tmp_path.iterdir()) == []
