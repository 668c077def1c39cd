"""The two reference skeletons of the text-to-motion field: HumanML3D (SMPL-22) and KIT-ML."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import RequestError, did_you_mean


@dataclass(frozen=True)
class Skeleton:
    """Joints, bones and the conventions of a dataset's feature layout.

    ``directions`` are unit vectors of each bone in the layout's rest pose, ``bone_lengths`` metres.
    ``chains`` are the kinematic chains of HumanML3D's inverse kinematics; a chain's first bone is
    rotated relative to the root, whatever joint it starts from.
    """

    name: str
    joint_names: tuple[str, ...]
    chains: tuple[tuple[int, ...], ...]
    directions: tuple[tuple[int, int, int], ...]
    bone_lengths: tuple[float, ...]
    face_joints: tuple[int, int, int, int]  # right hip, left hip, right shoulder, left shoulder
    scale_joints: tuple[int, int]  # the bones whose lengths set the scale when retargeting
    left_foot: tuple[int, int]  # ankle, toe
    right_foot: tuple[int, int]
    mirror_pairs: tuple[tuple[int, int], ...]
    contact_threshold: float  # squared displacement per frame, in feature units
    metres_per_unit: float  # of the feature vectors
    fps: float

    @property
    def joints(self) -> int:
        """Number of joints."""
        return len(self.joint_names)

    @property
    def leg(self) -> float:
        """Length of a leg, metres."""
        return sum(self.bone_lengths[joint] for joint in self.scale_joints)

    @property
    def features(self) -> int:
        """Width of a feature vector: 4 + 3 (J-1) + 6 (J-1) + 3 J + 4."""
        return 12 * self.joints - 1

    @property
    def parents(self) -> tuple[int, ...]:
        """Parent joint of each joint, -1 for the root."""
        parents = [-1] * self.joints
        for chain in self.chains:
            for parent, child in zip(chain, chain[1:], strict=False):
                parents[child] = parent
        return tuple(parents)

    @property
    def children(self) -> tuple[list[int], ...]:
        """Joints that hang from each joint."""
        parents = self.parents
        return tuple(
            [child for child, parent in enumerate(parents) if parent == joint]
            for joint in range(self.joints)
        )

    @property
    def rotation_parents(self) -> tuple[int, ...]:
        """The joint each local rotation is relative to: the bone before it in its chain, or 0."""
        parents = [0] * self.joints
        for chain in self.chains:
            for before, joint in zip(chain[1:], chain[2:], strict=False):
                parents[joint] = before
        return tuple(parents)

    def reference_offsets(self) -> Float[Tensor, "joints 3"]:
        """Bone vectors of the reference skeleton in its rest pose, metres."""
        lengths = torch.tensor(self.bone_lengths, dtype=torch.float64)
        return torch.tensor(self.directions, dtype=torch.float64) * lengths[:, None]


_X, _Y, _Z, _O = (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)
_NX, _NY = (-1, 0, 0), (0, -1, 0)

HUMANML3D = Skeleton(
    name="humanml3d",
    joint_names=(
        *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
        *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck"),
        *("left_collar", "right_collar", "head", "left_shoulder", "right_shoulder"),
        *("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    ),
    chains=(
        (0, 2, 5, 8, 11),
        (0, 1, 4, 7, 10),
        (0, 3, 6, 9, 12, 15),
        (9, 14, 17, 19, 21),
        (9, 13, 16, 18, 20),
    ),
    directions=(
        *(_O, _X, _NX, _Y, _NY, _NY, _Y, _NY, _NY, _Y, _Z, _Z, _Y, _X, _NX, _Z),
        *(_NY, _NY, _NY, _NY, _NY, _NY),
    ),
    bone_lengths=(
        *(0.0, 0.10307395, 0.10988335, 0.13156825, 0.39362314, 0.39018813, 0.14319026),
        *(0.43243298, 0.42564332, 0.05736471, 0.14338174, 0.14941867, 0.21936),
        *(0.13748683, 0.14338283, 0.10303927, 0.13161398, 0.12298431),
        *(0.25683984, 0.26309186, 0.26601186, 0.2698763),
    ),
    face_joints=(2, 1, 17, 16),
    scale_joints=(5, 8),
    left_foot=(7, 10),
    right_foot=(8, 11),
    mirror_pairs=((1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21)),
    contact_threshold=0.002,
    metres_per_unit=1.0,
    fps=20.0,
)
"""SMPL's first 22 joints; bone lengths of HumanML3D's reference clip 000021."""

KIT = Skeleton(
    name="kit",
    joint_names=(
        *("root", "torso", "chest", "neck", "head"),
        *("right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist"),
        *("right_hip", "right_knee", "right_ankle", "right_foot", "right_toes"),
        *("left_hip", "left_knee", "left_ankle", "left_foot", "left_toes"),
    ),
    chains=(
        (0, 11, 12, 13, 14, 15),
        (0, 16, 17, 18, 19, 20),
        (0, 1, 2, 3, 4),
        (3, 5, 6, 7),
        (3, 8, 9, 10),
    ),
    directions=(
        *(_O, _Y, _Y, _Y, _Y, _X, _NY, _NY, _NX, _NY, _NY),
        *(_X, _NY, _NY, _Z, _Z, _NX, _NY, _NY, _Z, _Z),
    ),
    bone_lengths=(
        *(0.0, 0.0766, 0.1074, 0.0397, 0.0265, 0.0973, 0.1371, 0.0911, 0.0973, 0.1371, 0.0911),
        *(0.0449, 0.2231, 0.2257, 0.0255, 0.0457, 0.0449, 0.2231, 0.2257, 0.0255, 0.0457),
    ),
    face_joints=(11, 16, 5, 8),
    scale_joints=(17, 18),
    left_foot=(19, 20),
    right_foot=(14, 15),
    mirror_pairs=((5, 8), (6, 9), (7, 10), (11, 16), (12, 17), (13, 18), (14, 19), (15, 20)),
    contact_threshold=0.05,
    metres_per_unit=0.001,
    fps=12.5,
)
"""KIT-ML's 21 joints, features in millimetres (a figure about 0.8 m tall).

KIT-ML's reference clip is not public; ``bone_lengths`` are those of the mean pose in the public
statistics of its evaluator, so limbs that swing come out a little short."""

SKELETONS = {skeleton.name: skeleton for skeleton in (HUMANML3D, KIT)}


def get_skeleton(name: str) -> Skeleton:
    """The skeleton called ``name``; RequestError for an unknown one."""
    if name not in SKELETONS:
        raise RequestError(f"unknown skeleton '{name}': {did_you_mean(name, SKELETONS)}")
    return SKELETONS[name]
