"""Skeletons, rotations, and joints <-> features in the HumanML3D and KIT-ML layouts."""

from lead.representation.features import (
    features_to_joints,
    joints_to_features,
    joints_to_features_batch,
)
from lead.representation.skeletons import Skeleton, get_skeleton

__all__ = [
    "Skeleton",
    "features_to_joints",
    "get_skeleton",
    "joints_to_features",
    "joints_to_features_batch",
]
