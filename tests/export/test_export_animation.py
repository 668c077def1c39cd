"""Moving pictures, read back by readers that know nothing of how they were written."""

import struct
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lead.core.errors import WorkError
from lead.export import animation, h264
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
    scene = prepare_scene(joints, "a person walks", 20, skeleton="humanml3d", size=SIZE)
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
    scene = prepare_scene(joints, "a person walks", 20, skeleton="humanml3d", size=SIZE)
    frames, _, _, _ = frames_of(tmp_path / "clip.webp")
    for frame, drawn in zip(frames, render(scene, range(6)), strict=True):
        assert np.array_equal(frame, np.asarray(drawn))


def test_a_figure_that_stands_still_keeps_its_time(tmp_path: Path) -> None:
    write_gif(tmp_path / "clip.gif", np.repeat(walk(1), 15, axis=0), "", 20, size=SIZE)
    frames, times, _, _ = frames_of(tmp_path / "clip.gif")
    assert times == [500, 250]  # of equal pictures one stays; after half a second the clock moves
    assert not np.array_equal(*frames)


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
    assert (tmp_path / "clip.gif").stat().st_size < 175_000


class Film:
    """Just enough of MP4 and H.264 to see what a file of ours shows, from the standards."""

    def __init__(self, path: Path):
        self.data = path.read_bytes()
        self.boxes = dict(self.walk(0, len(self.data)))
        sizes = self.table("stsz")[2:]
        place = self.table("stco")[1]
        self.units = []
        for size in sizes:
            length = int.from_bytes(self.data[place : place + 4], "big")
            assert length == size - 4
            self.units.append(self.data[place + 4 : place + size].replace(b"\0\0\3", b"\0\0"))
            place += size
        start, end = self.boxes["mdat"]
        assert place == end and start + 8 == self.table("stco")[1]

    def walk(self, place: int, end: int):
        """Every box by its name, those in others too: where its content begins and ends."""
        while place < end:
            size, kind = struct.unpack_from(">I4s", self.data, place)
            size = size if size != 1 else struct.unpack_from(">Q", self.data, place + 8)[0]
            yield kind.decode(), (place + 8, place + size)
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
                yield from self.walk(place + 8, place + size)
            place += size
        assert place == end

    def table(self, name: str) -> list[int]:
        """The whole numbers of a box, behind its version."""
        start, end = self.boxes[name]
        return [number for (number,) in struct.iter_unpack(">I", self.data[start + 4 : end])]

    def pictures(self, blocks: int):
        """Y, Cb, Cr of every macroblock (blocks, 384), picture by picture."""
        shown = np.zeros((blocks, 384), np.uint8)
        for unit in self.units:
            bits = Bits(unit)
            first, kind, _ = bits.number(), bits.number(), bits.number()
            bits.place += 16
            if kind == 7:
                bits.number()
            bits.place += 2 if kind == 7 else 3
            assert (first, bits.number(), bits.number()) == (0, 0, 1) and kind in (5, 7)
            block, stop = 0, len(bits.text.rstrip("0")) - 1
            while bits.place < stop:
                block += bits.number() if kind == 5 else 0
                if bits.place < stop:
                    assert bits.number() == (25 if kind == 7 else 30)  # I_PCM
                    bits.place += -bits.place % 8
                    shown[block] = np.frombuffer(unit, np.uint8, 384, bits.place // 8)
                    bits.place, block = bits.place + 8 * 384, block + 1
            assert block == blocks
            yield shown


class Bits:
    """A unit behind its first byte, read as Exp-Golomb codes."""

    def __init__(self, unit: bytes):
        self.text, self.place = "".join(f"{byte:08b}" for byte in unit), 8

    def number(self) -> int:
        zeros = self.text.index("1", self.place) - self.place
        self.place += 2 * zeros + 1
        return int(self.text[self.place - zeros - 1 : self.place], 2) - 1


@pytest.mark.parametrize("size", [SIZE, (102, 70)])
@pytest.mark.parametrize(("fps", "rate"), [(20, (20, 1)), (12.5, (25, 2)), (29.97, (2997, 100))])
def test_an_mp4_shows_what_was_drawn(tmp_path: Path, fps, rate, size, monkeypatch) -> None:
    monkeypatch.setattr(h264, "KEY", 10)  # two more pictures that need no other
    write_mp4(tmp_path / "clip.mp4", walk(25), "a person walks", fps, size=size)
    film = Film(tmp_path / "clip.mp4")
    assert film.table("stts") == [1, 25, rate[1]]
    assert film.table("mdhd")[2:4] == [rate[0], 25 * rate[1]]
    assert film.table("stss") == [3, 1, 11, 21]
    assert [side >> 16 for side in film.table("tkhd")[-2:]] == list(size)
    across, down = -(-size[0] // 16), -(-size[1] // 16)
    scene = prepare_scene(walk(25), "a person walks", fps, skeleton="humanml3d", size=size)
    both = zip(film.pictures(across * down), render(scene, range(25)), strict=True)
    for blocks, drawn in both:
        luma = blocks[:, :256].reshape(down, across, 16, 16).swapaxes(1, 2).reshape(16 * down, -1)
        red, green, blue = np.moveaxis(np.asarray(drawn).astype(float), -1, 0)
        grey = 16 + 219 / 255 * (0.2126 * red + 0.7152 * green + 0.0722 * blue)
        assert np.abs(luma[: size[1], : size[0]] - grey).max() < 0.51
    chroma = blocks[:, 256:].reshape(down, across, 2, 8, 8).transpose(2, 0, 3, 1, 4)
    chroma = chroma.reshape(2, 8 * down, 8 * across)[:, : size[1] // 2, : size[0] // 2]
    for found, colour, weight in zip(chroma, (blue, red), (1.8556, 1.5748), strict=True):
        wanted = 128 + 224 / 255 * ((colour - (grey - 16) * 255 / 219) / weight)
        wanted = wanted.reshape(size[1] // 2, 2, size[0] // 2, 2).mean(axis=(1, 3))
        assert np.abs(found - wanted).max() < 0.6


def test_an_mp4_is_read_by_ffmpeg_to_the_bit(tmp_path: Path, monkeypatch) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    monkeypatch.setattr(h264, "KEY", 10)
    size = (102, 70)
    write_mp4(tmp_path / "clip.mp4", walk(25), "a person walks", 12.5, size=size)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.format.name) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == size
        assert stream.average_rate == Fraction(25, 2)
        assert float(stream.duration * stream.time_base) == pytest.approx(2)
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
    for frame, blocks in zip(frames, Film(tmp_path / "clip.mp4").pictures(35), strict=True):
        luma = blocks[:, :256].reshape(5, 7, 16, 16).swapaxes(1, 2).reshape(80, 112)
        np.testing.assert_array_equal(frame[:70, :102], luma[:70, :102])


def test_mp4_is_deterministic_and_whole_or_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_mp4(tmp_path / name, walk(10), "a person walks", size=SIZE)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    monkeypatch.setattr(animation, "render", _breaks_off)
    with pytest.raises(RuntimeError, match="midway"):
        write_mp4(tmp_path / "c.mp4", walk(10), "", size=SIZE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


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
