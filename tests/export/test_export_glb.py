"""GLB files: evaluated by a small glTF reader written here, and by the Khronos validator."""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from lead.export.glb import write_glb
from lead.export.motion_file import Motion
from lead.representation import get_skeleton
from lead.representation.joint_rotations import fit_joint_rotations

TYPES = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
VALIDATE = """
const { validateBytes } = require('gltf-validator');
const bytes = new Uint8Array(require('fs').readFileSync(process.argv[1]));
validateBytes(bytes).then(report => console.log(JSON.stringify(report.issues)));
"""


class Gltf:
    """Just enough of glTF 2.0: accessors, node transforms at a time, skinning."""

    def __init__(self, path: Path):
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        chunks, place = {}, 12
        while place < length:
            size, kind = struct.unpack_from("<I4s", data, place)
            assert size % 4 == 0
            chunks[kind] = data[place + 8 : place + 8 + size]
            place += 8 + size
        self.tree = json.loads(chunks[b"JSON"])
        self.binary = chunks[b"BIN\0"]

    def array(self, index: int) -> np.ndarray:
        accessor = self.tree["accessors"][index]
        view = self.tree["bufferViews"][accessor["bufferView"]]
        width = WIDTHS[accessor["type"]]
        assert view["byteOffset"] % 4 == 0
        values = np.frombuffer(
            self.binary,
            TYPES[accessor["componentType"]],
            accessor["count"] * width,
            view["byteOffset"],
        ).reshape(-1, width)
        for name, limit in (("min", values.min(0)), ("max", values.max(0))):
            if name in accessor:
                np.testing.assert_array_equal(np.float32(accessor[name]), limit)
        return values

    def world(self, seconds: float | None) -> list[np.ndarray]:
        """Matrices (4, 4) of all nodes; None is the pose at rest."""
        nodes = self.tree["nodes"]
        parts = [
            {
                "translation": n.get("translation", [0, 0, 0]),
                "rotation": n.get("rotation", [0, 0, 0, 1]),
            }
            for n in nodes
        ]
        animation = self.tree["animations"][0]
        for channel in animation["channels"] if seconds is not None else []:
            sampler = animation["samplers"][channel["sampler"]]
            times, values = self.array(sampler["input"])[:, 0], self.array(sampler["output"])
            target = channel["target"]
            seconds = float(np.clip(seconds, times[0], times[-1]))
            if target["path"] == "translation":
                value = [np.interp(seconds, times, column) for column in values.T]
            else:
                value = Slerp(times, Rotation.from_quat(values))(seconds).as_quat()
            parts[target["node"]][target["path"]] = value
        matrices: list[np.ndarray | None] = [None] * len(nodes)
        waiting = [(root, np.eye(4)) for root in self.tree["scenes"][0]["nodes"]]
        while waiting:
            node, above = waiting.pop()
            own = np.eye(4)
            own[:3, :3] = Rotation.from_quat(parts[node]["rotation"]).as_matrix()
            own[:3, 3] = parts[node]["translation"]
            matrices[node] = above @ own
            waiting += [(child, matrices[node]) for child in nodes[node].get("children", [])]
        return matrices

    def joints(self, skeleton: str, seconds: float | None) -> np.ndarray:
        names = [node["name"] for node in self.tree["nodes"]]
        world = self.world(seconds)
        return np.stack([world[names.index(n)][:3, 3] for n in get_skeleton(skeleton).joint_names])

    def skin(self, seconds: float | None) -> np.ndarray:
        """Vertices (n, 3) of the body at a time."""
        primitive = self.tree["meshes"][0]["primitives"][0]["attributes"]
        points, joints = self.array(primitive["POSITION"]), self.array(primitive["JOINTS_0"])
        weights = self.array(primitive["WEIGHTS_0"]) / 255
        skin = self.tree["skins"][0]
        world = self.world(seconds)
        binds = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        moves = np.stack([world[node] @ b for node, b in zip(skin["joints"], binds, strict=True)])
        blended = np.einsum("nk,nkij->nij", weights, moves[joints])
        return np.einsum("nij,nj->ni", blended, np.c_[points, np.ones(len(points))])[:, :3]


@pytest.mark.parametrize("skeleton", ["humanml3d", "kit"])
def test_joints_stand_where_the_motion_has_them(tmp_path, dancer, skeleton):
    motion = dancer(skeleton)
    assert write_glb(tmp_path / "clip.glb", motion) is None
    gltf = Gltf(tmp_path / "clip.glb")
    for frame in (0, 1, 17, motion.frames - 1):
        found = gltf.joints(skeleton, frame / motion.fps)
        assert np.linalg.norm(found - motion.joints[frame], axis=-1).max() < 1e-4


def test_joints_are_those_of_the_fit_where_bones_change(tmp_path, dancer):
    motion = dancer()
    noise = np.random.default_rng(0).normal(0, 0.01, motion.joints.shape)
    motion = Motion(motion.joints + noise, motion.features, "")
    assert "constant bone lengths" in write_glb(tmp_path / "clip.glb", motion)
    fitted = fit_joint_rotations(motion.joints, "humanml3d", motion.fps).positions
    gltf = Gltf(tmp_path / "clip.glb")
    for frame in (0, 20):
        found = gltf.joints("humanml3d", frame / motion.fps)
        assert np.linalg.norm(found - fitted[frame], axis=-1).max() < 1e-4


def test_between_two_frames_the_figure_is_between_them(tmp_path, dancer):
    """A quaternion of the wrong sign would turn a joint the long way round."""
    motion = dancer()
    write_glb(tmp_path / "clip.glb", motion)
    gltf = Gltf(tmp_path / "clip.glb")
    for sampler in gltf.tree["animations"][0]["samplers"]:
        values = gltf.array(sampler["output"])
        if values.shape[1] == 4:
            assert (values[1:] * values[:-1]).sum(1).min() > 0
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-6)
    for frame in range(0, 40, 8):
        found = gltf.joints("humanml3d", (frame + 0.5) / motion.fps)
        middle = (motion.joints[frame] + motion.joints[frame + 1]) / 2
        assert np.linalg.norm(found - middle, axis=-1).max() < 0.03


def test_the_body_moves_with_its_bones(tmp_path, dancer):
    motion = dancer()
    write_glb(tmp_path / "clip.glb", motion)
    gltf = Gltf(tmp_path / "clip.glb")
    primitive = gltf.tree["meshes"][0]["primitives"][0]
    joints = gltf.array(primitive["attributes"]["JOINTS_0"])[:, 0]
    np.testing.assert_allclose(
        gltf.skin(None), gltf.array(primitive["attributes"]["POSITION"]), atol=1e-6
    )
    rest, moved = gltf.joints("humanml3d", None), gltf.joints("humanml3d", 1.0)
    before = np.linalg.norm(gltf.skin(None) - rest[joints], axis=-1)
    after = np.linalg.norm(gltf.skin(1.0) - moved[joints], axis=-1)
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert before.max() < 0.6
    assert set(joints) == set(range(22))


def test_the_figure_at_rest_stands_on_the_floor_in_a_t_pose(tmp_path, dancer):
    write_glb(tmp_path / "clip.glb", dancer())
    gltf = Gltf(tmp_path / "clip.glb")
    rest = dict(
        zip(get_skeleton("humanml3d").joint_names, gltf.joints("humanml3d", None), strict=True)
    )
    assert min(place[1] for place in rest.values()) == pytest.approx(0, abs=1e-6)
    assert rest["head"][1] > rest["pelvis"][1] > rest["left_knee"][1] > rest["left_ankle"][1]
    assert rest["left_wrist"][0] > 0.5 > -0.5 > rest["right_wrist"][0]
    assert gltf.skin(None)[:, 1].min() > -0.06


def test_the_y_axis_of_a_joint_runs_along_its_bone(tmp_path, dancer):
    """Blender draws a bone along it."""
    write_glb(tmp_path / "clip.glb", dancer())
    gltf = Gltf(tmp_path / "clip.glb")
    names = [node["name"] for node in gltf.tree["nodes"]]
    for seconds in (None, 0.7):
        world = gltf.world(seconds)
        for start, end in (("left_hip", "left_knee"), ("right_elbow", "right_wrist")):
            joint, child = world[names.index(start)], world[names.index(end)]
            bone = child[:3, 3] - joint[:3, 3]
            np.testing.assert_allclose(joint[:3, 1], bone / np.linalg.norm(bone), atol=1e-5)


def test_triangles_and_normals_face_outwards(tmp_path, dancer):
    write_glb(tmp_path / "clip.glb", dancer())
    gltf = Gltf(tmp_path / "clip.glb")
    primitive = gltf.tree["meshes"][0]["primitives"][0]
    points = gltf.array(primitive["attributes"]["POSITION"]).astype(float)
    normals = gltf.array(primitive["attributes"]["NORMAL"])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    corners = gltf.array(primitive["indices"])[:, 0].reshape(-1, 3)
    a, b, c = (points[corners[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    assert (
        np.linalg.norm(faces, axis=1).min() > 0 or (np.linalg.norm(faces, axis=1) > 0).mean() > 0.9
    )
    assert ((faces * normals[corners].mean(axis=1)).sum(axis=1) >= 0).all()
    assert (faces * a).sum() / 6 == pytest.approx(0.08, abs=0.05)  # cubic metres, overlaps twice


def test_the_caption_goes_with_the_file(tmp_path, dancer):
    motion = dancer(text='someone "dances" \u2014 na\u00efvely\n')
    write_glb(tmp_path / "clip.glb", motion)
    tree = Gltf(tmp_path / "clip.glb").tree
    assert tree["asset"]["extras"]["text"] == motion.text
    assert tree["asset"]["extras"]["seed"] == 3
    assert tree["animations"][0]["name"] == motion.text


@pytest.mark.parametrize("skeleton", ["humanml3d", "kit"])
def test_rotations_at_rest_are_unit_quaternions_to_the_last_bit(tmp_path, dancer, skeleton):
    """A component of 1 + 2e-16 is an error in glTF."""
    write_glb(tmp_path / "clip.glb", dancer(skeleton, 2))
    rotations = [node["rotation"] for node in Gltf(tmp_path / "clip.glb").tree["nodes"][:-1]]
    assert np.abs(rotations).max() <= 1
    np.testing.assert_allclose(np.linalg.norm(rotations, axis=1), 1, atol=1e-9)


def test_equal_motions_make_equal_files(tmp_path, dancer):
    for name in ("one.glb", "two.glb"):
        write_glb(tmp_path / name, dancer())
    assert (tmp_path / "one.glb").read_bytes() == (tmp_path / "two.glb").read_bytes()


@pytest.mark.dev
@pytest.mark.parametrize(("skeleton", "frames"), [("humanml3d", 1), ("humanml3d", 60), ("kit", 30)])
def test_the_khronos_validator_finds_nothing(tmp_path, dancer, skeleton, frames):
    """``npm install gltf-validator`` in a folder, and name it in LEAD_NODE_MODULES."""
    node, modules = shutil.which("node"), os.environ.get("LEAD_NODE_MODULES")
    if node is None or modules is None:
        pytest.skip("needs node, and LEAD_NODE_MODULES to name a folder with gltf-validator")
    write_glb(tmp_path / "clip.glb", dancer(skeleton, frames))
    done = subprocess.run(
        [node, "-e", VALIDATE, str(tmp_path / "clip.glb")],
        env={**os.environ, "NODE_PATH": modules},
        capture_output=True,
        text=True,
        check=True,
    )
    issues = json.loads(done.stdout)
    assert issues["messages"] == []
    assert issues["numErrors"] == issues["numWarnings"] == 0
