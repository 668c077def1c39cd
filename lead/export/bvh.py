"""BVH: a skeleton and one row of angles a frame, for Blender, MotionBuilder, Maya and the like."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lead.core.errors import RequestError
from lead.core.files import atomic_path
from lead.export.motion_file import Motion
from lead.export.rotation_error import rotation_remark
from lead.representation.joint_rotations import JointRotations, fit_joint_rotations

METRES = 1.0
CENTIMETRES = 100.0
_DIGITS = 6  # micrometres, millionths of a degree
_ROTATIONS = "Zrotation Xrotation Yrotation"


def write_bvh(path: Path | str, motion: Motion, scale: float | int = METRES) -> str | None:
    """Write the motion as joint rotations on a figure in a T-pose, atomically.

    ``scale`` is the file's units in a metre: 1 suits Blender, CENTIMETRES suits programs that count
    in those. Bones keep the clip's median lengths; the text and seed find no place in a BVH file.
    Returns a remark where that moves the joints, see ``rotation_remark``. Raises RequestError where
    ``scale`` is not above 0.
    """
    if not 0 < scale < np.inf:
        raise RequestError(f"scale must be a number above 0 (units in a metre), got {scale}")
    scale = float(scale)
    figure = fit_joint_rotations(motion.joints, motion.skeleton, motion.fps)
    order = _depth_first(figure, 0)
    angles = euler_zxy(figure.rotations[:, order]).reshape(motion.frames, -1)
    rows = np.concatenate([scale * figure.positions[:, 0], np.degrees(angles)], axis=1)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.write("HIERARCHY\n")
        file.writelines(f"{line}\n" for line in _joint_lines(figure, 0, scale))
        file.write(f"MOTION\nFrames: {motion.frames}\nFrame Time: {1 / motion.fps:.8f}\n")
        np.savetxt(file, rows, fmt=f"%.{_DIGITS}f")
    return rotation_remark(figure)


def euler_zxy(
    rotations: Float[np.ndarray, "frames joints 4"],
) -> Float[np.ndarray, "frames joints 3"]:
    """Angles (z, x, y) in radians with rotation = Rz Rx Ry, without jumps over time.

    Of the many triples that make the same rotation, each frame takes the one nearest to the frame
    before. ``rotations`` are unit quaternions, w first.
    """
    w, x, y, z = np.moveaxis(rotations, -1, 0)
    # With c, s = cos, sin of x/2: (c + s) e^(i (z+y)/2) = w+x + i (z+y), likewise the difference.
    half_sum = np.unwrap(np.arctan2(z + y, w + x), period=np.pi, axis=0)
    half_difference = np.unwrap(np.arctan2(z - y, w - x), period=np.pi, axis=0)
    plus = (w + x) * np.cos(half_sum) + (z + y) * np.sin(half_sum)
    minus = (w - x) * np.cos(half_difference) + (z - y) * np.sin(half_difference)
    around_x = np.unwrap(2 * np.arctan2(plus, minus) - np.pi / 2, axis=0)
    angles = np.stack([half_sum + half_difference, around_x, half_sum - half_difference], axis=-1)
    return angles - 2 * np.pi * np.round(angles[:1] / (2 * np.pi))


def _depth_first(figure: JointRotations, joint: int) -> list[int]:
    """The order in which a BVH file lists the joints."""
    below = (_depth_first(figure, child) for child in figure.skeleton.children[joint])
    return [joint, *(joint for branch in below for joint in branch)]


def _joint_lines(figure: JointRotations, joint: int, scale: float, depth: int = 0) -> Iterator[str]:
    """The hierarchy from ``joint`` down."""
    indent = "\t" * depth
    kind = "JOINT" if depth else "ROOT"
    positions = "3" if depth else "6 Xposition Yposition Zposition"
    yield f"{indent}{kind} {figure.skeleton.joint_names[joint]}"
    yield f"{indent}{{"
    yield f"{indent}\tOFFSET {_triple(scale * figure.offsets[joint])}"
    yield f"{indent}\tCHANNELS {positions} {_ROTATIONS}"
    for child in figure.skeleton.children[joint]:
        yield from _joint_lines(figure, child, scale, depth + 1)
    if joint in figure.tips:
        yield f"{indent}\tEnd Site"
        yield f"{indent}\t{{"
        yield f"{indent}\t\tOFFSET {_triple(scale * figure.tips[joint])}"
        yield f"{indent}\t}}"
    yield f"{indent}}}"


def _triple(vector: Float[np.ndarray, "3"]) -> str:
    return " ".join(f"{value:.{_DIGITS}f}" for value in vector)
