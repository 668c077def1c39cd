"""Skeletons, rotations, and joints <-> features in the HumanML3D and KIT-ML layouts."""

from lead.representation.features import (
    features_to_joints,
    joints_to_features,
    joints_to_features_batch,
)
from lead.representation.kinematics import constant_bones
from lead.representation.skeletons import Skeleton, get_skeleton

__all__ = [
    "Skeleton",
    "constant_bones",
    "features_to_joints",
    "get_skeleton",
    "joints_to_features",
    "joints_to_features_batch",
]
