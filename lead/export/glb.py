"""GLB (binary glTF 2.0): an animated skeleton with a body, for Blender, engines and browsers."""

import json
import struct
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lead.core.files import atomic_path
from lead.export.capsule_body import Mesh, capsule_body
from lead.export.motion_file import Motion
from lead.export.rotation_error import rotation_remark
from lead.representation.joint_rotations import JointRotations, fit_joint_rotations
from lead.representation.rotations import (
    quaternion_between,
    quaternion_inverse,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_to_matrix,
)

_COMPONENTS = {np.dtype(np.uint8): 5121, np.dtype(np.uint16): 5123, np.dtype(np.float32): 5126}
_SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_VERTICES, _INDICES = 34962, 34963  # what a buffer view is for
_MATERIAL = {
    "name": "body",
    "pbrMetallicRoughness": {
        "baseColorFactor": [0.55, 0.58, 0.64, 1.0],
        "metallicFactor": 0.0,
        "roughnessFactor": 0.7,
    },
}


def write_glb(path: Path | str, motion: Motion) -> str | None:
    """Write the motion as joint rotations on a skinned figure in a T-pose, atomically.

    Metres, y up, the figure facing +Z at rest. The text is the animation's name; text, seed, fps
    and provenance are in ``asset.extras``. Bones keep the clip's median lengths; returns a remark
    where that moves the joints, see ``rotation_remark``.
    """
    figure = fit_joint_rotations(motion.joints, motion.skeleton, motion.fps)
    document, binary = _document(motion, figure)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    chunks = _chunk(b"JSON", text, b" ") + _chunk(b"BIN\0", binary, b"\0")
    with atomic_path(path) as temporary:
        temporary.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return rotation_remark(figure)


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


def _document(motion: Motion, figure: JointRotations) -> tuple[dict, bytes]:
    """The glTF document and its buffer."""
    skeleton = figure.skeleton
    places, frames = _standing(figure), _bone_frames(figure)
    binary = _Binary()
    joints = list(range(skeleton.joints))
    nodes = [*_joint_nodes(figure, places, frames), {"name": "body", "mesh": 0, "skin": 0}]
    binds = binary.add(_inverse_binds(places, frames))
    document = {
        "asset": {"version": "2.0", "generator": "lead", "extras": _extras(motion)},
        "scene": 0,
        "scenes": [{"nodes": [0, len(joints)]}],
        "nodes": nodes,
        "meshes": [{"name": "body", "primitives": [_body(binary, capsule_body(figure, places))]}],
        "materials": [_MATERIAL],
        "skins": [{"joints": joints, "skeleton": 0, "inverseBindMatrices": binds}],
        "animations": [_animation(binary, motion, figure, frames)],
        "accessors": binary.accessors,
        "bufferViews": binary.views,
        "buffers": [{"byteLength": len(binary.data)}],
    }
    return document, bytes(binary.data)


def _standing(figure: JointRotations) -> np.ndarray:
    """Joint positions in the T-pose, the lowest one on the floor."""
    places = np.zeros_like(figure.offsets)
    for joint, parent in enumerate(figure.skeleton.parents):
        if parent >= 0:
            places[joint] = places[parent] + figure.offsets[joint]
    return places - [0.0, places[:, 1].min(), 0.0]


def _bone_frames(figure: JointRotations) -> Float[Tensor, "joints 4"]:
    """Each joint's own axes in the T-pose: y along its bone, as Blender draws bones."""
    along = np.tile([0.0, 1.0, 0.0], (figure.skeleton.joints, 1))
    for joint, children in enumerate(figure.skeleton.children):
        if len(children) < 2:
            along[joint] = figure.offsets[children[0]] if children else figure.tips[joint]
    return quaternion_between(
        torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), torch.tensor(along)
    )


def _back_from_parents(
    figure: JointRotations, frames: Float[Tensor, "joints 4"]
) -> Float[Tensor, "joints 4"]:
    """The rotations from the T-pose's axes to those of each joint's parent."""
    back = quaternion_inverse(frames[torch.tensor((0, *figure.skeleton.parents[1:]))])
    back[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    return back


def _joint_nodes(
    figure: JointRotations, places: np.ndarray, frames: Float[Tensor, "joints 4"]
) -> list[dict]:
    """The joints at rest."""
    back = _back_from_parents(figure, frames)
    offsets = torch.from_numpy(np.concatenate([places[:1], figure.offsets[1:]]))
    translations = quaternion_rotate(back, offsets).tolist()
    rotations = quaternion_multiply(back, frames).clamp(-1, 1)  # 1 + 2e-16 would be no glTF
    rotations = rotations.roll(-1, dims=-1).tolist()  # glTF: w last
    skeleton = figure.skeleton
    return [
        {"name": name, "translation": translation, "rotation": rotation}
        | ({"children": children} if children else {})
        for name, translation, rotation, children in zip(
            skeleton.joint_names, translations, rotations, skeleton.children, strict=True
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


def _extras(motion: Motion) -> dict:
    return {
        "text": motion.text,
        "seed": motion.seed,
        "fps": motion.fps,
        "skeleton": motion.skeleton,
        "provenance": dict(motion.provenance),
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


def _animation(
    binary: _Binary, motion: Motion, figure: JointRotations, frames: Float[Tensor, "joints 4"]
) -> dict:
    """The root's path and the rotations of all joints that have a bone to turn."""
    times = binary.add((np.arange(motion.frames) / motion.fps).astype(np.float32), bounds=True)
    turns = quaternion_multiply(
        quaternion_multiply(_back_from_parents(figure, frames), torch.from_numpy(figure.rotations)),
        frames,
    )
    rotations = turns.roll(-1, dims=-1).numpy().astype(np.float32)  # glTF: w last
    tracks = [(0, "translation", figure.positions[:, 0].astype(np.float32))]
    tracks += [
        (joint, "rotation", rotations[:, joint])
        for joint, children in enumerate(figure.skeleton.children)
        if children
    ]
    return {
        "name": motion.text or "motion",
        "channels": [
            {"sampler": sampler, "target": {"node": node, "path": path}}
            for sampler, (node, path, _) in enumerate(tracks)
        ],
        "samplers": [
            {"input": times, "output": binary.add(values), "interpolation": "LINEAR"}
            for *_, values in tracks
        ],
    }
