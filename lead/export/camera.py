"""A pinhole camera: where it has to stand to see everything, and where points land in its picture.

World: metres, y up, right-handed. Picture: pixels, u to the right, v downwards. The camera stands
at ``azimuth`` about the y axis (0 = on the +Z side, positive towards +X) and ``elevation`` above
the horizon, and looks horizontally level along the opposite direction.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

NEAR = 1e-3  # metres before the camera; what is nearer counts as behind it


@dataclass(frozen=True)
class Camera:
    """Position (metres), direction (radians), focal length and principal point (pixels)."""

    position: tuple[float, float, float]
    azimuth: float
    elevation: float
    focal: float
    centre: tuple[float, float]

    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Rows: right, up and forward of the camera, in the world."""
        sin_a, cos_a = np.sin(self.azimuth), np.cos(self.azimuth)
        sin_e, cos_e = np.sin(self.elevation), np.cos(self.elevation)
        right = (cos_a, 0.0, -sin_a)
        up = (-sin_a * sin_e, cos_e, -cos_a * sin_e)
        forward = (-sin_a * cos_e, -sin_e, -cos_a * cos_e)
        return np.array([right, up, forward])

    def view(self, points: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
        """World points in the camera's axes: metres to the right, up and away from it."""
        return (points - np.array(self.position)) @ self.axes().T

    def picture(self, seen: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
        """Pixels (u, v) of points in the camera's axes, and pixels per metre at their depth."""
        scale = self.focal / np.maximum(seen[..., 2], NEAR)
        u = self.centre[0] + seen[..., 0] * scale
        v = self.centre[1] - seen[..., 1] * scale
        return np.stack([u, v, scale], axis=-1)

    def project(self, points: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
        """Pixels (u, v) of world points, and pixels per metre at their depth.

        u = centre + focal x / depth, v = centre - focal y / depth; the last is focal / depth.
        """
        return self.picture(self.view(points))

    def outline(self, corners: Float[np.ndarray, "n 3"]) -> list[tuple[float, float]]:
        """Pixels of a world polygon's (or segment's) corners, cut off just before the camera.

        Empty where all of it lies behind the camera.
        """
        seen = self.view(corners)
        kept = []
        for here, there in zip(seen, np.roll(seen, -1, axis=0), strict=True):
            if here[2] >= NEAR:
                kept.append(here)
            if (here[2] >= NEAR) != (there[2] >= NEAR):
                kept.append(here + (NEAR - here[2]) / (there[2] - here[2]) * (there - here))
        return [(float(u), float(v)) for u, v, _ in self.picture(np.array(kept))] if kept else []


def fit_camera(
    points: Float[np.ndarray, "n 3"],
    box: tuple[float, float, float, float],
    *,
    margin: float,
    azimuth: float,
    elevation: float,
    focal: float,
) -> Camera:
    """The nearest camera of a given direction that sees a ball of radius ``margin`` at each point.

    ``box`` is the part of the picture to fill: left, top, right, bottom in pixels. With t = half
    the box / focal, a ball is inside when |x - camera_x| + margin sqrt(1 + t^2) <= t depth, linear
    in the camera's place, so the extremes of x + t depth and x - t depth decide; the same for y.
    """
    left, top, right, bottom = box
    centre = ((left + right) / 2, (top + bottom) / 2)
    camera = Camera((0.0, 0.0, 0.0), azimuth, elevation, focal, centre)
    seen = camera.view(points.astype(np.float64))
    place, depths = np.zeros(3), []
    for axis, half in ((0, (right - left) / 2), (1, (bottom - top) / 2)):
        t = half / focal
        ball = margin * np.sqrt(1 + t * t)
        highest = (seen[:, axis] - t * seen[:, 2]).max() + ball
        lowest = (seen[:, axis] + t * seen[:, 2]).min() - ball
        place[axis] = (highest + lowest) / 2
        depths.append((lowest - highest) / (2 * t))
    place[2] = min(depths)
    x, y, z = (float(value) for value in place @ camera.axes())
    return replace(camera, position=(x, y, z))
