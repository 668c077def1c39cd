"""Left-right mirror images of motions, in the plane x = 0."""

import torch
from jaxtyping import Float
from torch import Tensor

from lead.representation.skeletons import get_skeleton


def mirror_joints(
    joints: Float[Tensor, "*shape joints 3"], skeleton: str = "humanml3d"
) -> Float[Tensor, "*shape joints 3"]:
    """Mirror image of joint positions, left and right joints swapped. Its own inverse."""
    shape = get_skeleton(skeleton)
    order = list(range(shape.joints))
    for left, right in shape.mirror_pairs:
        order[left], order[right] = right, left
    flip = joints.new_tensor([-1.0, 1.0, 1.0])
    return joints.index_select(-2, torch.tensor(order, device=joints.device)) * flip
