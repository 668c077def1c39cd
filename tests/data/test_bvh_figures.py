"""Skeleton maps, units and up axis on figures built joint by joint in each collection's naming."""

import itertools

import numpy as np
import pytest
import yaml

from lead.core.errors import RequestError
from lead.data.bvh.conventions import detect_units, detect_up_axis
from lead.data.bvh.joints import bvh_to_joints, load_bvh_joints
from lead.data.bvh.parser import BvhMotion
from lead.data.bvh.skeleton_maps import SHIPPED, choose_skeleton_map, load_skeleton_map
from lead.representation import get_skeleton, joints_to_features

SMPL = get_skeleton("humanml3d")

# A person of 1.7 m in a T pose: y up, facing +z, left at +x. Left side only; the right mirrors it.
BODY = {
    "pelvis": (0, 0.95, 0),
    "spine1": (0, 1.07, 0.01),
    "spine2": (0, 1.20, 0.02),
    "spine3": (0, 1.26, 0.02),
    "neck": (0, 1.46, 0.0),
    "head": (0, 1.55, 0.05),
    "left_hip": (0.09, 0.88, 0),
    "left_knee": (0.10, 0.48, 0.01),
    "left_ankle": (0.10, 0.07, -0.02),
    "left_foot": (0.11, 0.02, 0.11),
    "left_collar": (0.07, 1.37, 0.01),
    "left_shoulder": (0.18, 1.40, 0),
    "left_elbow": (0.45, 1.40, 0),
    "left_wrist": (0.70, 1.40, 0),
}
for joint, (x, y, z) in list(BODY.items()):
    if joint.startswith("left"):
        BODY[joint.replace("left", "right")] = (-x, y, z)
BODY = {joint: np.array(place) for joint, place in BODY.items()}
TIP = np.array([0, 0.2, 0])
EYE = np.array([0.03, 0.08, 0.08])


BODY["origin"] = np.zeros(3)


def chain(parent: str, text: str) -> dict[str, tuple[str, np.ndarray]]:
    """Source joint -> (parent, place) of a chain written ``Source=smpl Source=smpl``."""
    joints = {}
    for word in text.split():
        name, smpl = word.split("=")
        joints[name] = (parent, BODY[smpl])
        parent = name
    return joints


def limbs(parent: str, text: str, left: str = "Left", right: str = "Right") -> dict:
    """The same chain on both sides: ``@`` is the side's spelling in the source's names."""
    text = text.replace("=", "=<side>_").replace("<side>_spine3", "spine3")
    return {
        **chain(parent, text.replace("@", left).replace("<side>", "left")),
        **chain(parent, text.replace("@", right).replace("<side>", "right")),
    }


TRUNK = "Hips=pelvis Spine=spine1 Spine1=spine2 Spine2=spine3 Neck=neck Head=head"
ARM = "@Shoulder=collar @Arm=shoulder @ForeArm=elbow @Hand=wrist"
BANDAI_ARM = "Shoulder_@=collar UpperArm_@=shoulder LowerArm_@=elbow Hand_@=wrist"
LEG = "@UpLeg=hip @Leg=knee @Foot=ankle"

SOURCES = {
    "bandai_namco": {
        **chain("", "joint_Root=origin Hips=pelvis Spine=spine2 Chest=spine3 Neck=neck Head=head"),
        **limbs("Chest", BANDAI_ARM, "L", "R"),
        **limbs("Hips", "UpperLeg_@=hip LowerLeg_@=knee Foot_@=ankle Toes_@=foot", "L", "R"),
    },
    "acclaim": {
        **chain("", "root=pelvis lowerback=pelvis upperback=spine1 thorax=spine2"),
        **chain("thorax", "lowerneck=spine3 upperneck=neck head=head"),
        **limbs("thorax", "@clavicle=spine3 @humerus=shoulder @radius=elbow @hand=wrist", "l", "r"),
        **limbs("root", "@femur=hip @tibia=knee @foot=ankle @toes=foot", "l", "r"),
    },
    "cmu_daz": {
        **chain("", "hip=pelvis abdomen=spine1 chest=spine2 neck=neck head=head"),
        **limbs("chest", "@Collar=spine3 @Shldr=shoulder @ForeArm=elbow @Hand=wrist", "l", "r"),
        **limbs("hip", "@Thigh=hip @Shin=knee @Foot=ankle", "l", "r"),
        "leftEye": ("head", BODY["head"] + EYE),
        "rightEye": ("head", BODY["head"] + EYE * [-1, 1, 1]),
    },
    "cmu": {
        **chain("", "Hips=pelvis LowerBack=pelvis Spine=spine1 Spine1=spine3 Neck=spine3"),
        **chain("Neck", "Neck1=neck Head=head"),
        **limbs("Spine1", ARM.replace("collar", "spine3")),
        **chain("Hips", "LHipJoint=pelvis"),
        **chain("Hips", "RHipJoint=pelvis"),
        **limbs("Hips", LEG + " @ToeBase=foot"),
    },
    "style100": {
        **chain("", "Hips=pelvis Chest=spine1 Chest2=spine2 Chest3=spine3 Chest4=spine3"),
        **chain("Chest4", "Neck=neck Head=head"),
        **limbs("Chest4", "@Collar=collar @Shoulder=shoulder @Elbow=elbow @Wrist=wrist"),
        **limbs("Hips", "@Hip=hip @Knee=knee @Ankle=ankle @Toe=foot"),
    },
    "lafan1": {
        **chain("", TRUNK),
        **limbs("Spine2", ARM),
        **limbs("Hips", LEG + " @Toe=foot"),
    },
    "mixamo": {
        **chain("", TRUNK),
        **limbs("Spine2", ARM),
        **limbs("Hips", LEG + " @ToeBase=foot"),
    },
    "smpl22": {
        **chain("", "pelvis=pelvis spine1=spine1 spine2=spine2 spine3=spine3 neck=neck Head=head"),
        **limbs("spine3", "@_collar=collar @_shoulder=shoulder @_elbow=elbow @_wrist=wrist"),
        **limbs("pelvis", "@_hip=hip @_knee=knee @_ankle=ankle @_foot=foot"),
    },
    "vrm": {
        **chain("", "hips=pelvis spine=spine1 chest=spine2 upperChest=spine3 neck=neck head=head"),
        **limbs("upperChest", ARM.replace("@Arm", "@UpperArm").replace("Fore", "Lower")),
        **limbs("hips", "@UpperLeg=hip @LowerLeg=knee @Foot=ankle @Toes=foot"),
    },
}


def between(start, end, at: float) -> np.ndarray:
    """A point on the line between two places or joints."""
    start, end = (BODY[p] if isinstance(p, str) else p for p in (start, end))
    return (1 - at) * start + at * end


def both(joint: str, place) -> dict[str, np.ndarray]:
    """The place of a joint on the left and on the right: ``place`` takes the side's shoulder."""
    return {f"{side}_{joint}": place(f"{side}_shoulder") for side in ("left", "right")}


# Where a map does not take a joint of the source: SMPL joint -> expected place.
INTERPOLATED = {
    "bandai_namco": {"spine1": between("pelvis", "spine2", 0.5)},
    "cmu": {
        "spine2": between("spine1", "spine3", 0.25),
        "spine3": between("spine1", "spine3", 0.46),
        "head": BODY["head"] + TIP,
        **both("collar", lambda arm: between(between("spine3", "neck", 0.4), arm, 0.35)),
    },
    "acclaim": {
        "spine3": between("spine2", "spine3", 0.45),
        "head": BODY["head"] + TIP,
        **both("collar", lambda arm: between(between("spine3", "neck", 0.4), arm, 0.35)),
    },
    "cmu_daz": {
        "pelvis": between("pelvis", "spine1", 0.68),
        "spine1": between("spine1", "spine2", 0.3),
        "spine2": between("spine2", "neck", 0.1),
        "spine3": between("spine2", "neck", 0.3),
        "head": BODY["head"] + 0.3 * EYE * [0, 1, 1],
        "left_foot": BODY["left_ankle"] + TIP,
        "right_foot": BODY["right_ankle"] + TIP,
        **both("collar", lambda arm: between("spine2", between("spine3", arm, 0.4), 0.93)),
    },
}
CMU_UNIT = 0.0254 / 0.45


def figure(naming: str, *, scale=1.0, frames=3, rename=str, turn=None) -> BvhMotion:
    """The T pose, ``scale`` file units per metre, moving 0.1 m forward per frame at 20 fps."""
    joints = SOURCES[naming]
    names = list(joints)
    turn = np.eye(3) if turn is None else turn
    parents = tuple(names.index(parent) if parent else -1 for parent, _ in joints.values())
    places = np.array([place for _, place in joints.values()]) * scale @ turn.T
    offsets = np.array(
        [
            place - (places[parent] if parent >= 0 else 0)
            for place, parent in zip(places, parents, strict=True)
        ]
    )
    channels = (("Xposition", "Yposition", "Zposition"),) + (("Zrotation",),) * (len(names) - 1)
    values = np.zeros((frames, 3 + len(names) - 1))
    forward = turn @ np.array([0, 0, 0.1 * scale])
    values[:, :3] = offsets[0] + np.arange(frames)[:, None] * forward
    sites = {
        names.index(name): [TIP * scale @ turn.T]
        for name in ("Head", "head", "lFoot", "rFoot")
        if name in names
    }
    return BvhMotion(tuple(map(rename, names)), parents, offsets, sites, channels, values, 0.05)


def expected(naming: str, frames: int = 3) -> np.ndarray:
    body = BODY | INTERPOLATED.get(naming, {})
    pose = np.array([body[joint] for joint in SMPL.joint_names])
    return pose + np.arange(frames)[:, None, None] * [0, 0, 0.1]


@pytest.mark.parametrize("naming", SOURCES)
def test_each_collection_is_recognised_and_mapped(naming):
    scale = 1 / CMU_UNIT if naming == "cmu" else 100.0
    motion = figure(naming, scale=scale)
    assert choose_skeleton_map(motion).name == naming
    joints = bvh_to_joints(motion)
    assert joints.dtype == np.float32
    np.testing.assert_allclose(joints, expected(naming), atol=1e-5)


def test_every_shipped_map_is_tested_here():
    assert {path.stem for path in SHIPPED.glob("*.yaml")} == set(SOURCES)


@pytest.mark.parametrize("naming", SOURCES)
def test_no_mapped_bone_has_zero_length(naming):
    """A bone without a direction would have no rotation in the features."""
    joints = bvh_to_joints(figure(naming, scale=100.0), units="cm")
    parents = list(SMPL.parents[1:])
    assert np.linalg.norm(joints[:, 1:] - joints[:, parents], axis=-1).min() > 0.02
    assert np.isfinite(joints_to_features(joints)).all()


@pytest.mark.parametrize(
    "rename",
    [
        *("mixamorig:{}".format, "mixamorig7:{}".format, "mixamorig_{}".format),
        *("Character1_{}".format, "Armature|mixamorig:{}".format, "Model_{}".format),
        *("rig:sub:{}".format, str.upper, str.lower),
    ],
)
def test_prefixes_and_case_do_not_matter(rename):
    motion = figure("mixamo", scale=100.0, rename=rename)
    np.testing.assert_allclose(bvh_to_joints(motion), expected("mixamo"), atol=1e-5)


@pytest.mark.parametrize("height", [1.0, 1.4, 1.7, 2.0])
@pytest.mark.parametrize(
    ("units", "per_metre"), [("m", 1), ("cm", 100), ("mm", 1000), ("inch", 1 / 0.0254)]
)
def test_units_are_detected_from_the_size(units, per_metre, height):
    name, metres = detect_units(expected("mixamo") * per_metre * height / 1.7)
    assert (name, metres) == (units, pytest.approx(1 / per_metre))


def test_size_does_not_depend_on_the_pose():
    lying = expected("mixamo") @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) * 100
    assert detect_units(lying)[0] == "cm"


@pytest.mark.parametrize("scale", [0.0, 1e-3, 7.0, 1e5])
def test_no_person_in_any_unit_is_an_error(scale):
    with pytest.raises(RequestError, match="units tall, .*give units="):
        detect_units(expected("mixamo") * scale)


ROTATIONS = [
    matrix
    for signs in itertools.product((1, -1), repeat=3)
    for order in itertools.permutations(range(3))
    if np.linalg.det(matrix := np.diag(signs)[list(order)]) > 0
    and (matrix @ [0, 1, 0]).min() == 0  # up along a negative axis is not detected
]


@pytest.mark.parametrize("turn", ROTATIONS, ids=str)
def test_any_upright_orientation_becomes_y_up_without_mirroring(turn):
    """The 12 axis-aligned rotations whose up is +x, +y or +z: shape and handedness are kept."""
    up = turn @ [0, 1, 0]
    joints = bvh_to_joints(figure("mixamo", scale=100.0, turn=turn))
    assert detect_up_axis(expected("mixamo") @ turn.T) == "xyz"[int(up.argmax())]
    height = joints[..., 1]
    np.testing.assert_allclose(height, expected("mixamo")[..., 1], atol=1e-5)
    body = dict(zip(SMPL.joint_names, joints[0], strict=True))
    left = body["left_hip"] - body["right_hip"]
    forward = body["left_foot"] - body["left_ankle"]
    assert np.cross(left, forward) @ [0, 1, 0] < 0  # left x forward points down
    path = joints[-1, 0] - joints[0, 0]
    along = forward * [1, 0, 1] / np.linalg.norm(forward * [1, 0, 1])
    np.testing.assert_allclose(path, 0.2 * along, atol=2e-2)  # the feet point out a little


def test_z_up_is_a_rotation_not_a_swap():
    """z up, facing -y, left at +x (a common export): becomes y up, facing +z, left at +x."""
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    motion = figure("mixamo", scale=100.0, turn=turn)
    np.testing.assert_allclose(bvh_to_joints(motion), expected("mixamo"), atol=1e-5)
    np.testing.assert_allclose(bvh_to_joints(motion, up_axis="z"), expected("mixamo"), atol=1e-5)


def test_a_lying_figure_shows_no_up_axis_unless_it_is_along_one():
    diagonal = np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]])
    assert detect_up_axis(expected("mixamo") @ (diagonal @ diagonal).T) is not None
    tilted = np.array([[0.58, 0.577, 0.575], [-0.8, 0.43, 0.41], [0, -0.7, 0.7]])
    assert detect_up_axis(expected("mixamo") @ tilted) is None


def test_set_units_and_axis_overrule_what_is_detected():
    motion = figure("mixamo", scale=100.0)
    np.testing.assert_allclose(
        bvh_to_joints(motion, units="mm"), expected("mixamo") / 10, atol=1e-5
    )
    turned = bvh_to_joints(motion, up_axis="z")
    np.testing.assert_allclose(turned[..., 1], expected("mixamo")[..., 2], atol=1e-5)
    for bad in ({"units": "feet"}, {"up_axis": "w"}):
        with pytest.raises(RequestError, match="is unknown"):
            bvh_to_joints(motion, **bad)


@pytest.mark.parametrize("step", [4.9, 5.1, 1e7])
@pytest.mark.parametrize("options", [{}, {"units": "cm", "up_axis": "y"}])
def test_nobody_moves_faster_than_a_hundred_metres_a_second(step, options):
    """One leap of so many metres in a twentieth of a second, whatever else is given."""
    motion = figure("mixamo", scale=100.0, frames=9)
    motion.values[6:, 0] += 100 * step
    if step < 5:
        assert np.ptp(bvh_to_joints(motion, **options)[:, 0, 0]) > 4.8
    else:
        with pytest.raises(RequestError, match=r"at 0.25 s it moves .* m/s, 100 at most"):
            bvh_to_joints(motion, **options)


def test_unknown_skeletons_say_what_they_have_and_what_to_do():
    with pytest.raises(
        RequestError, match=r"xSpine.*, \.\.\. \(22 in all\).*skeleton_map=PATH"
    ) as caught:
        choose_skeleton_map(figure("mixamo", rename=lambda name: f"x{name}z"[:-1] + str(len(name))))
    assert "\n" not in str(caught.value)


def own_map(**changes) -> dict:
    joints = dict(load_skeleton_map("mixamo").places) | changes
    return {"name": "own", "joints": joints}


def test_own_map_with_end_sites_alternatives_and_nesting(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        yaml.safe_dump(
            own_map(
                head={"end_site": "Head"},
                left_wrist=["NoSuchHand", "LeftHand"],
                spine2={"between": ["Spine", {"end_site": "Head"}], "at": 0.25},
            )
        )
    )
    joints = bvh_to_joints(figure("mixamo"), load_skeleton_map(path), units="m")
    tip = BODY["head"] + TIP
    body = dict(zip(SMPL.joint_names, joints[0], strict=True))
    np.testing.assert_allclose(body["head"], tip, atol=1e-6)
    np.testing.assert_allclose(body["left_wrist"], BODY["left_wrist"], atol=1e-6)
    np.testing.assert_allclose(body["spine2"], 0.75 * BODY["spine1"] + 0.25 * tip, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("joints: [1, 2]", "'joints' takes an object of keys"),
        ("just text", "an object of keys and values expected"),
        ("a: [1", "is not valid YAML .* in line 1"),
        ("joints: {pelvis: Hips}", "no entry for left_hip"),
        (yaml.safe_dump(own_map(tail="Hips")), "unknown joint 'tail'"),
        (yaml.safe_dump(own_map(head=3)), "'joints.head': a place is"),
        (yaml.safe_dump(own_map(head={"between": ["Neck"], "at": 1})), "'joints.head': a place is"),
        (yaml.safe_dump(own_map(head=[])), "'joints.head': a place is"),
        (
            yaml.safe_dump(own_map() | {"metres_per_unit": -1}),
            "'metres_per_unit' takes",
        ),
    ],
)
def test_bad_maps_are_one_line_with_the_file(tmp_path, content, words):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(RequestError, match=words) as caught:
        load_skeleton_map(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_map_that_does_not_fit_names_the_missing_joint():
    with pytest.raises(RequestError, match="left_foot needs 'LeftToe', which the file lacks"):
        bvh_to_joints(figure("mixamo"), load_skeleton_map("lafan1"))
    with pytest.raises(RequestError, match="did you mean 'cmu'"):
        load_skeleton_map("cmuu")


def test_errors_after_parsing_name_the_file(tmp_path):
    path = tmp_path / "rope.bvh"
    path.write_text(
        "HIERARCHY\nROOT Rope\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n}\n"
        "MOTION\nFrames: 1\nFrame Time: 0.1\n0\n"
    )
    with pytest.raises(RequestError, match=r"rope\.bvh: no skeleton map .* fits the joints Rope"):
        load_bvh_joints(path)
