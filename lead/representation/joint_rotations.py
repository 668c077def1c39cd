"""Joint rotations of a skeleton with constant bones, fitted to joint positions.

A joint's rotation moves all that hangs from it, as in animation programs; the rotations of the
feature layout (``kinematics``) move one bone each and hold no turn about the bone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lead.representation.bone_sides import BoneSides
from lead.representation.kinematics import bone_vectors
from lead.representation.rest_pose import t_pose_directions, t_pose_tips
from lead.representation.rotations import (
    quaternion_inverse,
    quaternion_multiply,
    quaternion_rotate,
    rotation_between_sets,
)
from lead.representation.skeletons import Skeleton, get_skeleton
from lead.representation.twist import aim

_SHAPE_ROUNDS = 5  # of fitting a branching joint's shape and its rotations in turn


@dataclass(frozen=True, eq=False)
class JointRotations:
    """A figure in the T-pose and its motion as joint rotations.

    World rotation of a joint = world rotation of its parent times its own; its position = the
    parent's position + the parent's world rotation applied to the joint's offset.
    """

    skeleton: Skeleton
    offsets: Float[np.ndarray, "joints 3"]  # from each joint's parent in the T-pose, metres
    rotations: Float[np.ndarray, "frames joints 4"]  # in the parent's frame, unit, w first
    positions: Float[np.ndarray, "frames joints 3"]  # of the joints so turned, metres
    errors: Float[np.ndarray, "frames joints"]  # distance from the positions asked for, metres

    @property
    def leg_length(self) -> float:
        """Hip to ankle, mean of both legs, metres."""
        parts = [name.rpartition("_")[2] for name in self.skeleton.joint_names]
        legs = [part in ("knee", "ankle") for part in parts]
        return float(np.linalg.norm(self.offsets[legs], axis=-1).sum() / 2)

    @property
    def tips(self) -> dict[int, Float[np.ndarray, "3"]]:
        """From each joint without children to the end of head, hand or foot in the T-pose."""
        tips = t_pose_tips(self.skeleton)
        return {joint: self.leg_length * tip.numpy() for joint, tip in tips.items()}


def fit_joint_rotations(
    joints: Float[np.ndarray, "frames joints 3"],
    skeleton: str,
    fps: float,
    bones_of: Float[np.ndarray, "all joints 3"] | None = None,
) -> JointRotations:
    """Rotations that bring a figure with this clip's median bone lengths close to ``joints``.

    Joints with several children (pelvis, chest) solve Wahba's problem (1965) on all of them, in the
    shape that the clip itself has there; the others point at their child from where they have come
    to lie, so that errors do not add up. The turn about a bone, which positions leave open, follows
    the hinges of knee and elbow, and goes evenly from pelvis to chest along the spine; elsewhere
    the rotation is the shortest. Rotations are continuous over time, their signs too.

    Where bones keep their lengths and branches their shape, as in motion capture, the positions
    come out exactly; ``errors`` is what is left elsewhere. Raises RequestError for an unknown
    skeleton. ``bones_of`` are the joints to take the bones from, where clips are to share theirs.
    """
    tree = get_skeleton(skeleton)
    places = torch.from_numpy(np.asarray(joints, dtype=np.float64))
    measured = places if bones_of is None else torch.from_numpy(bones_of.astype(np.float64))
    offsets = _fit_figure(tree, measured)
    rotations, positions = _fit_motion(tree, places, offsets, fps)
    return JointRotations(
        skeleton=tree,
        offsets=offsets.numpy(),
        rotations=continuous_signs(rotations.numpy()),
        positions=positions.numpy(),
        errors=(positions - places).norm(dim=-1).numpy(),
    )


def _fit_motion(
    tree: Skeleton,
    places: Float[Tensor, "frames joints 3"],
    offsets: Float[Tensor, "joints 3"],
    fps: float,
) -> tuple[Float[Tensor, "frames joints 4"], Float[Tensor, "frames joints 3"]]:
    """Local rotations and the positions they lead to, from the root outwards."""
    sides = BoneSides(tree, places, offsets)
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=places.dtype).repeat(len(places), 1)
    world, local, placed = [], [], []
    for joint, (parent, children) in enumerate(zip(tree.parents, tree.children, strict=True)):
        above, start = identity, places[:, joint]
        if parent >= 0:
            above = world[parent]
            start = placed[parent] + quaternion_rotate(above, offsets[joint])
        back = quaternion_inverse(above)
        targets = quaternion_rotate(back[:, None], places[:, children] - start[:, None])
        if len(children) > 1:
            turn = rotation_between_sets(offsets[children], targets)
        elif children:
            rest, rest_side, seen, usual = sides.of(joint)
            seen, usual = quaternion_rotate(back, seen), quaternion_rotate(back, usual)
            turn = aim(rest, rest_side, targets[:, 0], seen, usual, fps)
        else:
            turn = identity
        world.append(quaternion_multiply(above, turn))
        local.append(turn)
        placed.append(start)
    return torch.stack(local, dim=1), torch.stack(placed, dim=1)


def _fit_figure(
    tree: Skeleton, places: Float[Tensor, "frames joints 3"]
) -> Float[Tensor, "joints 3"]:
    """Offsets in the T-pose: median bone lengths, and at branching joints the clip's own shape.

    The shape is what all frames agree on best, turned so that it comes closest to the T-pose.
    """
    bones = bone_vectors(places, tree)
    lengths = bones.norm(dim=-1).median(dim=0).values
    offsets = t_pose_directions(tree) * lengths[:, None]
    for children in tree.children:
        if len(children) < 2:
            continue
        rest, seen = offsets[children], bones[:, children]
        shape = rest
        for _ in range(_SHAPE_ROUNDS):
            back = quaternion_inverse(rotation_between_sets(shape, seen))
            shape = quaternion_rotate(back[:, None], seen).mean(dim=0)
        offsets[children] = quaternion_rotate(rotation_between_sets(shape, rest), shape)
    return offsets


def continuous_signs(
    rotations: Float[np.ndarray, "frames joints 4"],
) -> Float[np.ndarray, "frames joints 4"]:
    """The same rotations, each quaternion with the sign nearest to the frame before; w > 0 first.

    q and -q are the same rotation, but a program that blends from one to the other goes astray.
    """
    flips = np.sign((rotations[1:] * rotations[:-1]).sum(-1))
    first = np.sign(rotations[:1, :, 0])
    signs = np.concatenate([first, flips])
    signs[signs == 0] = 1.0
    return rotations * np.cumprod(signs, axis=0)[..., None]
