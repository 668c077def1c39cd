"""Mirror images: left becomes right, and nothing else changes."""

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.representation import get_skeleton, joints_to_features
from lead.representation.mirroring import mirror_joints

BOTH = pytest.mark.parametrize("name", ["humanml3d", "kit"])


@BOTH
def test_mirroring_swaps_sides_and_negates_x(name, figure):
    skeleton = get_skeleton(name)
    joints = figure(name, frames=5)
    mirrored = mirror_joints(torch.tensor(joints), name).numpy()
    for place, joint in enumerate(skeleton.joint_names):
        side = {"left": "right", "righ": "left"}.get(joint[:4])
        twin = joint if side is None else f"{side}_{joint.partition('_')[2]}"
        expected = joints[:, skeleton.joint_names.index(twin)] * [-1, 1, 1]
        np.testing.assert_array_equal(mirrored[:, place], expected)


@BOTH
def test_mirroring_twice_changes_nothing(name, figure):
    joints = torch.tensor(figure(name, frames=5))
    assert torch.equal(mirror_joints(mirror_joints(joints, name), name), joints)
    assert not torch.equal(mirror_joints(joints, name), joints)


@BOTH
def test_mirroring_keeps_bone_lengths_of_the_other_side(name, figure):
    skeleton = get_skeleton(name)
    parents = list(skeleton.parents[1:])
    joints = torch.tensor(figure(name, frames=5))
    before, after = (
        (j[:, 1:] - j[:, parents]).norm(dim=-1) for j in (joints, mirror_joints(joints, name))
    )
    order = list(range(skeleton.joints))
    for left, right in skeleton.mirror_pairs:
        order[left], order[right] = right, left
    torch.testing.assert_close(after, before[:, [place - 1 for place in order[1:]]])


@pytest.mark.parametrize(
    ("name", "atol"),
    [
        ("kit", 1e-9),
        ("humanml3d", 2e-3),  # its reference skeleton is not quite symmetric
    ],
)
def test_a_mirrored_motion_turns_the_other_way(name, atol, figure):
    joints = figure(name, frames=100)
    features = joints_to_features(joints, name)
    mirrored = joints_to_features(mirror_joints(torch.tensor(joints), name).numpy(), name)
    assert np.abs(features[:, 0]).max() > 20 * atol
    np.testing.assert_allclose(mirrored[:, 0], -features[:, 0], atol=atol)


def test_leading_axes_are_kept_and_gradients_pass(figure):
    joints = torch.tensor(figure(frames=6)).reshape(2, 3, 22, 3).requires_grad_(True)
    mirrored = mirror_joints(joints)
    assert mirrored.shape == joints.shape
    mirrored.sum().backward()
    assert (joints.grad.abs() == 1).all()


def test_an_unknown_skeleton_is_refused():
    with pytest.raises(RequestError, match="did you mean 'kit'"):
        mirror_joints(torch.zeros(2, 22, 3), "kitt")
