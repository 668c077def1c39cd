"""GLB (binary glTF 2.0): an animated skeleton with a body, for Blender, engines and browsers."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.errors import RequestError
from lead.core.files import atomic_path
from lead.export.capsule_body import Mesh, capsule_body
from lead.export.motion_file import Motion
from lead.export.rig import GROUND, Rig, make_rig, rotation_remark
from lead.representation.rotations import (
    quaternion_between,
    quaternion_inverse,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_to_matrix,
)

_COMPONENTS = {np.dtype(np.uint8): 5121, np.dtype(np.uint16): 5123, np.dtype(np.float32): 5126}
_SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_VRM = "VRMC_vrm_animation"
_VERTICES, _INDICES = 34962, 34963  # what a buffer view is for
_MATERIAL = {
    "name": "body",
    "pbrMetallicRoughness": {
        "baseColorFactor": [0.55, 0.58, 0.64, 1.0],
        "metallicFactor": 0.0,
        "roughnessFactor": 0.7,
    },
}


def write_glb(path: Path | str, *motions: Motion, **rigging: Any) -> str | None:
    """Write motions as animations, joint rotations, of one skinned figure in a T-pose, atomically.

    Metres, y up, the figure facing +Z at rest; ``rigging`` is what ``make_rig`` takes: frame rate,
    names, a node on the ground. A text is its animation's name; text, seed, fps and provenance are
    its ``extras``, and the asset's where there is one clip. With the names of VRM the file is an
    animation for VRM figures (VRMC_vrm_animation) too. Bones keep the clips' median lengths;
    returns a remark where that moves the joints, see ``rotation_remark``. Raises RequestError
    where there is no motion, or several skeletons.
    """
    if len({motion.skeleton for motion in motions}) != 1:
        raise RequestError("a GLB file holds motions of one skeleton: export each on its own")
    bones_of = np.concatenate([motion.joints for motion in motions])
    rigs = [make_rig(motion, bones_of=bones_of, **rigging) for motion in motions]
    document, binary = _document(motions, rigs)
    if rigging.get("names") == "vrm":
        bones = {name: {"node": n} for n, name in enumerate(rigs[0].names) if name != GROUND}
        vrm = {"specVersion": "1.0", "humanoid": {"humanBones": bones}}
        document |= {"extensionsUsed": [_VRM], "extensions": {_VRM: vrm}}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    chunks = _chunk(b"JSON", text, b" ") + _chunk(b"BIN\0", binary, b"\0")
    with atomic_path(path) as temporary:
        temporary.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return rotation_remark(*(rig.figure for rig in rigs))


def _chunk(kind: bytes, data: bytes, padding: bytes) -> bytes:
    data += padding * (-len(data) % 4)
    return struct.pack("<I4s", len(data), kind) + data


class _Binary:
    """The file's buffer, and the accessors into it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict] = []
        self.accessors: list[dict] = []

    def add(
        self,
        array: np.ndarray,
        target: int | None = None,
        *,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Append an array; its accessor's index. ``bounds`` adds minimum and maximum."""
        array = np.ascontiguousarray(array)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        accessor = {
            "bufferView": len(self.views),
            "componentType": _COMPONENTS[array.dtype],
            "count": len(array),
            "type": _SHAPES[array.shape[1:]],
        }
        if target is not None:
            view["target"] = target
        if normalized:
            accessor["normalized"] = True
        if bounds:
            rows = array.reshape(len(array), -1)
            accessor["min"], accessor["max"] = rows.min(axis=0).tolist(), rows.max(axis=0).tolist()
        self.data += array.tobytes() + bytes(-array.nbytes % 4)
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _document(motions: Sequence[Motion], rigs: Sequence[Rig]) -> tuple[dict, bytes]:
    """The glTF document and its buffer."""
    rig = rigs[0]
    places, frames = _standing(rig), _bone_frames(rig)
    binary = _Binary()
    joints = list(range(len(rig.names)))
    nodes = [*_joint_nodes(rig, places, frames), {"name": "body", "mesh": 0, "skin": 0}]
    extras = [_extras(motion, rig.fps) for motion, rig in zip(motions, rigs, strict=True)]
    about = extras[0] if len(extras) == 1 else {"clips": len(extras)}
    binds = binary.add(_inverse_binds(places, frames))
    document = {
        "asset": {"version": "2.0", "generator": "lead", "extras": about},
        "scene": 0,
        "scenes": [{"nodes": [rig.root, len(joints)]}],
        "nodes": nodes,
        "meshes": [
            {"name": "body", "primitives": [_body(binary, capsule_body(rig.figure, places))]}
        ],
        "materials": [_MATERIAL],
        "skins": [{"joints": joints, "skeleton": rig.root, "inverseBindMatrices": binds}],
        "animations": [
            {"name": name, **_animation(binary, rig, frames), "extras": extra}
            for name, rig, extra in zip(_titles(motions), rigs, extras, strict=True)
        ],
        "accessors": binary.accessors,
        "bufferViews": binary.views,
        "buffers": [{"byteLength": len(binary.data)}],
    }
    return document, bytes(binary.data)


def _titles(motions: Sequence[Motion]) -> list[str]:
    """Each clip's text as a name of its own."""
    titles: list[str] = []
    for motion in motions:
        title, number = motion.text or "motion", 1
        while title in titles:
            number += 1
            title = f"{motion.text or 'motion'} {number}"
        titles.append(title)
    return titles


def _standing(rig: Rig) -> np.ndarray:
    """Joint positions in the T-pose, the lowest one on the floor; the node on the ground there."""
    places = np.zeros_like(rig.offsets)
    for joint, parent in enumerate(rig.figure.skeleton.parents):
        if parent >= 0:
            places[joint] = places[parent] + rig.offsets[joint]
    places[: rig.figure.skeleton.joints, 1] -= places[:, 1].min()
    return places


def _bone_frames(rig: Rig) -> Float[Tensor, "joints 4"]:
    """Each joint's own axes in the T-pose: y along its bone, as Blender draws bones."""
    along = np.tile([0.0, 1.0, 0.0], (len(rig.names), 1))
    for joint, children in enumerate(rig.figure.skeleton.children):
        if len(children) < 2:
            along[joint] = rig.offsets[children[0]] if children else rig.figure.tips[joint]
    return quaternion_between(
        torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), torch.tensor(along)
    )


def _back_from_parents(rig: Rig, frames: Float[Tensor, "joints 4"]) -> Float[Tensor, "joints 4"]:
    """The rotations from the T-pose's axes to those of each joint's parent."""
    back = quaternion_inverse(frames[torch.tensor(rig.parents)])
    back[rig.root] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    return back


def _joint_nodes(rig: Rig, places: np.ndarray, frames: Float[Tensor, "joints 4"]) -> list[dict]:
    """The joints at rest."""
    back = _back_from_parents(rig, frames)
    above = np.array([places[parent] if parent >= 0 else (0, 0, 0) for parent in rig.parents])
    translations = quaternion_rotate(back, torch.from_numpy(places - above)).tolist()
    rotations = quaternion_multiply(back, frames).clamp(-1, 1)  # 1 + 2e-16 would be no glTF
    rotations = rotations.roll(-1, dims=-1).tolist()  # glTF: w last
    children = map(rig.children, range(len(rig.names)))
    return [
        {"name": name, "translation": translation, "rotation": rotation}
        | ({"children": below} if below else {})
        for name, translation, rotation, below in zip(
            rig.names, translations, rotations, children, strict=True
        )
    ]


def _inverse_binds(places: np.ndarray, frames: Float[Tensor, "joints 4"]) -> np.ndarray:
    """From the T-pose into each joint's axes; stored by columns, so transposed."""
    matrices = np.zeros((len(places), 4, 4), dtype=np.float32)
    matrices[:, :3, :3] = quaternion_to_matrix(frames).numpy()
    matrices[:, 3, :3] = -quaternion_rotate(
        quaternion_inverse(frames), torch.from_numpy(places)
    ).numpy()
    matrices[:, 3, 3] = 1.0
    return matrices


def _extras(motion: Motion, fps: float) -> dict:
    return {
        "text": motion.text,
        "seed": motion.seed,
        "fps": fps,
        "skeleton": motion.skeleton,
        "provenance": dict(sorted(motion.provenance.items())),
    }


def _body(binary: _Binary, mesh: Mesh) -> dict:
    """The mesh primitive; every vertex follows one joint alone."""
    first = np.array([1, 0, 0, 0], dtype=np.uint8)
    return {
        "attributes": {
            "POSITION": binary.add(mesh.points.astype(np.float32), _VERTICES, bounds=True),
            "NORMAL": binary.add(mesh.normals.astype(np.float32), _VERTICES),
            "JOINTS_0": binary.add(mesh.joints[:, None].astype(np.uint8) * first, _VERTICES),
            "WEIGHTS_0": binary.add(
                np.tile(255 * first, (len(mesh.joints), 1)), _VERTICES, normalized=True
            ),
        },
        "indices": binary.add(mesh.triangles.astype(np.uint16).ravel(), _INDICES),
        "material": 0,
    }


def _animation(binary: _Binary, rig: Rig, frames: Float[Tensor, "joints 4"]) -> dict:
    """The paths of hips and ground, and the rotations of all joints that have a bone to turn."""
    times = binary.add((np.arange(rig.frames) / rig.fps).astype(np.float32), bounds=True)
    turns = quaternion_multiply(
        quaternion_multiply(_back_from_parents(rig, frames), torch.from_numpy(rig.rotations)),
        frames,
    )
    rotations = turns.roll(-1, dims=-1).numpy().astype(np.float32)  # glTF: w last
    tracks = [(joint, "translation", path.astype(np.float32)) for joint, path in rig.paths.items()]
    tracks += [
        (joint, "rotation", rotations[:, joint])
        for joint in range(len(rig.names))
        if rig.children(joint)
    ]
    return {
        "channels": [
            {"sampler": sampler, "target": {"node": node, "path": path}}
            for sampler, (node, path, _) in enumerate(tracks)
        ],
        "samplers": [
            {"input": times, "output": binary.add(values), "interpolation": "LINEAR"}
            for *_, values in tracks
        ],
    }
