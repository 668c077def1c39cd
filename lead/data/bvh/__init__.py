"""BVH motion capture files: reading, kinematics, and the way to the 22 SMPL joints."""

from lead.data.bvh.joints import bvh_to_joints, load_bvh_joints
from lead.data.bvh.loading import BvhSettings, load_bvh_items
from lead.data.bvh.parser import BvhHeader, BvhMotion, read_bvh, read_bvh_header
from lead.data.bvh.resampling import resample
from lead.data.bvh.skeleton_maps import SkeletonMap, choose_skeleton_map, load_skeleton_map

__all__ = [
    "BvhHeader",
    "BvhMotion",
    "BvhSettings",
    "SkeletonMap",
    "bvh_to_joints",
    "choose_skeleton_map",
    "load_bvh_items",
    "load_bvh_joints",
    "load_skeleton_map",
    "read_bvh",
    "read_bvh_header",
    "resample",
]
