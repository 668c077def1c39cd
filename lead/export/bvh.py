"""BVH: a skeleton and one row of angles a frame, for Blender, MotionBuilder, Maya and the like."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lead.core.files import atomic_path
from lead.export.motion_file import Motion
from lead.export.rig import Rig, make_rig, rotation_remark

METRES = 1.0
CENTIMETRES = 100.0
_DIGITS = 6  # micrometres, millionths of a degree
_ROTATIONS = "Zrotation Xrotation Yrotation"


def write_bvh(
    path: Path | str, motion: Motion, scale: float | int = METRES, **rigging: Any
) -> str | None:
    """Write the motion as joint rotations on a figure in a T-pose, atomically.

    ``scale`` is the file's units in a metre: 1 suits Blender, CENTIMETRES suits programs that count
    in those. ``rigging`` is what ``make_rig`` takes: frame rate, names, a node on the ground. The
    hips' offset is zero, so that positions mean the same to readers that add them to it and to
    those that put them in its place. Bones keep the clip's median lengths; the text and seed find
    no place in a BVH file. Returns a remark where that moves the joints, see ``rotation_remark``.
    """
    scale = float(scale)
    rig = make_rig(motion, **rigging)
    angles = np.degrees(euler_zxy(rig.rotations))
    columns = [
        column
        for joint in _depth_first(rig, rig.root)
        for column in ([scale * rig.paths[joint]] if joint in rig.paths else [])
        + [angles[:, joint]]
    ]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.write("HIERARCHY\n")
        file.writelines(f"{line}\n" for line in _joint_lines(rig, rig.root, scale))
        file.write(f"MOTION\nFrames: {rig.frames}\nFrame Time: {1 / rig.fps:.8f}\n")
        np.savetxt(file, np.concatenate(columns, axis=1), fmt=f"%.{_DIGITS}f")
    return rotation_remark(rig.figure)


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


def _depth_first(rig: Rig, joint: int) -> list[int]:
    """The order in which a BVH file lists the joints."""
    below = (_depth_first(rig, child) for child in rig.children(joint))
    return [joint, *(joint for branch in below for joint in branch)]


def _joint_lines(rig: Rig, joint: int, scale: float, depth: int = 0) -> Iterator[str]:
    """The hierarchy from ``joint`` down."""
    indent = "\t" * depth
    kind = "JOINT" if depth else "ROOT"
    positions = "6 Xposition Yposition Zposition" if joint in rig.paths else "3"
    tips = rig.figure.tips
    yield f"{indent}{kind} {rig.names[joint]}"
    yield f"{indent}{{"
    yield f"{indent}\tOFFSET {_triple(scale * rig.offsets[joint])}"
    yield f"{indent}\tCHANNELS {positions} {_ROTATIONS}"
    for child in rig.children(joint):
        yield from _joint_lines(rig, child, scale, depth + 1)
    if joint in tips:
        yield f"{indent}\tEnd Site"
        yield f"{indent}\t{{"
        yield f"{indent}\t\tOFFSET {_triple(scale * tips[joint])}"
        yield f"{indent}\t}}"
    yield f"{indent}}}"


def _triple(vector: Float[np.ndarray, "3"]) -> str:
    return " ".join(f"{value:.{_DIGITS}f}" for value in vector)
