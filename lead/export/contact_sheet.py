"""Many clips on one picture: each a row of poses over time, with its caption."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw

from lead.core.files import atomic_path
from lead.export.caption import get_font, line_height
from lead.export.figure import (
    BACKGROUND,
    FAINT_TEXT,
    GRID,
    OVERSAMPLE,
    Body,
    body_of,
    draw_figure,
    draw_floor,
    draw_shadow,
    on_floor,
)
from lead.export.scene import AZIMUTH, ELEVATION, draw_header, place_camera

CELL = (480, 240)  # pixels
POSE_ROOM = 3.2  # mean bone lengths from one pose to the next, at least
TIME_FONT = 10  # pixels
TIME_BELOW = 1.2  # mean bone lengths from the middle of a pose's shadow to its time


def write_contact_sheet(
    path: Path | str,
    clips: Sequence[tuple[np.ndarray, str]],
    columns: int = 2,
    frames_per_clip: int = 6,
    *,
    fps: float | int = 20,
    skeleton: str = "humanml3d",
    cell: tuple[int, int] = CELL,
) -> None:
    """Write a PNG with one cell per clip: poses spread along the way walked, time below each.

    ``clips`` are (joints, caption) with joints (frames, J, 3) in metres, y up. The sheet measures
    ``columns`` cells by as many rows as the clips need. Where a figure stays in place or turns
    back, its poses are moved apart sideways. There has to be a clip.
    """
    width, height = cell
    columns = min(columns, len(clips))
    body = body_of(skeleton)
    sheet = Image.new("RGB", (columns * width, ceil(len(clips) / columns) * height), BACKGROUND)
    for number, (joints, caption) in enumerate(clips):
        picture = draw_poses(joints, caption, body, frames_per_clip, float(fps), cell)
        ImageDraw.Draw(picture).rectangle((0, 0, width - 1, height - 1), outline=GRID)
        sheet.paste(picture, (number % columns * width, number // columns * height))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def draw_poses(
    joints: Float[np.ndarray, "frames joints 3"],
    caption: str,
    body: Body,
    poses: int,
    fps: float,
    size: tuple[int, int],
) -> Image.Image:
    """One cell: ``poses`` moments, evenly spread over the clip, on one floor."""
    unit = body.bone_length(joints)
    chosen = np.unique(np.linspace(0, len(joints) - 1, poses).round().astype(int))
    joints = joints + sideways(joints[:, 0], chosen, POSE_ROOM * unit)[:, None]
    header = draw_header(caption, size)
    box = (0, header.height, size[0], size[1] - line_height(get_font(TIME_FONT)))
    camera = place_camera(joints[chosen], unit, box)
    drawn = draw_floor(joints, unit, camera, size)
    draw = ImageDraw.Draw(drawn)
    figures = camera.project(joints[chosen])
    grounds = camera.project(on_floor(joints[chosen]))
    for ground in grounds:
        draw_shadow(draw, ground, np.sin(ELEVATION), unit)
    for pose in np.argsort(figures[:, 0, 2]):  # from the farthest to the nearest
        draw_figure(draw, figures[pose], body, unit)
    picture = drawn.reduce(OVERSAMPLE)
    picture.paste(header, (0, 0))
    _draw_times(ImageDraw.Draw(picture), grounds, chosen / fps, unit, size[1])
    return picture


def sideways(
    root: Float[np.ndarray, "frames 3"], chosen: Int[np.ndarray, " poses"], room: float
) -> Float[np.ndarray, "frames 3"]:
    """Shift of each frame across the picture that puts ``chosen`` frames at least ``room`` apart.

    A pose moves no further than it must: none where the walk itself spreads the poses. Time runs
    in the direction walked, or to the right where the clip ends about where it began.
    """
    right = np.array([np.cos(AZIMUTH), 0.0, -np.sin(AZIMUTH)])
    across = root[chosen] @ right
    direction = -1.0 if across[-1] - across[0] < -room else 1.0
    wanted = direction * across
    placed = wanted.copy()
    for pose in range(1, len(placed)):
        placed[pose] = max(wanted[pose], placed[pose - 1] + room)
    shift = np.interp(np.arange(len(root)), chosen, direction * (placed - wanted))
    return shift[:, None] * right


def _draw_times(
    draw: ImageDraw.ImageDraw,
    grounds: Float[np.ndarray, "poses joints 3"],
    seconds: Float[np.ndarray, " poses"],
    unit: float,
    bottom: int,
) -> None:
    font = get_font(TIME_FONT)
    lowest = bottom - line_height(font)
    for ground, moment in zip(grounds, seconds, strict=True):
        u, v, scale = ground.mean(axis=0) / OVERSAMPLE
        place = (float(u), min(lowest, float(v + TIME_BELOW * unit * scale)))
        draw.text(place, f"{moment:.1f}", fill=FAINT_TEXT, font=font, anchor="ma")
