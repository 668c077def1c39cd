"""From the joints of a BVH collection to the 22 SMPL joints, described by small YAML files.

A map holds, for every SMPL joint, where it is on the source skeleton::

    name: my_rig
    joints:
      pelvis: Hips                                  # a joint of the file
      spine1: {between: [Hips, Chest], at: 0.5}     # a point on the line between two places
      left_foot: {end_site: LeftAnkle}              # the (first) end site of a joint
      left_wrist: [LeftWrist, LeftHand]             # the first of these that exists
    metres_per_unit: 0.01                           # optional: a unit that ``auto`` also tries

Names are compared without case, punctuation and namespaces (``mixamorig:Hips`` is ``Hips``).
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import read_yaml
from lead.core.schema import Name, Schema, read_file
from lead.data.bvh.hierarchy import Hierarchy
from lead.representation import get_skeleton

SHIPPED = Path(__file__).parent / "skeleton_maps"
REACH = 10  # how many times their distance a point may lie beside two others
_NAMESPACE = re.compile(r"^(mixamorig|character)\d*[:_]", re.IGNORECASE)
_HOW_TO = (
    "write a map from the 22 SMPL joints to these names as YAML and give data.skeleton_map=PATH"
)


@dataclass(frozen=True, eq=False)
class SkeletonMap:
    """Where the 22 SMPL joints are on a source skeleton."""

    name: str
    places: Mapping[str, object]  # SMPL joint -> place, in the order of the SMPL joints
    metres_per_unit: float | None = None  # a unit besides m, cm, mm and inch

    def weights(self, skeleton: Hierarchy) -> np.ndarray:
        """Rows that make SMPL joints of source joints and end sites: (22, joints + end sites).

        End sites come after the joints, in the order of ``end_site_list``.
        Raises RequestError naming the joint that the skeleton lacks.
        """
        found = self._found(skeleton)
        if isinstance(found, str):
            raise RequestError(found)
        return found

    def fits(self, skeleton: Hierarchy) -> bool:
        """Whether the skeleton has every joint that the map needs."""
        return not isinstance(self._found(skeleton), str)

    def _found(self, skeleton: Hierarchy) -> np.ndarray | str:
        sites = tuple(joint for joint, _ in end_site_list(skeleton))
        return _weights(self, skeleton.names, sites)


def end_site_list(skeleton: Hierarchy) -> list[tuple[int, np.ndarray]]:
    """(joint, offset) of every end site, by joint."""
    sites = sorted(skeleton.end_sites.items())
    return [(joint, offset) for joint, offsets in sites for offset in offsets]


def choose_skeleton_map(skeleton: Hierarchy, wanted: str | Path | None = None) -> SkeletonMap:
    """The shipped map that fits the joint names, or the ``wanted`` one (a name or a YAML file).

    Raises RequestError where none fits: it lists the joints and says how to write a map.
    """
    if wanted is not None:
        return load_skeleton_map(wanted)
    shipped = [load_skeleton_map(path) for path in sorted(SHIPPED.glob("*.yaml"))]
    for candidate in shipped:
        if candidate.fits(skeleton):
            return candidate
    known = ", ".join(candidate.name for candidate in shipped)
    raise RequestError(
        f"no skeleton map ({known}) fits the joints {_some(skeleton.names)}: {_HOW_TO}"
    )


def _some(names: Sequence[str]) -> str:
    """The first few names; a file may have thousands."""
    more = f", ... ({len(names)} in all)" if len(names) > 5 else ""
    return ", ".join(f"{name:.20}" for name in names[:5]) + more


@cache
def load_skeleton_map(source: str | Path) -> SkeletonMap:
    """Read a map: a shipped name such as ``cmu``, or the path of a YAML file.

    Raises RequestError where the file is missing or does not place all 22 joints.
    """
    path = SHIPPED / f"{source}.yaml"
    if not path.is_file():
        path = Path(source)
    if not path.exists():
        shipped = [file.stem for file in SHIPPED.glob("*.yaml")]
        raise RequestError(
            f"skeleton_map: no file or shipped map '{source}', {did_you_mean(str(source), shipped)}"
        )
    read = read_file(_File, path, "correct it", load=read_yaml, error=RequestError)
    ordered = {name: read.joints[name] for name in _SMPL}
    return SkeletonMap(read.name or path.stem, ordered, read.metres_per_unit)


def _place(place: object) -> object:
    """A place of a map as it is spelled; ValueError where it is none."""
    if isinstance(place, list) and place:
        return [_place(option) for option in place]
    if isinstance(place, str) or (
        isinstance(place, dict)
        and set(place) == {"end_site"}
        and isinstance(place["end_site"], str)
    ):
        return place
    if isinstance(place, dict) and set(place) == {"between", "at"}:
        ends, at = place["between"], place["at"]
        near = isinstance(at, float | int) and abs(at) <= REACH
        if isinstance(ends, list) and len(ends) == 2 and near:
            return {"between": _place(ends), "at": at}
    raise ValueError(
        "a place is a joint name, a list of alternatives, {end_site: JOINT} or "
        "{between: [A, B], at: FRACTION}"
    )


def _all_joints(places: dict[str, object]) -> dict[str, object]:
    missing = [name for name in _SMPL if name not in places]
    if missing:
        raise ValueError(f"no entry for {', '.join(missing)}")
    for name in places:
        if name not in _SMPL:
            raise ValueError(f"unknown joint '{name:.40}', {did_you_mean(name, _SMPL)}")
    return places


_SMPL = get_skeleton("humanml3d").joint_names


class _File(Schema):
    """What a YAML file of a map holds."""

    name: Name | None = None
    joints: Annotated[
        dict[str, Annotated[object, AfterValidator(_place)]], AfterValidator(_all_joints)
    ]
    metres_per_unit: Annotated[float, Field(gt=0, le=1000)] | None = None


@lru_cache(maxsize=256)  # files of one collection share their joints
def _weights(
    skeleton_map: SkeletonMap, names: tuple[str, ...], sites: tuple[int, ...]
) -> np.ndarray | str:
    """The rows for these joints and end sites, or why there are none."""
    plain, count = _normalised(names), len(names) + len(sites)
    joints = {name: index for index, name in reversed([*enumerate(plain)])}
    ends = {plain[joint]: len(names) + index for index, joint in reversed([*enumerate(sites)])}
    weights = np.zeros((len(skeleton_map.places), count))
    for row, (joint, place) in enumerate(skeleton_map.places.items()):
        try:
            for index, weight in _points(place, joints, ends):
                weights[row, index] += weight
        except KeyError as missing:
            return (
                f"skeleton map '{skeleton_map.name}': {joint} needs '{missing.args[0]}', which the "
                f"file lacks; it has: {_some(names)}"
            )
    weights.flags.writeable = False
    return weights


def _points(
    place: object, joints: Mapping[str, int], ends: Mapping[str, int]
) -> list[tuple[int, float]]:
    """The joints and end sites that make a place, with their weights; KeyError for a lost one."""
    if isinstance(place, list):
        for option in place[:-1]:
            with suppress(KeyError):
                return _points(option, joints, ends)
        return _points(place[-1], joints, ends)
    if isinstance(place, dict) and "between" in place:
        both = zip(place["between"], (1 - place["at"], place["at"]), strict=True)
        return [
            (index, share * weight)
            for end, share in both
            for index, weight in _points(end, joints, ends)
        ]
    table, name = (joints, place) if isinstance(place, str) else (ends, place["end_site"])
    if _plain(name) not in table:
        raise KeyError(name)
    return [(table[_plain(name)], 1.0)]


def _normalised(names: Sequence[str]) -> list[str]:
    """Joint names without a common prefix such as ``Model:`` or ``rig_``, case or punctuation."""
    prefix = os.path.commonprefix(list(names)) if len(names) > 1 else ""
    cut = max(prefix.rfind(mark) for mark in ":_|") + 1
    return [_plain(name[cut:]) for name in names]


def _plain(name: str) -> str:
    name = _NAMESPACE.sub("", re.split(r"[:|]", name)[-1])
    return "".join(letter for letter in name.casefold() if letter.isalnum())
