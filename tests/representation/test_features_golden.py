"""Features and joints against files that HumanML3D's own script wrote."""

from pathlib import Path

import numpy as np
import pytest

from lead.representation import features_to_joints, joints_to_features

PARTS = {
    "root yaw velocity": slice(0, 1),
    "root planar velocity": slice(1, 3),
    "root height": slice(3, 4),
    "local positions": slice(4, 67),
    "local rotations": slice(67, 193),
    "local velocities": slice(193, 259),
    "foot contacts": slice(259, 263),
}
CONTACTS = PARTS["foot contacts"]
SMOOTHING = 80  # frames that the facing direction's smoothing looks ahead
WITHIN = 2e-5  # metres: the path is a sum of 169 steps, each rounded to 1e-7 of a metre or so


@pytest.fixture(scope="module")
def folder(sample_data) -> Path:
    return sample_data / "humanml3d"


@pytest.fixture(scope="module")
def golden(folder) -> dict[str, np.ndarray]:
    with np.load(folder / "official_features.npz", allow_pickle=False) as archive:
        return dict(archive)


def errors(actual: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Relative error of each part."""
    return {
        name: np.linalg.norm(actual[:, part] - expected[:, part])
        / np.linalg.norm(expected[:, part])
        for name, part in PARTS.items()
    }


@pytest.mark.parametrize("clip", ["plain", "moved"])
def test_features_equal_the_official_ones(golden, clip):
    """``moved`` is ``plain`` turned, scaled and shifted; measured relative error: 1e-5."""
    features = joints_to_features(golden[f"{clip}.in"])
    assert features.shape == golden[f"{clip}.feat"].shape == (169, 263)
    assert max(errors(features, golden[f"{clip}.feat"]).values()) < 1e-4
    np.testing.assert_array_equal(features[:, CONTACTS], golden[f"{clip}.feat"][:, CONTACTS])


def test_a_turned_scaled_and_shifted_clip_has_the_same_features(golden):
    features = joints_to_features(golden["moved.in"])
    assert max(errors(features, joints_to_features(golden["plain.in"])).values()) < 1e-4
    assert np.abs(golden["moved.in"] - golden["plain.in"]).max() > 0.5  # it is another clip


@pytest.mark.parametrize("clip", ["plain", "moved", "official", "official2"])
def test_joints_equal_the_official_ones(golden, clip):
    features = golden[f"{clip}.vecs" if clip.startswith("official") else f"{clip}.feat"]
    joints = features_to_joints(features.astype(np.float32))
    np.testing.assert_allclose(joints, golden[f"{clip}.rec"], rtol=1e-5, atol=WITHIN)


def test_the_published_joints_come_from_the_published_features(folder):
    features = np.load(folder / "new_joint_vecs" / "012314.npy", allow_pickle=False)
    joints = np.load(folder / "new_joints" / "012314.npy", allow_pickle=False)
    np.testing.assert_allclose(features_to_joints(features), joints, rtol=1e-5, atol=WITHIN)


def test_published_joints_give_the_published_features_back(folder):
    """Away from the end, where the smoothing of the published ones saw one frame more."""
    features = np.load(folder / "new_joint_vecs" / "012314.npy", allow_pickle=False)
    joints = np.load(folder / "new_joints" / "012314.npy", allow_pickle=False)
    again = joints_to_features(joints)
    assert len(again) == len(features) - 1
    inner = slice(0, len(again) - SMOOTHING)
    assert max(errors(again[inner], features[inner]).values()) < 1e-4
    assert max(errors(again, features[:-1]).values()) < 5e-3
    np.testing.assert_array_equal(again[:, CONTACTS], features[:-1, CONTACTS])
