"""Moving pictures of a clip: GIF and WebP with Pillow, MP4 by mp4.py."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from lead.core.files import atomic_path
from lead.export.figure import COLOURS
from lead.export.mp4 import write_mp4
from lead.export.scene import Scene, prepare_scene, render

SIZE = (320, 320)
GIF_FPS = 50.0  # viewers slow down what asks for less than 2/100 s a frame


def write_animation(
    path: Path | str,
    joints: np.ndarray,
    caption: str,
    fps: float | int = 20,
    *,
    format: str = "gif",
    skeleton: str = "humanml3d",
    size: tuple[int, int] = SIZE,
) -> None:
    """Write a clip as ``gif``, ``webp`` or ``mp4``, atomically; equal input makes equal bytes.

    joints (frames, J, 3) metres, y up; ``size`` even numbers of pixels. The camera stands still and
    sees all of the clip. GIF and WebP loop; of equal pictures a GIF keeps one for the time of all,
    and clips faster than 50 fps lose frames in it, not time. An MP4 is H.264 as browsers, phones
    and slides play it.
    """
    encode = {"gif": _gif, "webp": _webp, "mp4": _mp4}[format]
    scene = prepare_scene(joints, caption, fps, skeleton=skeleton, size=size)
    with atomic_path(path) as temporary:
        encode(scene, temporary)


def _gif(scene: Scene, path: Path) -> None:
    shown = _at_most(scene, GIF_FPS)
    palette, nearest = _palette()
    first, *rest = (Image.fromarray(nearest[_cell(np.asarray(p))]) for p in render(scene, shown))
    for frame in (first, *rest):
        frame.putpalette(palette)
    times = [10 * time for time in _durations(scene, len(shown), per_second=100)]
    some = {"save_all": True, "append_images": rest, "duration": times}
    first.save(path, "GIF", loop=0, optimize=True, **some)


def _webp(scene: Scene, path: Path) -> None:
    first, *rest = render(scene, range(scene.frames))
    times = _durations(scene, scene.frames, per_second=1000)
    quality = {"lossless": True, "quality": 30, "method": 1}
    first.save(
        *(path, "WEBP"), save_all=True, append_images=rest, duration=times, loop=0, **quality
    )


def _mp4(scene: Scene, path: Path) -> None:
    write_mp4(path, map(np.asarray, render(scene, range(scene.frames))), scene.size, scene.fps)


def _at_most(scene: Scene, fps: float) -> list[int]:
    """Frames to show: all of them, or as many as keep to ``fps`` frames a second."""
    count = scene.frames
    if scene.fps > fps:
        count = max(1, int(scene.frames * fps / scene.fps))
    return [i * scene.frames // count for i in range(count)]


def _durations(scene: Scene, pictures: int, per_second: int) -> list[int]:
    """How long each picture is shown in 1/``per_second`` s, rounded so that no drift builds up."""
    ends = np.arange(1, pictures + 1) * (scene.frames / pictures) * per_second / scene.fps
    return np.diff(np.round(ends).astype(int), prepend=0).tolist()


@lru_cache
def _palette() -> tuple[bytes, np.ndarray]:
    """The colours of all GIFs, and the nearest of them to each colour of 5 bits a channel.

    These are the figure's own colours and, for smooth edges, their even blends with the background
    (blends with each other would make the files a fifth larger and look the same).
    """
    base = np.array(COLOURS, dtype=np.float64)
    colours = np.round(np.concatenate([base, (base[1:] + base[0]) / 2]))
    cells = np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    centres = cells * 8.0 + 3.5
    distance = (colours**2).sum(-1) - 2 * centres @ colours.T
    nearest = distance.argmin(axis=1).astype(np.uint8)
    nearest[_cell(base.astype(np.uint8))] = np.arange(len(base))
    return colours.astype(np.uint8).tobytes(), nearest


def _cell(rgb: np.ndarray) -> np.ndarray:
    """Index of each colour (..., 3) cut to 5 bits a channel."""
    red, green, blue = (rgb[..., i].astype(np.uint16) >> 3 for i in range(3))
    return (red << 10) | (green << 5) | blue
