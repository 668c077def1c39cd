"""Units and up axis of a skeleton: detected from 22 joints, or set."""

import numpy as np

from lead.core.errors import RequestError, did_you_mean
from lead.representation import get_skeleton

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
UP_AXES = ("y", "z", "x")
_USUAL_HEIGHT = 1.7  # metres
_PLAUSIBLE = (0.9, 2.5)  # metres
_HEIGHT_PER_CHAIN = 1.24  # body height over the length ankle-knee-hip plus pelvis-head
_UPRIGHT = 0.7  # cosine; below it a figure is not standing along an axis

# Rotations that turn an up axis to +y (determinant 1, so left stays left).
_TO_Y_UP = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
}


def check_conventions(units: str, up_axis: str) -> None:
    """Raise RequestError where ``units`` or ``up_axis`` is not one of the known words."""
    for name, word, known in (
        ("units", units, (*METRES, "auto")),
        ("up_axis", up_axis, (*UP_AXES, "auto")),
    ):
        if word not in known:
            raise RequestError(f"{name}={word} is unknown, {did_you_mean(word, known)}")


def detect_units(joints: np.ndarray, extra: float | None = None) -> tuple[str, float]:
    """Name and metres of the unit in which the figure comes closest to a person's height.

    ``joints`` is (frames, 22, 3). The height is estimated from bone lengths of the first frame,
    so the pose does not matter; ``extra`` is one more unit to try, in metres.
    Raises RequestError where no unit makes a height of 0.9 to 2.5 metres.
    """
    height = _HEIGHT_PER_CHAIN * _chain_length(joints[0])
    candidates = METRES if extra is None else {**METRES, "map": extra}
    low, high = _PLAUSIBLE
    people = {
        name: height * metres
        for name, metres in candidates.items()
        if low <= height * metres <= high
    }
    if people:
        name = min(people, key=lambda name: abs(np.log(people[name] / _USUAL_HEIGHT)))
        return name, candidates[name]
    raise RequestError(
        f"the figure is about {height:.4g} units tall, no person in m, cm, mm or inch: give units="
    )


def detect_up_axis(joints: np.ndarray) -> str | None:
    """The axis (x, y or z) along which the head is above the feet over the clip, if there is one.

    ``joints`` is (frames, 22, 3). None where the figure does not stand along an axis, for example
    because it lies or crawls most of the time.
    """
    names = get_skeleton("humanml3d").joint_names
    feet = joints[:, [names.index("left_foot"), names.index("right_foot")]].mean(axis=1)
    direction = joints[:, names.index("head")] - feet
    direction = direction / np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-12)
    upright = direction.mean(axis=0)
    axis = int(upright.argmax())
    return "xyz"[axis] if upright[axis] > _UPRIGHT else None


def to_metres_y_up(joints: np.ndarray, metres_per_unit: float, up_axis: str) -> np.ndarray:
    """Scale to metres and rotate the up axis to +y; a rotation, so left stays left."""
    return joints @ (metres_per_unit * _TO_Y_UP[up_axis].T)


def _chain_length(pose: np.ndarray) -> float:
    """Ankle to hip, mean of both legs, plus pelvis to head along the spine."""
    names = get_skeleton("humanml3d").joint_names
    spine = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
    left, right = (
        tuple(f"{side}_{part}" for part in ("ankle", "knee", "hip")) for side in ("left", "right")
    )
    lengths = []
    for chain in (spine, left, right):
        points = pose[[names.index(name) for name in chain]]
        lengths.append(np.linalg.norm(np.diff(points, axis=0), axis=-1).sum())
    return float(lengths[0] + (lengths[1] + lengths[2]) / 2)
