"""The stick figure: which colour is where, what hides what, and how thick it is."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lead.export.figure import (
    BACKGROUND,
    LIMBS,
    OVERSAMPLE,
    Body,
    body_of,
    draw_figure,
    draw_floor,
    draw_shadow,
    on_floor,
)
from lead.export.scene import ELEVATION, prepare_scene, render

LEFT_SMPL = {1, 4, 7, 10, 13, 16, 18, 20}  # SMPL's order: left hip, knee, ankle, foot, ...
RIGHT_SMPL = {2, 5, 8, 11, 14, 17, 19, 21}


def t_pose(frames: int = 1) -> np.ndarray:
    """A figure facing +Z with its arms out: left is +X. Metres, from SMPL's proportions."""
    joints = np.zeros((22, 3), dtype=np.float32)
    heights = {0: 0.95, 3: 1.07, 6: 1.21, 9: 1.27, 12: 1.48, 15: 1.6}
    for joint, y in heights.items():
        joints[joint] = 0, y, 0
    legs = [(0.08, 0.86, 0.0), (0.1, 0.48, 0.0), (0.1, 0.08, 0.0), (0.1, 0.0, 0.13)]
    arms = [(0.08, 1.4, 0.0), (0.2, 1.42, 0.0), (0.46, 1.42, 0.0), (0.72, 1.42, 0.0)]
    for left, place in zip((1, 4, 7, 10, 13, 16, 18, 20), legs + arms, strict=True):
        joints[left] = place
        joints[left + 1] = np.array(place) * (-1, 1, 1)
    return np.repeat(joints[None], frames, axis=0)


def scene_of(joints: np.ndarray, **options):
    chosen = {"skeleton": "humanml3d", "size": (320, 320), **options}
    return prepare_scene(joints, "", 20, **chosen)


def test_sides_of_the_two_skeletons() -> None:
    smpl = body_of("humanml3d").sides
    assert {joint for joint, side in enumerate(smpl) if side == "left"} == LEFT_SMPL
    assert {joint for joint, side in enumerate(smpl) if side == "right"} == RIGHT_SMPL
    kit = body_of("kit")
    assert [joint for joint, side in enumerate(kit.sides) if side == "middle"] == [0, 1, 2, 3, 4]
    assert kit.head == 4
    assert len(kit.bones) == 20


@pytest.mark.parametrize(
    ("bone", "side"),
    [
        ((18, 20), "left"),
        ((0, 1), "left"),  # from the spine outwards: the colour of the limb
        ((0, 2), "right"),
        ((4, 7), "left"),
        ((19, 21), "right"),
        ((5, 8), "right"),
        ((0, 3), "middle"),
    ],
)
def test_limbs_have_the_colour_of_their_side(bone: tuple, side: str) -> None:
    scene = scene_of(t_pose())
    picture = next(render(scene, [0]))
    middle = scene.joints[0, list(bone)].mean(axis=0)
    u, v, _ = scene.camera.project(middle) / OVERSAMPLE
    assert picture.getpixel((round(u), round(v))) == LIMBS[side]


def test_the_figures_left_is_on_our_right_and_its_head_on_top() -> None:
    picture = np.asarray(next(render(scene_of(t_pose()), [0])))

    def middle_of(side: str) -> np.ndarray:
        return np.argwhere((picture == LIMBS[side]).all(axis=-1)).mean(axis=0)

    assert middle_of("left")[1] > middle_of("middle")[1] > middle_of("right")[1]
    assert middle_of("middle")[0] < middle_of("left")[0]


def test_colours_differ_for_every_kind_of_colour_vision() -> None:
    """Luminance alone (total colour blindness) or blue alone tells the three apart."""
    left, right, middle = (np.array(LIMBS[side]) for side in ("left", "right", "middle"))
    for one, other in ((left, right), (left, middle), (right, middle)):
        luminance = abs(np.array([0.2126, 0.7152, 0.0722]) @ (one - other))
        assert max(luminance, abs(one[2] - other[2])) > 35


def one_bone(depth_scale: float) -> np.ndarray:
    """Two joints 100 px apart on a level line, at so many pixels per metre."""
    return np.array([[50.0, 50.0, depth_scale], [150.0, 50.0, depth_scale]])


def test_nearer_bones_are_thicker() -> None:
    body, thickness = Body((-1, 0), ("middle",) * 2, 5), []
    for scale in (100.0, 200.0):
        picture = Image.new("RGB", (200, 100), BACKGROUND)
        draw_figure(ImageDraw.Draw(picture), one_bone(scale), body, unit=0.2)
        column = np.asarray(picture)[:, 100]
        thickness.append(int((column != BACKGROUND).any(axis=-1).sum()))
    assert thickness[1] == pytest.approx(2 * thickness[0], abs=1)


@pytest.mark.parametrize("left_scale", [90.0, 110.0])
def test_the_nearer_bone_hides_the_farther(left_scale: float) -> None:
    pixels = np.tile([10.0, 190.0, 100.0], (22, 1))
    pixels[18], pixels[20] = (50, 100, left_scale), (150, 100, left_scale)
    pixels[19], pixels[21] = (100, 50, 100), (100, 150, 100)
    picture = Image.new("RGB", (200, 200), BACKGROUND)
    draw_figure(ImageDraw.Draw(picture), pixels, body_of("humanml3d"), unit=0.2)
    assert picture.getpixel((100, 100)) == LIMBS["left" if left_scale > 100 else "right"]


def test_drawing_only_what_changes_equals_drawing_everything(sample_data) -> None:
    joints = np.load(sample_data / "humanml3d" / "new_joints" / "012314.npy")
    scene = scene_of(joints)
    camera = scene.camera
    for frame, picture in zip((0, 60, 169), render(scene, (0, 60, 169)), strict=True):
        whole = draw_floor(joints, scene.bone_length, camera, scene.size)
        draw = ImageDraw.Draw(whole)
        ground = camera.project(on_floor(joints[frame]))
        draw_shadow(draw, ground, float(np.sin(ELEVATION)), scene.bone_length)
        draw_figure(draw, camera.project(joints[frame]), scene.body, scene.bone_length)
        expected = np.asarray(whole.reduce(OVERSAMPLE))[:290]  # above the clock
        assert np.array_equal(np.asarray(picture)[:290], expected)


@pytest.mark.parametrize("scale", [0.0, 1e-4, 1e6, 1e30])
def test_any_finite_motion_can_be_drawn(scale: float) -> None:
    joints = np.random.default_rng(0).normal(size=(4, 22, 3)) * scale
    pictures = list(render(scene_of(joints), range(4)))
    assert [picture.size for picture in pictures] == [(320, 320)] * 4
