"""What joint positions tell about a bone's turn about its own axis."""

import torch
from jaxtyping import Float
from torch import Tensor

from lead.representation.kinematics import bone_vectors
from lead.representation.rest_pose import t_pose_directions
from lead.representation.rotations import quaternion_rotate, rotation_between_sets
from lead.representation.skeletons import Skeleton

Vectors = Float[Tensor, "frames 3"]

_LEFT = (1.0, 0.0, 0.0)
_HINGES = {
    # joint that turns with a hinge: the bone at the hinge, the bone beyond, the hinge's axis
    "hip": ("knee", "ankle", {"left": _LEFT, "right": _LEFT}),
    "shoulder": ("elbow", "wrist", {"left": (0.0, -1.0, 0.0), "right": (0.0, 1.0, 0.0)}),
}


class BoneSides:
    """For each joint with one child, a side of its bone: at rest, and as the frames show it.

    ``places`` are joint positions, ``offsets`` the figure in the T-pose.
    """

    def __init__(
        self,
        tree: Skeleton,
        places: Float[Tensor, "frames joints 3"],
        offsets: Float[Tensor, "joints 3"],
    ):
        self.tree = tree
        self.offsets = offsets
        self.bones = bone_vectors(places, tree)
        self.directions = torch.nn.functional.normalize(self.bones, dim=-1)

    def of(self, joint: int) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"], Vectors, Vectors]:
        """The bone at rest, its side there, the side seen, and the side usual where none is seen.

        The sides seen and usual are world vectors, as long (0 to 1) as they are worth.
        """
        (child,) = self.tree.children[joint]
        rest = self.offsets[child]
        rest = rest if rest.any() else t_pose_directions(self.tree)[child]
        where, _, part = self.tree.joint_names[joint].partition("_")
        nothing = torch.zeros_like(self.bones[:, joint])
        if part in _HINGES:
            near, far, axes = _HINGES[part]
            near, far = self._direction(f"{where}_{near}"), self._direction(f"{where}_{far}")
            usual = nothing
            if part == "hip":  # a straight leg's knee looks where the toes point
                usual = torch.linalg.cross(self._direction(f"{where}_foot"), near)
            return rest, _at_right_angles(axes[where], rest), torch.linalg.cross(near, far), usual
        ends = self._branches_around(joint)
        seen = self._between(*ends) if ends else nothing
        return rest, _at_right_angles(_LEFT, rest), seen, nothing

    def _direction(self, name: str) -> Vectors:
        return self.directions[:, self.tree.joint_names.index(name)]

    def _branches_around(self, joint: int) -> tuple[int, int, float] | None:
        """The branching joints before and after ``joint`` on its chain, and how far between."""
        children, parents = self.tree.children, self.tree.parents
        before, after, above, below = joint, joint, 0, 0
        while before >= 0 and len(children[before]) == 1:
            before, above = parents[before], above + 1
        while len(children[after]) == 1:
            after, below = children[after][0], below + 1
        if before < 0 or not children[after]:
            return None
        return before, after, above / (above + below)

    def _between(self, before: int, after: int, fraction: float) -> Vectors:
        """The left side, blended from one branching joint to another."""
        left = torch.tensor(_LEFT, dtype=self.bones.dtype)
        start, end = (
            quaternion_rotate(rotation_between_sets(self.offsets[c], self.bones[:, c]), left)
            for c in (self.tree.children[before], self.tree.children[after])
        )
        return torch.lerp(start, end, fraction)


def _at_right_angles(
    wanted: tuple[float, float, float], rest: Float[Tensor, "3"]
) -> Float[Tensor, "3"]:
    """The unit vector at right angles to ``rest`` nearest to ``wanted``, or the next axis."""
    side = torch.tensor(wanted, dtype=rest.dtype)
    axis = torch.nn.functional.normalize(rest, dim=-1)
    if (axis @ side).abs() > 0.9:
        side = side.roll(1)
    return torch.nn.functional.normalize(side - (axis @ side) * axis, dim=-1)
