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

from lead.core.errors import RequestError
from lead.export.glb import write_glb
from lead.export.joint_names import NAMES
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

    def world(self, seconds: float | None, clip: int = 0) -> list[np.ndarray]:
        """Matrices (4, 4) of all nodes in an animation; None is the pose at rest."""
        nodes = self.tree["nodes"]
        parts = [
            {
                "translation": n.get("translation", [0, 0, 0]),
                "rotation": n.get("rotation", [0, 0, 0, 1]),
            }
            for n in nodes
        ]
        animation = self.tree["animations"][clip]
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

    def joints(self, skeleton: str, seconds: float | None, clip: int = 0) -> np.ndarray:
        """Places of the skeleton's joints, which are the first nodes."""
        world = self.world(seconds, clip)
        return np.stack([world[node][:3, 3] for node in range(get_skeleton(skeleton).joints)])

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
    assert "rigid hips and bones" in write_glb(tmp_path / "clip.glb", motion)
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


# What other programs call left hip and right wrist, and the hips.
SPELLED = {
    "lead": ("left_hip", "right_wrist", "pelvis"),
    "mixamo": ("mixamorig:LeftUpLeg", "mixamorig:RightHand", "mixamorig:Hips"),
    "vrm": ("leftUpperLeg", "rightHand", "hips"),
    "smpl": ("L_Hip", "R_Wrist", "Pelvis"),
}


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("names", NAMES)
def test_other_names_and_a_root_leave_every_joint_where_it_is(tmp_path, dancer, names, root):
    motion = dancer()
    assert write_glb(tmp_path / "clip.glb", motion, names=names, root=root) is None
    gltf = Gltf(tmp_path / "clip.glb")
    found = [node["name"] for node in gltf.tree["nodes"]]
    assert (found[1], found[21], found[0]) == SPELLED[names]
    assert found[22:] == (["root", "body"] if root else ["body"]) and len(set(found)) == len(found)
    assert gltf.tree["skins"][0]["joints"] == list(range(len(found) - 1))
    for frame in (0, 17, motion.frames - 1):
        places = gltf.joints("humanml3d", frame / motion.fps)
        assert np.linalg.norm(places - motion.joints[frame], axis=-1).max() < 1e-4
    np.testing.assert_allclose(
        gltf.skin(None),
        gltf.array(gltf.tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]),
        atol=1e-6,
    )


def test_the_root_glides_on_the_ground_and_faces_where_the_figure_does(tmp_path):
    """A stiff figure that turns about the vertical and walks: the root does all of it."""
    skeleton = get_skeleton("humanml3d")
    pose = np.zeros((22, 3))
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        pose[joint] = pose[parent] + skeleton.reference_offsets().numpy()[joint]
    angles = np.linspace(0.2, 7.0, 40)
    path = np.stack([np.cos(angles), 0.9 + 0 * angles, angles], axis=1)
    joints = Rotation.from_euler("y", angles[:, None]).as_matrix()[:, None] @ pose[..., None]
    motion = Motion(joints[..., 0] + path[:, None], np.zeros((40, 263)), "turns")
    write_glb(tmp_path / "clip.glb", motion, root=True)
    gltf = Gltf(tmp_path / "clip.glb")
    np.testing.assert_allclose(gltf.world(None)[22], np.eye(4), atol=1e-6)
    for frame in range(0, 40, 3):
        world = gltf.world(frame / 20)
        np.testing.assert_allclose(world[22][:3, 3], path[frame] * [1, 0, 1], atol=1e-5)
        turned = Rotation.from_matrix(world[22][:3, :3]).as_rotvec() - [0, angles[frame], 0]
        np.testing.assert_allclose(turned[[0, 2]], 0, atol=1e-5)
        assert np.cos(turned[1]) == pytest.approx(
            1, abs=2e-3
        )  # the hips' own T-pose leans a little
        local = np.linalg.inv(world[22]) @ world[0]
        np.testing.assert_allclose(local[:3, 3], [0, 0.9, 0], atol=1e-5)


@pytest.mark.parametrize("fps", [30, 60, 12.5])
def test_another_frame_rate_is_what_a_player_shows_between_the_frames(tmp_path, dancer, fps):
    """LINEAR in glTF is slerp for rotations: at every new frame both files have the same pose."""
    motion = dancer()
    write_glb(tmp_path / "own.glb", motion)
    write_glb(tmp_path / "new.glb", motion, fps=fps)
    own, new = Gltf(tmp_path / "own.glb"), Gltf(tmp_path / "new.glb")
    times = new.array(new.tree["animations"][0]["samplers"][0]["input"])[:, 0]
    np.testing.assert_allclose(times, np.arange(len(times)) / fps, rtol=1e-6)
    assert len(times) == int((motion.frames - 1) * fps / motion.fps) + 1
    for seconds in times[::7]:
        both = [gltf.world(float(seconds)) for gltf in (own, new)]
        np.testing.assert_allclose(both[0], both[1], atol=2e-6)


def test_several_clips_are_animations_of_one_figure(tmp_path, dancer):
    first, second = dancer(frames=30), dancer(frames=50, text="another")
    slow = Motion(second.joints, second.features, second.text, fps=10.0)
    assert write_glb(tmp_path / "all.glb", first, second, first, slow, names="mixamo") is None
    gltf = Gltf(tmp_path / "all.glb")
    titles = [animation["name"] for animation in gltf.tree["animations"]]
    assert titles == ["someone dances", "another", "someone dances 2", "another 2"]
    assert [one["extras"]["fps"] for one in gltf.tree["animations"]] == [20, 20, 20, 10]
    for clip, motion in enumerate((first, second, first, slow)):
        for frame in (0, 11, motion.frames - 1):
            found = gltf.joints("humanml3d", frame / motion.fps, clip)
            assert np.linalg.norm(found - motion.joints[frame], axis=-1).max() < 1e-4


def test_clips_of_other_bones_get_those_of_all_and_it_is_said(tmp_path, dancer):
    motion = dancer()
    taller = Motion(1.1 * motion.joints, motion.features, "")
    remark = write_glb(tmp_path / "all.glb", motion, motion, taller)
    assert remark.startswith("rigid hips and bones move the joints")
    gltf = Gltf(tmp_path / "all.glb")
    for clip in range(3):
        thigh = np.subtract(*gltf.joints("humanml3d", 1.0, clip)[[1, 4]])
        there = np.subtract(*motion.joints[20, [1, 4]])
        assert np.linalg.norm(thigh) == pytest.approx(np.linalg.norm(there), rel=1e-4)


@pytest.mark.parametrize("skeletons", [(), ("humanml3d", "kit")])
def test_a_file_has_one_skeleton(tmp_path, dancer, skeletons):
    with pytest.raises(RequestError, match="holds motions of one skeleton"):
        write_glb(tmp_path / "clip.glb", *map(dancer, skeletons))
    assert list(tmp_path.iterdir()) == []


def test_the_names_of_vrm_make_an_animation_for_vrm_figures(tmp_path, dancer):
    """The bones that VRM 1.0 asks of every humanoid are there, each at its node."""
    write_glb(tmp_path / "clip.glb", dancer(), names="vrm", root=True)
    tree = Gltf(tmp_path / "clip.glb").tree
    assert tree["extensionsUsed"] == ["VRMC_vrm_animation"]
    said = tree["extensions"]["VRMC_vrm_animation"]
    assert said["specVersion"] == "1.0"
    bones = {name: of["node"] for name, of in said["humanoid"]["humanBones"].items()}
    assert all(tree["nodes"][node]["name"] == name for name, node in bones.items())
    sided = ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")
    wanted = {f"{side}{part}" for side in ("left", "right") for part in sided}
    assert wanted | {"hips", "spine", "head"} <= set(bones) and "root" not in bones
    moved = [
        channel["target"]["node"]
        for channel in tree["animations"][0]["channels"]
        if channel["target"]["path"] == "translation"
    ]
    assert moved == [bones["hips"], 22]
    write_glb(tmp_path / "other.glb", dancer(), names="smpl")
    assert "extensions" not in Gltf(tmp_path / "other.glb").tree


@pytest.mark.parametrize("skeleton", ["humanml3d", "kit"])
def test_the_body_has_hands_toes_and_heels(tmp_path, dancer, skeleton):
    """It reaches past the last joints by what the T-pose's tips say, on both sides."""
    write_glb(tmp_path / "clip.glb", dancer(skeleton))
    gltf = Gltf(tmp_path / "clip.glb")
    names, rest = get_skeleton(skeleton).joint_names, gltf.joints(skeleton, None)
    attributes = gltf.tree["meshes"][0]["primitives"][0]["attributes"]
    skin, bound = gltf.skin(None), gltf.array(attributes["JOINTS_0"])[:, 0]
    leg = np.linalg.norm(rest[names.index("left_knee")] - rest[names.index("left_hip")]) * 2
    toe = "toes" if skeleton == "kit" else "foot"
    for side, sign in (("left", 1), ("right", -1)):
        hand, foot, ankle = (names.index(f"{side}_{part}") for part in ("wrist", toe, "ankle"))
        beyond = [skin[bound == joint] - rest[joint] for joint in (hand, foot, ankle)]
        assert 0.15 < (sign * beyond[0][:, 0]).max() / leg < 0.3
        assert np.ptp(beyond[0][:, 2]) > 2 * np.ptp(beyond[0][:, 1])  # flat, with a thumb in front
        assert beyond[0][:, 2].max() > 1.3 * -beyond[0][:, 2].min()
        assert 0.08 < beyond[1][:, 2].max() / leg < 0.2
        assert -0.2 < beyond[2][:, 2].min() / leg < -0.06


@pytest.mark.dev
@pytest.mark.parametrize("rigging", [{}, {"root": True, "fps": 60}, {"names": "vrm"}], ids=str)
@pytest.mark.parametrize(("skeleton", "frames"), [("humanml3d", 1), ("humanml3d", 60), ("kit", 30)])
def test_the_khronos_validator_finds_nothing(tmp_path, dancer, skeleton, frames, rigging):
    """``npm install gltf-validator`` in a folder, and name it in LEAD_NODE_MODULES."""
    node, modules = shutil.which("node"), os.environ.get("LEAD_NODE_MODULES")
    if node is None or modules is None:
        pytest.skip("needs node, and LEAD_NODE_MODULES to name a folder with gltf-validator")
    if skeleton == "kit" and "names" in rigging:
        pytest.skip("its joints have no other names")
    write_glb(tmp_path / "clip.glb", dancer(skeleton, frames), dancer(skeleton), **rigging)
    done = subprocess.run(
        [node, "-e", VALIDATE, str(tmp_path / "clip.glb")],
        env={**os.environ, "NODE_PATH": modules},
        capture_output=True,
        text=True,
        check=True,
    )
    issues = json.loads(done.stdout)
    unknown = {"UNSUPPORTED_EXTENSION"} if "names" in rigging else set()  # to the validator
    assert {message["code"] for message in issues["messages"]} == unknown
    assert issues["numErrors"] == issues["numWarnings"] == 0
