"""Moving figures that the tests of this room make themselves, without the code under test."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lead.representation import Skeleton, get_skeleton

SIDEWAYS = ("hip", "collar", "shoulder")
UPWARD = ("spine1", "spine2", "spine3", "torso", "chest", "neck", "head")
FORWARD = ("foot", "toes")


def standing_direction(name: str) -> np.ndarray:
    """Where a bone points in a figure that stands facing +Z, its left side at +X."""
    sign = 1.0 if name.startswith("left") else -1.0
    part = name.rpartition("_")[2]
    if part in SIDEWAYS:
        return np.array([sign, -0.3 if part == "hip" else 0.1, 0.0])
    if part in UPWARD:
        return np.array([0.0, 1.0, 0.05])
    if part in FORWARD:
        return np.array([0.1 * sign, -0.4, 1.0])
    return np.array([0.05 * sign, -1.0, 0.02])


def smooth(rng: np.random.Generator, seconds: np.ndarray, size: float) -> np.ndarray:
    """A random smooth curve (frames, 3)."""
    waves = rng.normal(size=(2, 1, 3)) * np.sin(
        rng.uniform(0.5, 4.0, (2, 1, 3)) * seconds[None, :, None] + rng.uniform(0, 6, (2, 1, 3))
    )
    return size * waves.sum(0)


def moving_figure(skeleton: Skeleton, frames: int, seed: int) -> np.ndarray:
    """Joints (frames, J, 3) in metres: a figure of odd proportions that walks, turns and waves."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(frames) / skeleton.fps
    lengths = np.asarray(skeleton.bone_lengths) * rng.uniform(0.8, 1.3, skeleton.joints)
    heading = rng.uniform(-3, 3) + 0.8 * np.sin(seconds * rng.uniform(0.5, 1.5)) + 0.3 * seconds
    body = Rotation.from_euler("y", heading[:, None]) * Rotation.from_rotvec(
        smooth(rng, seconds, 0.1)
    )
    turns = {0: body}
    joints = np.zeros((frames, skeleton.joints, 3))
    step = np.stack([np.sin(heading), np.zeros(frames), np.cos(heading)], axis=-1)
    joints[:, 0] = np.cumsum(step * 0.8 / skeleton.fps, axis=0) + smooth(rng, seconds, 0.03)
    joints[:, 0] += rng.normal(size=3)
    waiting = list(range(1, skeleton.joints))
    while waiting:
        joint = waiting.pop(0)
        parent = skeleton.parents[joint]
        if parent not in turns:
            waiting.append(joint)
            continue
        direction = standing_direction(skeleton.joint_names[joint])
        bone = lengths[joint] * direction / np.linalg.norm(direction)
        turns[joint] = turns[parent] * Rotation.from_rotvec(smooth(rng, seconds, 0.15))
        joints[:, joint] = joints[:, parent] + turns[joint].apply(bone)
    return joints


@pytest.fixture(scope="session")
def figure() -> Callable[..., np.ndarray]:
    """``figure(name, frames=60, seed=0)``: joints of a moving figure, float64, metres."""

    def make(name: str = "humanml3d", frames: int = 60, seed: int = 0) -> np.ndarray:
        return moving_figure(get_skeleton(name), frames, seed)

    return make
