"""The files of the CMU database: AMC with ASF, or BVH of the cgspeed conversions.

A conversion's first frame is a T-pose that the recording has not. In the one with the names of a
DAZ figure the feet need some 5 more frames to reach their places (from up to 13 cm too low), so
that its first frame at 20 fps is left out too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError
from lead.data.acclaim.motion import read_acclaim
from lead.data.acclaim.values import count_frames
from lead.data.bvh.conventions import detect_units
from lead.data.bvh.joints import bvh_to_joints, mapped_joints
from lead.data.bvh.motion_files import AMC, AMC_FPS, SUFFIXES
from lead.data.bvh.parser import BvhMotion, frame_rate, read_bvh, read_bvh_header
from lead.data.bvh.resampling import sample_positions
from lead.data.bvh.skeleton_maps import choose_skeleton_map
from lead.data.folders import find_files
from lead.representation.skeletons import get_skeleton

FPS = 20.0
CONVERSIONS = ("cmu", "cmu_daz")
"""Skeleton maps of the cgspeed conversions."""

_NAME = re.compile(r"\d+_\d+")
_FRAMES_APART = 0.02  # of a trial's length: more, and file and line are about different recordings
_JUMP = 0.5  # metres from one recorded frame to the next; the fastest kick makes 0.1
_MISLABELLED = "known to be mislabelled: its header names the skeleton of another subject"
_KNOWN_BAD = {
    "17_03.amc": _MISLABELLED,
    "17_03.bvh": _MISLABELLED,
    "07_12.bvh": "known to be broken: a brisk walk of 2.8 m/s that bobs by 0.3 m a step",
}


@dataclass(frozen=True)
class Trial:
    """One recording, known without its numbers."""

    name: str  # SUBJECT_TRIAL
    path: Path
    frames: int  # at 20 fps
    first: int = 0  # the first of them that shows the recording
    fps: float = AMC_FPS

    @property
    def subject(self) -> str:
        """The person who was recorded."""
        return self.name.partition("_")[0]

    def joints(self) -> tuple[np.ndarray, list[int]]:
        """The 22 SMPL joints (frames, 22, 3) at 20 fps, metres, y up, and where they jump.

        Every sixth frame where that is exact, rotations between frames elsewhere. A jump is the
        frame before it. Raises RequestError that names the file.
        """
        motion = self._read()
        try:
            joints = bvh_to_joints(motion, fps=FPS, up_axis="y")
            return joints, list(_jumps(motion, joints))
        except RequestError as error:
            raise RequestError(f"{self.path}: {error}") from error

    def _read(self) -> BvhMotion:
        if self.path.suffix.lower() == AMC:
            return read_acclaim(self.path, fps=self.fps)
        motion = read_bvh(self.path)
        if not _is_t_pose(bvh_to_joints(replace(motion, values=motion.values[:1]))[0]):
            raise RequestError(f"{self.path}: its first frame is no T-pose: no cgspeed conversion")
        return replace(motion, values=motion.values[1:])


def find_trials(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Trial -> file, and what cannot be one (path in the folder -> why), both by name.

    Files may lie flat or as ``subjects/NN/NN_TT.amc``. A trial in two forms is taken from AMC.
    """
    found: dict[str, Path] = {}
    problems: dict[str, str] = {}
    listed = sorted(find_files(folder, *SUFFIXES).items(), key=_amc_first)
    for path, problem in listed:
        place = path.relative_to(folder).as_posix()
        if problem:
            problems[place] = problem
        elif not _NAME.fullmatch(path.stem):
            problems[place] = "its name does not read SUBJECT_TRIAL: import it with data=bvh"
        elif path.name.lower() in _KNOWN_BAD:
            problems[place] = _KNOWN_BAD[path.name.lower()]
        elif path.stem not in found:
            found[path.stem] = path
        elif found[path.stem].suffix.lower() == path.suffix.lower():
            problems[place] = f"the same trial as {found[path.stem]}: remove one of them"
    return dict(sorted(found.items(), key=_in_order)), dict(sorted(problems.items()))


def read_trial(name: str, path: Path, seconds: float | None = None) -> Trial:
    """A trial by the ends of its file. ``seconds`` is how long it is where that is known.

    Raises RequestError where the file is not a trial as the database has them.
    """
    if path.suffix.lower() == AMC:
        frames = count_frames(path)
        fps = _recorded_rate(path, frames, seconds)
        return Trial(name, path, _at_20_fps(frames, fps), fps=fps)
    header = read_bvh_header(path)
    try:
        form = choose_skeleton_map(header.hierarchy).name
    except RequestError:
        form = ""
    if form not in CONVERSIONS:
        names = ", ".join(header.hierarchy.names[:5])[:80]
        raise RequestError(f"{path}: its joints ({names}, ...) are no cgspeed conversion's")
    fps = frame_rate(header.frame_time)
    frames = header.frames - 1
    if frames < 1:
        raise RequestError(f"{path}: there is no frame after the T-pose")
    _check_length(path, frames / fps, seconds)
    return Trial(name, path, _at_20_fps(frames, fps), first=int(form == "cmu_daz"), fps=fps)


def _jumps(motion: BvhMotion, joints: np.ndarray) -> Iterator[int]:
    """Frames at 20 fps after which a joint is suddenly elsewhere: the recording is broken there."""
    skeleton_map = choose_skeleton_map(motion)
    moved = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(axis=-1)
    ratio = motion.fps / FPS
    for frame in np.flatnonzero(moved > _JUMP).tolist():
        recorded = motion.values[int(frame * ratio) : int(np.ceil((frame + 1) * ratio)) + 1]
        between = mapped_joints(replace(motion, values=recorded), skeleton_map, motion.fps)
        metres = detect_units(between, motion.metres_per_unit or skeleton_map.metres_per_unit)[1]
        if metres * np.linalg.norm(np.diff(between, axis=0), axis=-1).max() > _JUMP:
            yield frame


def _is_t_pose(joints: np.ndarray) -> bool:
    """Whether a figure (22, 3), y up, stands with both arms straight out to its sides."""
    names = get_skeleton("humanml3d").joint_names
    left, right = (
        joints[names.index(f"{side}_wrist")] - joints[names.index(f"{side}_shoulder")]
        for side in ("left", "right")
    )
    legs = joints[names.index("left_hip")] - joints[names.index("left_ankle")]
    arms = [_cosine(left, -right), 1 - abs(_cosine(left, legs)), 1 - abs(_cosine(right, legs))]
    return min(arms) > 0.8 and _cosine(legs, np.array([0, 1, 0])) > 0.9


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def _amc_first(entry: tuple[Path, str]) -> tuple[bool, int, str]:
    path = entry[0]
    return path.suffix.lower() != AMC, len(path.parts), str(path)


def _in_order(entry: tuple[str, Path]) -> tuple[int, int]:
    subject, _, trial = entry[0].partition("_")
    return int(subject), int(trial)


def _at_20_fps(frames: int, fps: float) -> int:
    return len(sample_positions(frames, fps, FPS)[0])


def _recorded_rate(path: Path, frames: int, seconds: float | None) -> float:
    """120, or 60 where the trial's known length says so: AMC files do not."""
    for fps in (AMC_FPS, AMC_FPS / 2):
        if seconds is None or abs(frames / fps - seconds) <= _FRAMES_APART * seconds:
            return fps
    _check_length(path, frames / AMC_FPS, seconds)
    return AMC_FPS


def _check_length(path: Path, found: float, seconds: float | None) -> None:
    if seconds is not None and abs(found - seconds) > _FRAMES_APART * seconds:
        raise RequestError(
            f"{path}: {found:.2f} s long, its line says {seconds:.2f}: another recording"
        )
