"""A motion as animation programs have it: named joints, a T-pose, rotations at a frame rate."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from lead.export.joint_names import joint_names
from lead.export.motion_file import Motion
from lead.representation.joint_rotations import (
    JointRotations,
    continuous_signs,
    fit_joint_rotations,
)
from lead.representation.rotations import quaternion_inverse, quaternion_multiply

GROUND = "root"  # what the node below the hips is called
WORTH_A_REMARK = 0.001  # metres


@dataclass(frozen=True, eq=False)
class Rig:
    """Joints in the T-pose, all that moves them, and what they were fitted to.

    The figure's joints come first, in their order; a node on the ground, if asked for, is the last
    and their parent. ``paths`` are places in the parent's axes of the joints that have one.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "joints 3"]  # from the parent, metres; zero for hips and ground
    rotations: Float[np.ndarray, "frames joints 4"]  # in the parent's axes, unit, w first
    paths: Mapping[int, Float[np.ndarray, "frames 3"]]  # metres
    fps: float
    figure: JointRotations

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.rotations)

    @property
    def root(self) -> int:
        """The joint without a parent."""
        return self.parents.index(-1)

    def children(self, joint: int) -> list[int]:
        """Joints that hang from ``joint``."""
        return [child for child, parent in enumerate(self.parents) if parent == joint]


def make_rig(
    motion: Motion,
    *,
    fps: float | int | None = None,
    names: str = "lead",
    root: bool = False,
    bones_of: Float[np.ndarray, "all joints 3"] | None = None,
) -> Rig:
    """The rig of a clip; ``fps`` as ``figure_at`` takes it, ``names`` of joint_names.NAMES.

    ``root`` adds a node on the floor under the hips, which moves and turns with them, so that
    their own path is their height. Bones have the median lengths of ``bones_of``, else of the clip.
    """
    figure = figure_at(motion, fps, bones_of)
    tree, path = figure.skeleton, figure.positions[:, 0]
    rig = Rig(
        *(joint_names(tree, names), tree.parents, figure.offsets, figure.rotations),
        *({0: path}, float(fps or motion.fps), figure),
    )
    return _with_root(rig) if root else rig


def _with_root(rig: Rig) -> Rig:
    """The rig with a last joint that carries the hips over the ground."""
    turns, path, last = torch.from_numpy(rig.rotations), rig.paths[0], len(rig.names)
    heading = _heading(turns[:, 0])
    turns = torch.cat([turns, heading[:, None]], dim=1)
    turns[:, 0] = quaternion_multiply(quaternion_inverse(heading), turns[:, 0])
    return replace(
        rig,
        names=(*rig.names, GROUND),
        parents=(last, *rig.parents[1:], -1),
        offsets=np.concatenate([rig.offsets, np.zeros((1, 3))]),
        rotations=turns.numpy(),
        paths={0: path * [0.0, 1.0, 0.0], last: path * [1.0, 0.0, 1.0]},
    )


def figure_at(
    motion: Motion,
    fps: float | int | None = None,
    bones_of: Float[np.ndarray, "all joints 3"] | None = None,
) -> JointRotations:
    """The joint rotations of a clip, at ``fps`` frames a second where that is given.

    Between frames rotations are interpolated on the sphere and the hips' path linearly; the first
    frame stays, and frames that coincide. Raises RequestError where that makes too many.
    """
    figure = fit_joint_rotations(motion.joints, motion.skeleton, motion.fps, bones_of)
    if fps in (None, motion.fps):
        return figure
    from lead.data.bvh.kinematics import forward_kinematics
    from lead.data.bvh.resampling import resample_linear, resample_rotations, sample_positions

    times = sample_positions(motion.frames, motion.fps, float(fps))
    rotations = resample_rotations(figure.rotations, *times)
    places = np.tile(figure.offsets, (len(rotations), 1, 1))
    places[:, 0] = resample_linear(figure.positions[:, 0], *times)
    _, positions = forward_kinematics(figure.skeleton.parents, rotations, places)
    errors = resample_linear(figure.errors, *times)
    return replace(figure, rotations=rotations, positions=positions, errors=errors)


def at_rate(motion: Motion, fps: float | int | None) -> Motion:
    """The clip at ``fps``, for what draws it: joints of ``figure_at``, features linearly between.

    Bones are constant then. The same clip where ``fps`` is its own, or None.
    """
    if fps in (None, motion.fps):
        return motion
    from lead.data.bvh.resampling import resample_linear, sample_positions

    times = sample_positions(motion.frames, motion.fps, float(fps))
    features = resample_linear(motion.features, *times)
    return replace(motion, joints=figure_at(motion, fps).positions, features=features, fps=fps)


def rotation_remark(*figures: JointRotations) -> str | None:
    """One line on how far the joints have moved, or None where it is less than a millimetre.

    Hips and chest of generated motions change their shape a little from frame to frame.
    """
    errors = np.concatenate([figure.errors for figure in figures])
    if errors.max() < WORTH_A_REMARK:
        return None
    joint = figures[0].skeleton.joint_names[int(errors.max(axis=0).argmax())]
    return (
        f"rigid hips and bones move the joints by {1000 * errors.mean():.1f} mm on average, by up "
        f"to {1000 * errors.max():.0f} mm ({joint})"
    )


def _heading(rotations: Float[torch.Tensor, "frames 4"]) -> Float[torch.Tensor, "frames 4"]:
    """The turn about y in each rotation (w, 0, y, 0), continuous in its sign."""
    turn = rotations * torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=rotations.dtype)
    turn = torch.where(
        turn.norm(dim=-1, keepdim=True) > 1e-9, turn, turn.new_tensor([1.0, 0, 0, 0])
    )
    turn = torch.nn.functional.normalize(turn, dim=-1)
    return torch.from_numpy(continuous_signs(turn.numpy()[:, None]))[:, 0]
