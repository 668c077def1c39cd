"""An ASF skeleton and an AMC motion as the tree of joints that a BVH file holds.

A bone becomes a joint at its start. Its rotation in its parent's frame is C M C^-1 of the turns C
that make its own axes and the turns M of its degrees of freedom (Acclaim's definition), which is a
row of turns about coordinate axes, some of them constant: so they are channels like a BVH file's.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError
from lead.data.acclaim.skeleton import AcclaimSkeleton, Bone, read_skeleton
from lead.data.acclaim.values import count_frames, read_values
from lead.data.bvh.hierarchy import Hierarchy
from lead.data.bvh.motion_files import AMC_FPS
from lead.data.bvh.parser import BvhHeader, BvhMotion

_NO_TURN = 1e-9  # degrees; a constant turn of less is left out


def read_acclaim(
    path: Path | str, skeleton: Path | str | None = None, fps: float | int = AMC_FPS
) -> BvhMotion:
    """Read an AMC file with its ASF file (see find_skeleton), angles in degrees.

    Lengths stay in the file's unit, and ``metres_per_unit`` says which that is. Raises RequestError
    with file and line where one of the two is broken, or they do not belong together.
    """
    path = Path(path)
    tree = read_skeleton(find_skeleton(path) if skeleton is None else skeleton)
    values, degrees = read_values(path, tree)
    header = _header(tree, len(values), fps)
    return BvhMotion(
        **vars(header.hierarchy),
        values=_channel_values(tree, values, degrees),
        frame_time=header.frame_time,
        metres_per_unit=tree.metres_per_unit,
    )


def read_acclaim_header(path: Path | str, fps: float | int = AMC_FPS) -> BvhHeader:
    """Skeleton and number of frames, by both ends of the AMC file and without its numbers."""
    path = Path(path)
    return _header(read_skeleton(find_skeleton(path)), count_frames(path), fps)


def find_skeleton(path: Path) -> Path:
    """The ASF file beside an AMC file whose name the motion's begins with, else the only one.

    ``02_01.amc`` has ``02.asf`` (CMU), ``HDM_bd_01-01_01_120.amc`` has ``HDM_bd.asf`` (HDM05).
    Raises RequestError where there is none, or none that fits among several.
    """
    try:
        beside = sorted(p for p in path.parent.iterdir() if p.suffix.lower() == ".asf")
    except OSError as error:
        raise RequestError(f"{path.parent} cannot be read ({error.strerror})") from error
    fitting = [p for p in beside if _begins(path.stem.lower(), p.stem.lower())]
    if fitting or len(beside) == 1:
        return max(fitting or beside, key=lambda p: len(p.stem))
    what = f"none of {len(beside)} .asf files beside it has the begin of its name"
    raise RequestError(
        f"{path}: {what if beside else 'no .asf file beside it'}: copy its skeleton there, "
        f"named such as {path.stem.partition('_')[0][:40]}.asf"
    )


def _begins(stem: str, start: str) -> bool:
    """Whether a name begins with another, to the end of a word or number in it."""
    return stem == start or (stem.startswith(start) and not stem[len(start)].isalnum())


def _header(tree: AcclaimSkeleton, frames: int, fps: float | int) -> BvhHeader:
    bones = tree.bones
    parents = tuple(bone.parent for bone in bones)
    offsets = np.stack([bones[p].vector if p >= 0 else tree.position for p in parents])
    ends = {n: [bone.vector] for n, bone in enumerate(bones) if n not in parents}
    channels = tuple(tuple(name for name, _, _ in _channels(bone)) for bone in bones)
    names = tuple(bone.name for bone in bones)
    return BvhHeader(Hierarchy(names, parents, offsets, ends, channels), frames, 1.0 / fps)


def _channels(bone: Bone) -> Iterator[tuple[str, int | None, float]]:
    """(channel, degree of freedom, constant degrees) from the outermost turn to the innermost.

    Turns made first stand last, as column vectors are turned by the last matrix first.
    """
    for place, name in enumerate(bone.dof):
        if name.startswith("t"):
            yield f"{name[1].upper()}position", place, 0.0
    own_axes = [(letter, angle) for letter, angle in bone.axis if abs(angle) > _NO_TURN]
    for letter, angle in reversed(own_axes):
        yield f"{letter.upper()}rotation", None, angle
    for place, name in reversed(list(enumerate(bone.dof))):
        if name.startswith("r"):
            yield f"{name[1].upper()}rotation", place, 0.0
    for letter, angle in own_axes:
        yield f"{letter.upper()}rotation", None, -angle


def _channel_values(tree: AcclaimSkeleton, values: np.ndarray, degrees: bool) -> np.ndarray:
    """Values of all channels (frames, channels), positions with the root's own added."""
    to_degrees = 1.0 if degrees else np.degrees(1.0)
    columns = []
    first = 0
    for bone in tree.bones:
        for name, place, constant in _channels(bone):
            if place is None:
                columns.append(np.broadcast_to(constant, len(values)))
            elif name.endswith("rotation"):
                columns.append(values[:, first + place] * to_degrees)
            else:
                columns.append(values[:, first + place] + tree.position["XYZ".index(name[0])])
        first += len(bone.dof)
    return np.stack(columns, axis=1)
