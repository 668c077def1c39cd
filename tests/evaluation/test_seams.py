"""Movement at seams against closed forms."""

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.evaluation.seams import seam_movement
from lead.representation import features_to_joints, get_skeleton

SKELETON = get_skeleton("humanml3d")


def sliding(sticks, frames: int, pace: float) -> np.ndarray:
    return features_to_joints(sticks.stick_features(frames, pace))


def test_one_pace_has_no_seam(sticks):
    """0.05 m a frame at 20 fps: 1 m/s everywhere, no acceleration, always on sliding feet."""
    joints = sliding(sticks, 60, 0.05)
    for side in seam_movement(joints, 20.0, SKELETON, [30]):
        assert side.speed == pytest.approx(1, abs=1e-4) and side.skating == 1
        assert side.acceleration == pytest.approx(0, abs=1e-2)


def test_a_jump_shows_at_its_seam_alone(sticks):
    """All joints jump 0.2 m from frame 29 to 30: one step of ten, and two accelerations of ten."""
    joints = np.repeat(sliding(sticks, 1, 0.0), 60, axis=0)
    joints[30:, :, 0] += 0.2
    near, rest = seam_movement(joints, 20.0, SKELETON, [30])
    assert near.speed == pytest.approx(0.2 * 20 / 10)
    assert near.acceleration == pytest.approx(2 * 0.2 * 400 / 10)
    assert rest.speed == rest.acceleration == rest.skating == 0
    with pytest.raises(RequestError, match="seams are compared with the rest"):
        seam_movement(joints[:6], 20.0, SKELETON, [3])
