"""A simple body for a skeleton: a capsule around every bone, a head, hands with thumbs, heels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lead.representation.joint_rotations import JointRotations

_SEGMENTS = 16  # around a capsule
_RINGS = 4  # of each half ball, its equator included

# Radii at a bone's start and end in leg lengths (hip to ankle), by the joint at its end.
_RADII: dict[str, tuple[float, float]] = {
    **{"hip": (0.115, 0.105), "knee": (0.1, 0.068), "ankle": (0.068, 0.042)},
    **{"foot": (0.045, 0.045), "toes": (0.045, 0.04)},
    **{"spine1": (0.135, 0.125), "spine2": (0.125, 0.128), "spine3": (0.128, 0.13)},
    **{"torso": (0.135, 0.125), "chest": (0.125, 0.13)},
    **{"neck": (0.15, 0.06), "head": (0.063, 0.06), "collar": (0.1, 0.09)},
    **{"shoulder": (0.09, 0.07), "elbow": (0.065, 0.05), "wrist": (0.05, 0.035)},
}
_TIP_RADII = {"wrist": (0.05, 0.044), "foot": (0.045, 0.04), "toes": (0.045, 0.04)}
_THUMB, _THUMB_RADII = (0.35, 0.75), (0.022, 0.017)  # starts and ends at these parts of the hand
_HEEL, _HEEL_RADII = 0.055, (0.045, 0.043)  # reaches so far behind the ankle
_HEAD_RADIUS = 0.125  # of a ball that touches the top of the head
_WIDTHS: dict[str, tuple[float, float, float]] = {
    **dict.fromkeys(("spine1", "spine2", "spine3", "torso", "chest", "neck"), (1.25, 1.0, 0.9)),
    **dict.fromkeys(("foot tip", "toes tip"), (1.2, 0.85, 1.0)),
    "wrist tip": (1.0, 0.45, 1.25),
}
"""Radii are times this, along x, y and z in the T-pose: trunks are broad, hands are flat."""

Point = Float[np.ndarray, "3"]
Points = Float[np.ndarray, "vertices 3"]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles around a figure in its T-pose, each vertex bound to one joint."""

    points: Points  # metres
    normals: Points
    joints: Int[np.ndarray, " vertices"]
    triangles: Int[np.ndarray, "triangles 3"]


@dataclass(frozen=True, eq=False)
class _Capsule:
    joint: int  # that moves it
    start: Point
    end: Point
    radii: tuple[float, float]  # at start and end, in leg lengths
    width: tuple[float, float, float] = (1.0, 1.0, 1.0)


def capsule_body(figure: JointRotations, places: Float[np.ndarray, "joints 3"]) -> Mesh:
    """The body of a figure whose joints stand at ``places`` in the T-pose."""
    capsules = list(_capsules(figure, places))
    ball, triangles = _ball()
    points, normals = zip(*(_skin(ball, c, figure.leg_length) for c in capsules), strict=True)
    first_vertices = len(ball) * np.arange(len(capsules))
    return Mesh(
        points=np.concatenate(points),
        normals=np.concatenate(normals),
        joints=np.repeat([capsule.joint for capsule in capsules], len(ball)),
        triangles=(triangles + first_vertices[:, None, None]).reshape(-1, 3),
    )


def _capsules(figure: JointRotations, places: Float[np.ndarray, "joints 3"]) -> Iterator[_Capsule]:
    skeleton = figure.skeleton
    parts = [name.rpartition("_")[2] for name in skeleton.joint_names]
    for joint, parent in enumerate(skeleton.parents):
        part = parts[joint]
        if parent >= 0:
            ends, width = (places[parent], places[joint]), _WIDTHS.get(part, (1.0, 1.0, 1.0))
            yield _Capsule(parent, *ends, _RADII[part], width)
        if part == "ankle":
            heel = places[joint] - [0.0, 0.0, _HEEL * figure.leg_length]
            heel[1] = places[:, 1].min()
            yield _Capsule(joint, places[joint], heel, _HEEL_RADII)
    for joint, tip in figure.tips.items():
        end = places[joint] + tip
        if parts[joint] == "head":
            centre = end - [0.0, _HEAD_RADIUS * figure.leg_length, 0.0]
            yield _Capsule(joint, centre, centre, (_HEAD_RADIUS, _HEAD_RADIUS))
        else:
            part = parts[joint]
            yield _Capsule(joint, places[joint], end, _TIP_RADII[part], _WIDTHS[f"{part} tip"])
        if parts[joint] == "wrist":
            start, end = (places[joint] + part * tip for part in _THUMB)
            end = end + [0.0, 0.0, 0.5 * np.linalg.norm(tip)]
            yield _Capsule(joint, start, end, _THUMB_RADII)


def _ball() -> tuple[Points, Int[np.ndarray, "triangles 3"]]:
    """A unit ball about y with two equators, the lower half first; triangles face outwards."""
    heights = np.linspace(0, np.pi / 2, _RINGS, endpoint=False)
    latitudes = np.concatenate([-heights[::-1], heights])[:, None]
    around = np.linspace(0, 2 * np.pi, _SEGMENTS, endpoint=False)
    x, z = np.cos(latitudes) * np.cos(around), np.cos(latitudes) * np.sin(around)
    rings = np.stack([x, np.broadcast_to(np.sin(latitudes), x.shape), z], axis=-1)
    points = np.concatenate([[[0, -1, 0]], rings.reshape(-1, 3), [[0, 1, 0]]])
    here = 1 + np.arange(_SEGMENTS)  # vertices of the first ring, and the next one around
    ahead = np.roll(here, -1)
    bottom, top = np.zeros_like(here), np.full_like(here, len(points) - 1)
    triangles = [np.stack([bottom, here, ahead], axis=1)]
    for low in _SEGMENTS * np.arange(2 * _RINGS - 1):
        high = low + _SEGMENTS
        triangles.append(np.stack([here + low, here + high, ahead + low], axis=1))
        triangles.append(np.stack([ahead + low, here + high, ahead + high], axis=1))
    last = _SEGMENTS * (2 * _RINGS - 1)
    triangles.append(np.stack([top, ahead + last, here + last], axis=1))
    return points, np.concatenate(triangles)


def _skin(ball: Points, capsule: _Capsule, unit: float) -> tuple[Points, Points]:
    """Points and normals of the ball, cut at its equator and drawn out from start to end."""
    bone = capsule.end - capsule.start
    length = np.linalg.norm(bone)
    along = bone / length if length > 0 else np.array([0.0, 1.0, 0.0])
    across = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    across /= np.linalg.norm(across)
    directions = ball @ np.stack([across, along, np.cross(across, along)])
    upper = (np.arange(len(ball)) >= len(ball) // 2)[:, None]
    centres = np.where(upper, capsule.end, capsule.start)
    radii = unit * np.where(upper, capsule.radii[1], capsule.radii[0])
    width = np.array(capsule.width)
    normals = directions / width
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return centres + radii * directions * width, normals
