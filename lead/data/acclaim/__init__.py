"""Acclaim motion capture: ASF skeletons and AMC motions, as one and the same with BVH files."""

from lead.data.acclaim.motion import find_skeleton, read_acclaim, read_acclaim_header
from lead.data.acclaim.skeleton import AcclaimSkeleton, Bone, read_skeleton

__all__ = [
    "AcclaimSkeleton",
    "Bone",
    "find_skeleton",
    "read_acclaim",
    "read_acclaim_header",
    "read_skeleton",
]
