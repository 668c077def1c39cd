"""Units and up axis of a skeleton: judged from 22 joints, or set."""

import numpy as np

from lead.core.errors import RequestError, did_you_mean
from lead.data.limits import SPEED_MOST
from lead.representation import get_skeleton

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
UP_AXES = ("y", "z", "x")
_USUAL_HEIGHT = 1.7  # metres
_HEIGHTS = (0.5, 2.5)  # metres, of a person
_HEIGHT_PER_CHAIN = 1.24  # body height over the length ankle-knee-hip plus pelvis-head
_UPRIGHT = 0.7  # cosine; below it a figure is not standing along an axis
_ON_FLOOR = (-0.08, 0.2)  # metres of the lowest joint, where the floor is zero
_CLIMB, _WALK = 1.5, 1.0  # metres that a pelvis rises at most; that nobody moves lying down

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
    Raises RequestError where no unit makes a height of 0.5 to 2.5 metres.
    """
    height = _HEIGHT_PER_CHAIN * _chain_length(joints[0])
    candidates = METRES if extra is None else {**METRES, "map": extra}
    low, high = _HEIGHTS
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
    upright = _uprightness(joints)
    axis = int(upright.argmax())
    return "xyz"[axis] if upright[axis] > _UPRIGHT else None


def judge_up_axis(joints: np.ndarray, rest: np.ndarray, usual: str | None = None) -> str:
    """The up axis (x, y or z) of one file.

    ``joints`` (frames, 22, 3) and ``rest``, its rest pose (22, 3), are in metres. A figure that
    stands along an axis shows it; one that lies along an axis looks the same. ``usual``, the axis
    of most files beside it, decides for those that show none, and where it fits the floor, the
    rest pose and the path of the pelvis better. y where nothing says anything.
    """
    shown = detect_up_axis(joints)
    if shown is None:
        return usual or detect_up_axis(rest[None]) or "y"
    across = np.delete(joints[:, 0], "xyz".index(shown), axis=1)
    if usual in (None, shown) or np.ptp(across, axis=0).max() > _WALK:
        return shown
    signs = [_signs(joints, rest, axis) for axis in (shown, usual)]
    return shown if signs[0] >= signs[1] else usual


def check_stature(joints: np.ndarray) -> None:
    """RequestError where a standing figure (frames, 22, 3), in metres, y up, is no person's."""
    upright = _uprightness(joints)[1]
    feet, head = _feet_and_head(joints)
    height = float(np.mean(head[:, 1] - feet[:, 1]))
    if upright < -_UPRIGHT:
        raise RequestError("its head is below its feet: give up_axis= to keep it, or turn it")
    low, high = _HEIGHTS
    if upright > _UPRIGHT and not low <= height <= high:
        raise RequestError(
            f"a standing figure of {height:.3g} m, people have {low:g} to {high:g}: "
            "give units= or up_axis= to keep it"
        )


def check_speed(joints: np.ndarray, fps: float) -> None:
    """RequestError where the pelvis of joints (frames, 22, 3), in metres, moves as nobody does."""
    steps = np.linalg.norm(np.diff(joints[:, 0], axis=0), axis=-1)
    if len(steps) and (speed := fps * steps.max()) > SPEED_MOST:
        raise RequestError(
            f"at {steps.argmax() / fps:.2f} s it moves {speed:.3g} m/s, {SPEED_MOST:g} at most: "
            "cut it, or give units="
        )


def _feet_and_head(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    names = get_skeleton("humanml3d").joint_names
    feet = joints[:, [names.index("left_foot"), names.index("right_foot")]].mean(axis=1)
    return feet, joints[:, names.index("head")]


def _uprightness(joints: np.ndarray) -> np.ndarray:
    """The direction (3,) from the feet to the head, its mean over the clip."""
    feet, head = _feet_and_head(joints)
    direction = head - feet
    return (direction / np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-12)).mean(
        axis=0
    )


def _signs(joints: np.ndarray, rest: np.ndarray, axis: str) -> int:
    """How many of three signs say that ``axis`` is up: rest pose, floor at zero, no climbing."""
    heights = joints[..., "xyz".index(axis)]
    on_floor = _ON_FLOOR[0] < heights.min() < _ON_FLOOR[1]
    level = np.ptp(heights[:, 0]) < _CLIMB
    return int(detect_up_axis(rest[None]) == axis) + int(on_floor) + int(level)


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
