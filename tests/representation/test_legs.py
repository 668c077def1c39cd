"""Which joints are legs, and how long they are."""

import numpy as np
import pytest

from lead.representation import get_skeleton
from lead.representation.legs import leg_length, legs_of


@pytest.mark.parametrize(
    ("name", "joints"),
    [
        ("humanml3d", (("left", 1, 4, 7, (10,)), ("right", 2, 5, 8, (11,)))),
        ("kit", (("left", 16, 17, 18, (19, 20)), ("right", 11, 12, 13, (14, 15)))),
    ],
)
def test_the_joints_of_both_legs(name, joints):
    names = get_skeleton(name).joint_names
    for leg, (side, *places) in zip(legs_of(get_skeleton(name)), joints, strict=True):
        assert [leg.hip, leg.knee, leg.ankle, leg.foot] == places
        assert leg.toe == places[-1][-1]
        parts = [names[joint] for joint in (leg.hip, leg.knee, leg.ankle)]
        assert parts == [f"{side}_{part}" for part in ("hip", "knee", "ankle")]


def test_the_length_of_a_leg_is_that_of_its_bones():
    skeleton = get_skeleton("humanml3d")
    joints = np.zeros((3, 22, 3))
    for side in (0, 1):
        leg = legs_of(skeleton)[side]
        joints[:, leg.hip, 1], joints[:, leg.knee, 1] = 1.0, 0.6
        joints[:, leg.ankle, 1] = 0.1
    assert leg_length(joints, legs_of(skeleton)) == pytest.approx(0.9)
