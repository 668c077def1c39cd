"""BVH and AMC to the 22 SMPL joints in metres, y up, at a fixed frame rate."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError
from lead.data.bvh.conventions import (
    METRES,
    check_conventions,
    check_speed,
    check_stature,
    detect_units,
    judge_up_axis,
    to_metres_y_up,
)
from lead.data.bvh.kinematics import forward_kinematics
from lead.data.bvh.motion_files import AMC_FPS, read_motion
from lead.data.bvh.parser import BvhMotion
from lead.data.bvh.resampling import resample
from lead.data.bvh.skeleton_maps import SkeletonMap, choose_skeleton_map, end_site_list


def bvh_to_joints(
    motion: BvhMotion,
    skeleton_map: SkeletonMap | None = None,
    fps: float = 20.0,
    units: str = "auto",
    up_axis: str = "auto",
    usual_axis: str | None = None,
) -> np.ndarray:
    """World positions of the 22 SMPL joints: (frames, 22, 3) float32, metres, y up.

    ``skeleton_map`` None chooses by joint names, ``units`` auto by the figure's size, ``up_axis``
    auto by ``judge_up_axis``, where ``usual_axis`` is that of most files beside it.
    Raises RequestError where the skeleton, the size or the speed is not a person's; what a standing
    figure measures is looked at where neither units nor axis are given.
    """
    check_conventions(units, up_axis)
    skeleton_map = skeleton_map or choose_skeleton_map(motion)
    joints = mapped_joints(motion, skeleton_map, fps)
    known = motion.metres_per_unit or skeleton_map.metres_per_unit
    metres = METRES.get(units) or detect_units(joints, known)[1]
    axis = up_axis
    if up_axis == "auto":
        rest = replace(motion, channels=((),) * len(motion.names), values=np.zeros((1, 0)))
        pose = mapped_joints(rest, skeleton_map, fps)[0]
        axis = judge_up_axis(metres * joints, metres * pose, usual_axis)
    joints = to_metres_y_up(joints, metres, axis)
    if units == up_axis == "auto":
        check_stature(joints)
    check_speed(joints, fps)
    return joints.astype(np.float32)


def load_bvh_joints(
    path: Path | str,
    skeleton_map: str | Path | None = None,
    fps: float = 20.0,
    units: str = "auto",
    up_axis: str = "auto",
    cut: tuple[int, int] | None = None,
    usual_axis: str | None = None,
    amc_fps: float | int = AMC_FPS,
) -> np.ndarray:
    """Read a BVH or AMC file as SMPL joints (see bvh_to_joints); errors name the file.

    ``skeleton_map`` is a shipped name or the path of a YAML file; None chooses by joint names.
    ``cut`` reads only from its first to before its second frame, as the file counts them.
    """
    motion = read_motion(path, amc_fps)
    if cut is not None:
        motion = _cut(path, motion, *cut)
    try:
        chosen = choose_skeleton_map(motion, skeleton_map)
        return bvh_to_joints(motion, chosen, fps, units, up_axis, usual_axis)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error


def _cut(path: Path | str, motion: BvhMotion, first: int, end: int) -> BvhMotion:
    frames = len(motion.values)
    if first >= frames:
        raise RequestError(f"{path} has {frames} frames, the ones wanted begin at {first}")
    return replace(motion, values=motion.values[first:end])


def mapped_joints(motion: BvhMotion, skeleton_map: SkeletonMap, fps: float) -> np.ndarray:
    """The 22 SMPL joints (frames, 22, 3) at ``fps``, in the file's own units and axes."""
    weights = skeleton_map.weights(motion)
    rotations, positions = resample(motion, fps)
    turned, placed = forward_kinematics(motion.parents, rotations, positions)
    sites = [
        placed[:, joint] + turned[:, joint] @ offset
        for column, (joint, offset) in enumerate(end_site_list(motion), start=len(motion.names))
        if weights[:, column].any()
    ]
    used = [*range(len(motion.names))]
    used += [n for n in range(len(used), weights.shape[1]) if weights[:, n].any()]
    points = np.concatenate([placed, *(site[:, None] for site in sites)], axis=1)
    return weights[:, used] @ points
