"""A clip on its stage: camera and caption fixed once, then one picture per frame."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from lead.export.camera import Camera, fit_camera
from lead.export.caption import draw_lines, get_font, line_height, wrap_text
from lead.export.figure import (
    BACKGROUND,
    FAINT_TEXT,
    OVERSAMPLE,
    TEXT,
    Body,
    body_of,
    draw_figure,
    draw_floor,
    draw_shadow,
    on_floor,
)

AZIMUTH, ELEVATION = float(np.radians(-45)), float(np.radians(14))  # front right, a little above
FOCAL = 1.9  # focal length / longer side of the picture: a gentle perspective
MARGIN = 0.8  # mean bone lengths kept free around every joint
REACH = 3.0  # mean bone lengths around the joints that are drawn anew in each frame
CLOCK = 0.5  # seconds between changes of the time shown: each change costs a GIF 250 bytes


@dataclass(frozen=True)
class Scene:
    """All that stays the same while a clip plays; the camera counts oversampled pixels."""

    joints: Float[np.ndarray, "frames joints 3"]
    body: Body
    bone_length: float
    fps: float
    size: tuple[int, int]
    camera: Camera
    header: Image.Image  # the caption's band, as wide as the picture

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.joints)


def prepare_scene(
    joints: np.ndarray,
    caption: str,
    fps: float | int,
    *,
    skeleton: str,
    size: tuple[int, int],
) -> Scene:
    """Place the camera of a clip, which stands still and sees all of it.

    joints (frames, J, 3) metres, y up.
    """
    body = body_of(skeleton)
    header = draw_header(caption, size)
    unit = body.bone_length(joints)
    camera = place_camera(joints, unit, (0, header.height, *size))
    return Scene(joints, body, unit, float(fps), size, camera, header)


def render(scene: Scene, frames: Iterable[int]) -> Iterator[Image.Image]:
    """One RGB picture for each of the chosen frames.

    Only the part around the figure is drawn anew.
    """
    whole = (0, 0, OVERSAMPLE * scene.size[0], OVERSAMPLE * scene.size[1])
    camera = scene.camera
    floor = draw_floor(scene.joints, scene.bone_length, camera, scene.size)
    empty = floor.reduce(OVERSAMPLE)
    for frame in frames:
        figure = camera.project(scene.joints[frame])
        ground = camera.project(on_floor(scene.joints[frame]))
        seen = np.concatenate([figure, ground])
        part = _around(seen, scene.bone_length, whole)
        drawn = floor.crop(part)
        draw = ImageDraw.Draw(drawn)
        corner = np.array([part[0], part[1], 0])
        draw_shadow(draw, ground - corner, np.sin(ELEVATION), scene.bone_length)
        draw_figure(draw, figure - corner, scene.body, scene.bone_length)
        picture = empty.copy()
        picture.paste(drawn.reduce(OVERSAMPLE), (part[0] // OVERSAMPLE, part[1] // OVERSAMPLE))
        picture.paste(scene.header, (0, 0))
        _draw_time(picture, np.floor(frame / scene.fps / CLOCK + 1e-6) * CLOCK)
        yield picture


def place_camera(
    joints: Float[np.ndarray, "frames joints 3"], unit: float, box: tuple[int, int, int, int]
) -> Camera:
    """The camera that sees every joint and its shadow inside ``box`` (pixels of the picture)."""
    points = np.concatenate([joints, on_floor(joints)]).reshape(-1, 3)
    left, top, right, bottom = (float(OVERSAMPLE * edge) for edge in box)
    return fit_camera(
        points,
        (left, top, right, bottom),
        margin=max(MARGIN * unit, 0.02),
        azimuth=AZIMUTH,
        elevation=ELEVATION,
        focal=FOCAL * max(right - left, bottom - top),
    )


def draw_header(caption: str, size: tuple[int, int]) -> Image.Image:
    """The caption in up to three lines on a band of its own; no height without a caption."""
    font = get_font(max(10, round(min(size) / 22)))
    pad = round(font.size * 0.6)
    lines = wrap_text(caption, font, size[0] - 2 * pad, max_lines=3)
    height = len(lines) * line_height(font) + 2 * pad if lines else 0
    band = Image.new("RGB", (size[0], height), BACKGROUND)
    draw_lines(ImageDraw.Draw(band), (pad, pad), lines, font, TEXT)
    return band


def _around(
    pixels: Float[np.ndarray, "n 3"], unit: float, whole: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """The smallest box on whole final pixels that holds figure and shadow."""
    reach = REACH * unit * float(pixels[:, 2].max()) + 2 * OVERSAMPLE
    low = np.floor((pixels[:, :2].min(axis=0) - reach) / OVERSAMPLE) * OVERSAMPLE
    high = np.ceil((pixels[:, :2].max(axis=0) + reach) / OVERSAMPLE) * OVERSAMPLE
    left, top = (max(0, int(edge)) for edge in low)
    right, bottom = (min(side, int(edge)) for side, edge in zip(whole[2:], high, strict=True))
    return left, top, right, bottom


def _draw_time(picture: Image.Image, seconds: float) -> None:
    font = get_font(max(9, round(min(picture.size) / 28)))
    corner = (round(font.size * 0.7), picture.height - line_height(font) - 2)
    draw_lines(ImageDraw.Draw(picture), corner, [f"{seconds:.1f} s"], font, FAINT_TEXT)
