"""Inverse kinematics, and retargeting to the reference bones."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lead.core.errors import RequestError
from lead.representation import get_skeleton
from lead.representation.kinematics import (
    bone_rotations,
    bone_vectors,
    constant_bones,
    inverse_kinematics,
    retarget,
)
from lead.representation.rotations import quaternion_to_matrix

BOTH = pytest.mark.parametrize("name", ["humanml3d", "kit"])


def root_rotation(frames: int) -> torch.Tensor:
    turns = Rotation.random(frames, random_state=3).as_quat()
    return torch.tensor(turns[:, [3, 0, 1, 2]])


def lengths_of(joints: np.ndarray, name: str) -> np.ndarray:
    parents = get_skeleton(name).parents
    return np.linalg.norm(joints[..., 1:, :] - joints[..., list(parents[1:]), :], axis=-1)


@BOTH
def test_bones_point_from_parent_to_joint(name, figure):
    skeleton = get_skeleton(name)
    joints = figure(name, frames=3)
    bones = bone_vectors(torch.tensor(joints), skeleton).numpy()
    assert (bones[:, 0] == 0).all()
    for joint in range(1, skeleton.joints):
        expected = joints[:, joint] - joints[:, skeleton.parents[joint]]
        np.testing.assert_array_equal(bones[:, joint], expected)


@BOTH
def test_local_rotations_chain_up_to_the_bones_by_matrices(name, figure):
    """By hand: products of matrices along each chain turn rest bones to real ones."""
    skeleton = get_skeleton(name)
    joints = torch.tensor(figure(name, frames=8))
    root = root_rotation(8)
    local = quaternion_to_matrix(inverse_kinematics(joints, root, skeleton)).numpy()
    rest = np.asarray(skeleton.directions, dtype=float)
    for chain in skeleton.chains:
        turn = quaternion_to_matrix(root).numpy()
        for parent, joint in zip(chain, chain[1:], strict=False):
            turn = turn @ local[:, joint]
            bone = (joints[:, joint] - joints[:, parent]).numpy()
            bone /= np.linalg.norm(bone, axis=-1, keepdims=True)
            np.testing.assert_allclose(turn @ rest[joint], bone, atol=1e-9)


@BOTH
def test_bone_rotations_have_no_twist(name, figure):
    """The axis of the shortest turn is perpendicular to the rest direction."""
    skeleton = get_skeleton(name)
    turns = bone_rotations(torch.tensor(figure(name, frames=8)), skeleton)
    rest = torch.tensor(skeleton.directions[1:], dtype=torch.float64)
    assert (turns[..., 1:] * rest).sum(-1).abs().max() < 1e-9


@BOTH
def test_retargeting_gives_reference_bones_in_the_same_directions(name, figure):
    skeleton = get_skeleton(name)
    joints = figure(name, frames=20)
    moved = retarget(torch.tensor(joints)[None], skeleton)[0].numpy()
    reference = np.broadcast_to(skeleton.bone_lengths[1:], (20, skeleton.joints - 1))
    np.testing.assert_allclose(lengths_of(moved, name), reference, atol=1e-9)
    before, after = (bone_vectors(torch.tensor(j), skeleton)[:, 1:] for j in (joints, moved))
    cosine = torch.nn.functional.cosine_similarity(before, after, dim=-1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    knee, ankle = skeleton.scale_joints
    legs = lengths_of(joints, name)[0, [knee - 1, ankle - 1]].sum()
    scale = (skeleton.bone_lengths[knee] + skeleton.bone_lengths[ankle]) / legs
    np.testing.assert_allclose(moved[:, 0], joints[:, 0] * scale, atol=1e-9)


@BOTH
def test_a_figure_of_reference_size_stays_as_it_is(name, figure):
    skeleton = get_skeleton(name)
    joints = retarget(torch.tensor(figure(name, frames=20))[None], skeleton)
    torch.testing.assert_close(retarget(joints, skeleton), joints, atol=1e-9, rtol=0)


def test_each_clip_of_a_batch_has_its_own_scale(figure):
    skeleton = get_skeleton("humanml3d")
    joints = torch.tensor(figure(frames=10))
    batch = retarget(torch.stack([joints, 2.5 * joints]), skeleton)
    torch.testing.assert_close(batch[0], batch[1])


def test_the_first_frame_sets_the_scale(figure):
    """Motion capture may stretch a limb later on; the path keeps its length."""
    skeleton = get_skeleton("humanml3d")
    joints = torch.tensor(figure(frames=10))
    stretched = joints.clone()
    stretched[5:, 8] += 3 * (joints[5:, 8] - joints[5:, 5])  # shin, ankle and toes with it
    stretched[5:, 11] += 3 * (joints[5:, 8] - joints[5:, 5])
    torch.testing.assert_close(
        retarget(stretched[None], skeleton), retarget(joints[None], skeleton)
    )


@pytest.mark.parametrize("name", ["humanml3d", "kit"])
def test_constant_bones_keep_root_and_directions_and_have_the_lengths_of_the_skeleton(name):
    shape = get_skeleton(name)
    parents = list(shape.parents[1:])
    joints = torch.randn(2, 5, shape.joints, 3, dtype=torch.float64)
    held = constant_bones(joints, name)
    assert torch.equal(held[..., 0, :], joints[..., 0, :])
    before, after = (x[..., 1:, :] - x[..., parents, :] for x in (joints, held))
    wanted = torch.tensor(shape.bone_lengths[1:], dtype=torch.float64)
    torch.testing.assert_close(after.norm(dim=-1), wanted.expand(2, 5, -1))
    cosines = torch.nn.functional.cosine_similarity(before, after, dim=-1)
    torch.testing.assert_close(cosines, torch.ones_like(cosines))
    torch.testing.assert_close(constant_bones(held, name), held)
    np.testing.assert_array_equal(constant_bones(joints.numpy(), name), held.numpy())


def test_a_bone_of_no_length_points_as_in_the_rest_pose_and_has_a_finite_gradient():
    joints = torch.zeros(3, 22, 3, dtype=torch.float64, requires_grad=True)
    held = constant_bones(joints)
    offsets = get_skeleton("humanml3d").reference_offsets()
    torch.testing.assert_close(held[0, 7], offsets[1] + offsets[4] + offsets[7])
    held.sum().backward()
    assert torch.isfinite(joints.grad).all()


def test_the_gradient_of_constant_bones_is_that_of_finite_differences():
    joints = torch.randn(2, 22, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: constant_bones(x).pow(2).sum((-1, -2)), joints)


@pytest.mark.parametrize("shape", [(22,), (4, 21, 3), (4, 22, 2)])
def test_other_joints_are_refused(shape):
    with pytest.raises(RequestError, match=r"joints must be \(\.\.\., 22, 3\)"):
        constant_bones(np.zeros(shape))
