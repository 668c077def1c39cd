"""A figure moved by rotations that the tests of this room make themselves."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lead.export.motion_file import Motion
from lead.representation import get_skeleton


@pytest.fixture(scope="session")
def dancer() -> Callable[..., Motion]:
    """Make a clip of constant bones: the body goes round, every joint turns smoothly."""

    def make(skeleton: str = "humanml3d", frames: int = 50, text: str = "someone dances") -> Motion:
        tree = get_skeleton(skeleton)
        rng = np.random.default_rng(5)
        seconds = np.arange(frames)[:, None] / tree.fps
        bones = rng.normal(size=(tree.joints, 3)) * 0.3 + np.array(tree.directions)
        bones *= np.array(tree.bone_lengths)[:, None] / np.linalg.norm(bones, axis=1, keepdims=True)
        joints = np.zeros((frames, tree.joints, 3))
        joints[:, 0] = np.concatenate([np.sin(seconds), 0 * seconds + 0.9, seconds], axis=1)
        world: dict[int, Rotation] = {}
        for joint, parent in enumerate(tree.parents):
            waves = np.sin(seconds * rng.uniform(1, 4, 3) + rng.uniform(0, 6, 3))
            turn = Rotation.from_rotvec(0.5 * waves)
            if parent < 0:
                world[joint] = Rotation.from_euler("y", 1.5 * seconds) * turn
            else:
                world[joint] = world[parent] * turn
                joints[:, joint] = joints[:, parent] + world[parent].apply(bones[joint])
        features = np.zeros((frames, tree.features))
        return Motion(joints, features, text, seed=3, fps=tree.fps, skeleton=skeleton)

    return make
