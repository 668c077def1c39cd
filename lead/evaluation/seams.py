"""Whether a motion of several sentences shows where one ends and the next begins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lead.core.errors import RequestError
from lead.evaluation.physical import Joints, check_clip, sliding_frames
from lead.representation import Skeleton

NEAR_SECONDS = 0.25  # on either side of a seam


@dataclass(frozen=True)
class Movement:
    """Means over frames and joints: speed, acceleration, and the share of frames that slide."""

    speed: float  # m/s
    acceleration: float  # m/s²
    skating: float


def seam_movement(
    joints: Joints, fps: float, skeleton: Skeleton, seams: Sequence[int]
) -> tuple[Movement, Movement]:
    """How a clip moves near the ``seams`` (frames that are the first of a sentence), and elsewhere.

    RequestError for a clip without frames of both kinds.
    """
    joints = check_clip(joints, at_least=3, skeleton=skeleton)
    reach = max(1, round(NEAR_SECONDS * fps))
    near = np.zeros(len(joints) - 2, bool)  # a row for each frame that has one on either side
    for seam in seams:
        near[max(0, seam - 1 - reach) : max(0, seam - 1 + reach)] = True
    if near.all() or not near.any():
        raise RequestError("seams are compared with the rest of a motion: give it more frames")
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean(axis=1) * fps
    acceleration = np.linalg.norm(np.diff(joints, n=2, axis=0), axis=-1).mean(axis=1) * fps**2
    sliding = sliding_frames(joints, fps, skeleton)
    measured = (speed[1:], acceleration, sliding[1:])
    return tuple(Movement(*(float(x[rows].mean()) for x in measured)) for rows in (near, ~near))
