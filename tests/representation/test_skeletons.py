"""What is publicly known of the two reference skeletons."""

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.representation import features_to_joints, get_skeleton
from lead.representation.skeletons import SKELETONS

# SMPL's kinematic tree (its first 22 joints), and KIT-ML's chains: legs, spine, arms.
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
KIT_PARENTS = (-1, 0, 1, 2, 3, 3, 5, 6, 3, 8, 9, 0, 11, 12, 13, 14, 0, 16, 17, 18, 19)


@pytest.mark.parametrize(
    ("name", "joints", "features", "fps", "metres", "parents", "legs"),
    [
        ("humanml3d", 22, 263, 20.0, 1.0, SMPL_PARENTS, (5, 8)),
        ("kit", 21, 251, 12.5, 0.001, KIT_PARENTS, (17, 18)),
    ],
)
def test_sizes_units_and_trees(name, joints, features, fps, metres, parents, legs):
    skeleton = get_skeleton(name)
    assert (skeleton.name, skeleton.joints, skeleton.features) == (name, joints, features)
    assert (skeleton.fps, skeleton.metres_per_unit) == (fps, metres)
    assert skeleton.parents == parents
    assert skeleton.scale_joints == legs  # the right leg here, the left one there
    widths = (1, 2, 1, 3 * (joints - 1), 6 * (joints - 1), 3 * joints, 4)
    assert sum(widths) == features
    tables = (skeleton.joint_names, skeleton.directions, skeleton.bone_lengths)
    assert [len(table) for table in tables] == [joints] * 3
    assert len(set(skeleton.joint_names)) == joints


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_joints_that_are_named_in_pairs_are_mirror_pairs(skeleton):
    names = skeleton.joint_names
    pairs = {frozenset((names[left], names[right])) for left, right in skeleton.mirror_pairs}
    expected = {
        frozenset((name, name.replace("left", "right"))) for name in names if "left" in name
    }
    assert pairs == expected
    assert 2 * len(expected) == sum("left" in name or "right" in name for name in names)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_named_joints_are_where_the_layout_says(skeleton):
    def named(places):
        return [skeleton.joint_names[place] for place in places]

    assert named(skeleton.face_joints) == [
        *("right_hip", "left_hip", "right_shoulder", "left_shoulder")
    ]
    assert all("left" in name for name in named(skeleton.left_foot))
    assert all("right" in name for name in named(skeleton.right_foot))
    assert [name.partition("_")[2] for name in named(skeleton.scale_joints)] == ["knee", "ankle"]


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_rotations_follow_the_chains(skeleton):
    """Each rotation is relative to its chain's previous bone, the first one to the root's."""
    for chain in skeleton.chains:
        before = [0, *chain[1:]]
        for joint, expected in zip(chain[1:], before, strict=False):
            assert skeleton.rotation_parents[joint] == expected
    assert sorted(joint for chain in skeleton.chains for joint in chain[1:]) == list(
        range(1, skeleton.joints)
    )


def test_the_reference_skeleton_of_humanml3d_is_the_official_one(sample_data):
    golden = np.load(sample_data / "humanml3d" / "official_features.npz", allow_pickle=False)
    offsets = get_skeleton("humanml3d").reference_offsets().numpy()
    np.testing.assert_allclose(offsets, golden["tgt_offsets"], atol=1e-6)


def test_kit_bones_are_those_of_the_mean_pose_of_its_evaluator(sample_data):
    skeleton = get_skeleton("kit")
    mean = np.load(sample_data / "evaluator" / "kit_mean.npy", allow_pickle=False)
    pose = features_to_joints(mean[None], "kit")[0]
    bones = pose[1:] - pose[list(skeleton.parents[1:])]
    lengths = np.linalg.norm(bones, axis=-1)
    np.testing.assert_allclose(lengths, skeleton.bone_lengths[1:], atol=1.01e-4)
    for name, place in zip(skeleton.joint_names, pose, strict=True):  # left is at +X
        assert np.sign(round(place[0], 4)) == ("left" in name) - ("right" in name)


@pytest.mark.parametrize(
    ("name", "hint"), [("humanml", "'humanml3d'"), ("KIT", "humanml3d, kit"), ("", "humanml3d")]
)
def test_an_unknown_skeleton_is_refused_with_a_hint(name, hint):
    with pytest.raises(RequestError) as error:
        get_skeleton(name)
    assert f"'{name}'" in str(error.value)
    assert hint in str(error.value)
    assert "\n" not in str(error.value)
