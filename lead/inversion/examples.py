"""Motion capture as something to learn a word from."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from lead.core.errors import RequestError
from lead.data.bvh.joints import load_bvh_joints
from lead.representation import joints_to_features


def read_recorded_example(
    path: Path, skeleton: str, fps: float | int
) -> Float[np.ndarray, "frames features"]:
    """Un-normalised features of a BVH or AMC file at ``fps``; errors name the file.

    Raises RequestError for another skeleton than the 22 joints that such files become, and where
    one frame or none is left.
    """
    if skeleton != "humanml3d":
        raise RequestError(
            f"{path}: recordings become 22 joints, the run has skeleton '{skeleton}'"
        )
    joints = load_bvh_joints(path, fps=fps)
    if len(joints) < 2:
        raise RequestError(f"{path}: one frame at {fps:g} fps is no motion")
    return whole_features(joints, skeleton)


def whole_features(
    joints: Float[np.ndarray, "frames joints 3"], skeleton: str
) -> Float[np.ndarray, "frames features"]:
    """Un-normalised features of joints in metres, of the last frame too.

    Features say of a frame how it goes on; of the last one these say that it stands still.
    """
    again = np.concatenate([joints, joints[-1:]])
    return joints_to_features(again, skeleton, shortest_turn=True)
