"""The turn of a bone about its own axis, which joint positions leave open.

A knee or elbow bends about a hinge, so the plane of its bend tells how the thigh or upper arm is
turned. A straight limb tells nothing: there the turn is carried over from the frames around, and
drawn weakly towards what is usual.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lead.representation.rotations import (
    quaternion_between,
    quaternion_inverse,
    quaternion_multiply,
    quaternion_rotate,
)

CARRY_SECONDS = 0.05  # time over which a well-bent limb's turn is smoothed
USUAL_WEIGHT = 0.02  # of the usual turn: equals the hinge's at a bend of about 22 degrees


def aim(
    rest: Float[Tensor, "3"],
    rest_side: Float[Tensor, "3"],
    direction: Float[Tensor, "frames 3"],
    side: Float[Tensor, "frames 3"],
    usual: Float[Tensor, "frames 3"],
    fps: float,
) -> Float[Tensor, "frames 4"]:
    """Rotations that turn ``rest`` into ``direction`` and ``rest_side`` towards ``side``.

    ``rest_side`` is a unit vector at right angles to ``rest``. The length of ``side``, 0 to 1, says
    how much it is worth; ``usual`` takes its place where it is worth nothing, and where that is
    zero too, the shortest rotation does. The turn about ``direction`` is continuous over time.
    """
    swing = quaternion_between(rest, direction)
    axis = torch.nn.functional.normalize(rest, dim=-1)
    frame = torch.stack([rest_side, torch.linalg.cross(axis, rest_side)])
    turn = _smooth_turn(
        _in_plane(swing, frame, side),
        1 + _in_plane(swing, frame, usual),
        _carried(swing, frame, direction),
        fps,
    )
    half = torch.from_numpy(turn)[:, None] / 2
    return quaternion_multiply(swing, torch.cat([half.cos(), half.sin() * axis], dim=-1))


def _in_plane(
    swing: Float[Tensor, "frames 4"], frame: Float[Tensor, "2 3"], vector: Float[Tensor, "frames 3"]
) -> np.ndarray:
    """Complex numbers: the vector before the swing, in the plane that ``frame`` spans."""
    before = quaternion_rotate(quaternion_inverse(swing), vector)
    across, along = ((before * axis).sum(-1).numpy() for axis in frame)
    return across + 1j * along


def _carried(
    swing: Float[Tensor, "frames 4"], frame: Float[Tensor, "2 3"], direction: Tensor
) -> np.ndarray:
    """What the shortest way from one frame to the next adds to the turn, as unit complex numbers.

    The swing itself turns about the bone, quickly where it comes near half a circle.
    """
    step = quaternion_between(direction[:-1], direction[1:])
    moved = quaternion_rotate(step, quaternion_rotate(swing[:-1], frame[0]))
    return _unit(_in_plane(swing[1:], frame, moved))


def _smooth_turn(seen: np.ndarray, usual: np.ndarray, carried: np.ndarray, fps: float):
    """Angles (frames,) of the unit numbers u that best agree with all three.

    Minimises sum w |u - seen / |seen||^2 + USUAL_WEIGHT |u - usual / |usual||^2
    + k |u' - carried u|^2, with w = |seen|^4: a tridiagonal system.
    """
    from scipy.linalg import solve_banded

    worth = np.abs(seen) ** 4
    stiffness = (CARRY_SECONDS * fps) ** 2
    bands = np.zeros((3, len(seen)), dtype=np.complex128)
    bands[1] = worth + USUAL_WEIGHT
    bands[1, :-1] += stiffness
    bands[1, 1:] += stiffness
    bands[0, 1:] = -stiffness * carried.conj()
    bands[2, :-1] = -stiffness * carried
    wanted = worth * _unit(seen) + USUAL_WEIGHT * _unit(usual)
    return np.angle(solve_banded((1, 1), bands, wanted))


def _unit(numbers: np.ndarray) -> np.ndarray:
    """Complex numbers of length 1; 1 for zero."""
    length = np.abs(numbers)
    return np.where(length > 1e-12, numbers / np.maximum(length, 1e-12), 1.0)
