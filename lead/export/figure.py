"""A stick figure on a floor, drawn by our own projection (about a millisecond a frame).

Everything is drawn at twice the size and halved, which smooths the edges. Left limbs are blue,
right limbs vermilion, the spine dark grey: the colours of Okabe and Ito, told apart with any kind
of colour vision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from lead.export.camera import Camera
from lead.representation.skeletons import get_skeleton

Colour = tuple[int, int, int]
Pixels = Float[np.ndarray, "joints 3"]  # u, v, pixels per metre

BACKGROUND: Colour = (250, 250, 252)
FLOOR: Colour = (236, 238, 242)
GRID: Colour = (214, 218, 226)
SHADOW: Colour = (204, 208, 216)
PATH: Colour = (150, 158, 172)
TEXT: Colour = (40, 44, 52)
FAINT_TEXT: Colour = (120, 126, 138)
LIMBS: dict[str, Colour] = {"left": (0, 114, 178), "right": (213, 94, 0), "middle": (64, 68, 78)}
COLOURS = (
    BACKGROUND,
    FLOOR,
    GRID,
    SHADOW,
    PATH,
    TEXT,
    FAINT_TEXT,
    *LIMBS.values(),
)  # background first

OVERSAMPLE = 2
BONE_WIDTH, JOINT_RADIUS, HEAD_RADIUS = 0.24, 0.15, 0.45  # in mean bone lengths
SHADOW_RADIUS, FLOOR_BEYOND = 0.9, 2.5  # in mean bone lengths; of floor around the path
GRID_STEPS = (0.5, 1.0, 2.0, 5.0)  # metres
GRID_LINES = 24  # at most, in either direction


@dataclass(frozen=True)
class Body:
    """Parents of the joints, a side of each ("left", "right", "middle"), and the head."""

    parents: tuple[int, ...]
    sides: tuple[str, ...]
    head: int

    @property
    def bones(self) -> list[tuple[int, int]]:
        """(parent, joint) of every joint that has a parent."""
        return [(parent, joint) for joint, parent in enumerate(self.parents) if parent >= 0]

    def bone_length(self, joints: np.ndarray) -> float:
        """Mean length of the bones in metres: the unit for widths and margins."""
        parents, children = zip(*self.bones, strict=True)
        joints = joints.astype(np.float64)
        lengths = np.linalg.norm(joints[:, list(children)] - joints[:, list(parents)], axis=-1)
        return max(float(np.median(lengths, axis=0).mean()), 1e-3)


@cache
def body_of(skeleton: str) -> Body:
    """The body of a skeleton, by the names of its joints; RequestError for an unknown one."""
    tree = get_skeleton(skeleton)
    sides = (name.partition("_")[0] for name in tree.joint_names)
    sides = tuple(side if side in ("left", "right") else "middle" for side in sides)
    return Body(tree.parents, sides, tree.joint_names.index("head"))


def on_floor(points: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """Points dropped straight down to y = 0."""
    return points * np.array([1.0, 0.0, 1.0], dtype=points.dtype)


def draw_floor(
    joints: Float[np.ndarray, "frames joints 3"], unit: float, camera: Camera, size: tuple[int, int]
) -> Image.Image:
    """Floor, grid and the root's way over it, oversampled."""
    picture = Image.new("RGB", (OVERSAMPLE * size[0], OVERSAMPLE * size[1]), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    ground = joints[:, :, ::2].reshape(-1, 2).astype(np.float64)
    beyond = FLOOR_BEYOND * unit
    step = _grid_step(float(np.ptp(ground, axis=0).max()) + 2 * beyond)
    low = np.floor((ground.min(axis=0) - beyond) / step) * step
    high = np.ceil((ground.max(axis=0) + beyond) / step) * step
    corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    if len(outline := camera.outline(_flat(corners))) >= 3:
        draw.polygon(outline, fill=FLOOR)
    for axis in (0, 1):
        for place in np.arange(low[axis], high[axis] + step / 2, step):
            ends = [low.copy(), high.copy()]
            ends[0][axis] = ends[1][axis] = place
            _polyline(draw, camera.outline(_flat(ends)), GRID, OVERSAMPLE)
    path = camera.project(on_floor(joints[:, 0]))
    _polyline(draw, [(float(u), float(v)) for u, v, _ in path], PATH, 2 * OVERSAMPLE)
    return picture


def draw_figure(draw: ImageDraw.ImageDraw, pixels: Pixels, body: Body, unit: float) -> None:
    """Bones from the farthest to the nearest, thicker where nearer, with joints as dots."""
    points = pixels.tolist()
    bones = sorted(body.bones, key=lambda bone: points[bone[0]][2] + points[bone[1]][2])
    for parent, joint in bones:
        (u0, v0, scale0), (u1, v1, scale1) = points[parent], points[joint]
        bone = unit * (scale0 + scale1) / 2
        width, colour = BONE_WIDTH * bone, LIMBS[body.sides[joint]]
        draw.line((u0, v0, u1, v1), colour, max(OVERSAMPLE, round(width)))
        head = HEAD_RADIUS if joint == body.head else JOINT_RADIUS
        for u, v, radius, side in (
            (u0, v0, JOINT_RADIUS * unit * scale0, body.sides[parent]),
            (u1, v1, head * unit * scale1, body.sides[joint]),
        ):
            _dot(draw, u, v, max(OVERSAMPLE, radius), LIMBS[side])


def draw_shadow(draw: ImageDraw.ImageDraw, ground: Pixels, tilt: float, unit: float) -> None:
    """A small round shadow under the body's middle, at ``ground`` (pixels of the joints at y = 0).

    ``tilt`` is height / width of a circle on the floor. The outline is short on purpose: a shadow
    as wide as the body would make a GIF a sixth larger.
    """
    u, v, scale = ground.mean(axis=0)
    radius = SHADOW_RADIUS * unit * scale
    draw.ellipse((u - radius, v - tilt * radius, u + radius, v + tilt * radius), fill=SHADOW)


def _grid_step(extent: float) -> float:
    for step in GRID_STEPS:
        if extent / step <= GRID_LINES:
            return step
    return float(10.0 ** np.ceil(np.log10(extent / GRID_LINES)))


def _flat(corners: Sequence) -> Float[np.ndarray, "n 3"]:
    return np.array([(x, 0.0, z) for x, z in corners])


def _polyline(draw: ImageDraw.ImageDraw, points: list, colour: Colour, width: int) -> None:
    if len(points) >= 2:
        draw.line(points, colour, width, joint="curve")


def _dot(draw: ImageDraw.ImageDraw, u: float, v: float, radius: float, colour: Colour) -> None:
    draw.ellipse((u - radius, v - radius, u + radius, v + radius), fill=colour)
