"""ASF and AMC files: every dialect against SciPy, real trials, broken files, limits, and work."""

import itertools
import os
import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.data.acclaim import skeleton as skeleton_module
from lead.data.acclaim import text as text_module
from lead.data.acclaim import values as values_module
from lead.data.acclaim.motion import find_skeleton, read_acclaim, read_acclaim_header
from lead.data.acclaim.skeleton import read_skeleton
from lead.data.bvh.joints import bvh_to_joints
from lead.data.bvh.kinematics import forward_kinematics
from lead.data.bvh.parser import read_bvh
from lead.data.bvh.resampling import resample
from lead.data.bvh.skeleton_maps import end_site_list


def points(motion, fps: float) -> dict[str, np.ndarray]:
    """Joints and end sites (``end NAME``) in the file's units, by the reader's own kinematics."""
    turned, placed = forward_kinematics(motion.parents, *resample(motion, fps))
    found = {name: placed[:, joint] for joint, name in enumerate(motion.names)}
    for joint, offset in end_site_list(motion):
        found[f"end {motion.names[joint]}"] = placed[:, joint] + turned[:, joint] @ offset
    return found


DIALECTS = {
    "cmu": dict(),
    "radians": dict(asf_radians=True, amc_angle=":RADIANS"),
    "radians in the motion only": dict(amc_angle=":radians"),
    "degrees in the motion only": dict(asf_radians=True, amc_angle=":DEGREES"),
    "unit by the skeleton": dict(asf_radians=True, amc_angle=None),
    "crlf": dict(newline="\r\n"),
    "cr": dict(newline="\r", indent="\t"),
    "comments": dict(comments=True),
    "not fully specified": dict(keyword=":SAMPLED"),
    "no keywords": dict(keyword="", amc_angle=None),
    "some dofs": dict(dofs=("rx", "rz")),
    "one dof": dict(dofs=("ry",)),
    "bones at rest": dict(without_dof=("lhipjoint", "lfoot", "head", "thorax", "ltoes")),
    "bones that are not named": dict(keyword="", missing=("lfoot", "head", "thorax")),
    "root without turns": dict(root_order=("TX", "TY", "TZ")),
    "root mixed": dict(root_order=("rz", "tx", "ry", "tz", "rx", "ty")),
    "metres": dict(length=0.0254),
    "inches": dict(length=1.0),
}
DIALECTS |= {
    f"axes {''.join(order)}": dict(
        axis_order="".join(order), dofs=tuple(f"r{axis.lower()}" for axis in reversed(order))
    )
    for order in itertools.permutations("XYZ")
}


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_stands_where_rotations_of_another_library_put_it(
    name, tmp_path, acclaim_figure
):
    figure = acclaim_figure(**DIALECTS[name], seed=len(name))
    motion = read_acclaim(figure.write(tmp_path), fps=120.0)
    expected = figure.starts()
    found = points(motion, fps=120.0)
    assert set(motion.names) == {"root", *figure.bones}
    assert motion.fps == 120
    assert motion.metres_per_unit == pytest.approx(figure.metres)
    for bone, place in found.items():
        np.testing.assert_allclose(place, expected[bone], atol=1e-9 * 1e3, err_msg=bone)


@pytest.mark.parametrize("length", [0.0254, 0.45, 1.0])
def test_a_person_comes_out_in_metres_whatever_the_unit(length, tmp_path, acclaim_figure):
    figure = acclaim_figure(frames=13, length=length)
    joints = bvh_to_joints(read_acclaim(figure.write(tmp_path)))
    assert joints.shape == (3, 22, 3)
    thigh = np.linalg.norm(joints[:, 4] - joints[:, 1], axis=-1)
    np.testing.assert_allclose(thigh, np.hypot(0.14, 0.39), rtol=1e-5)


def test_every_sixth_frame_is_that_frame(tmp_path, acclaim_figure):
    """120 frames a second to 20 without interpolation; other rates go between them."""
    motion = read_acclaim(acclaim_figure(frames=25).write(tmp_path))
    whole, sixth = points(motion, fps=120.0), points(motion, fps=20.0)
    for bone in whole:
        np.testing.assert_array_equal(sixth[bone], whole[bone][::6])


def test_bones_may_stand_in_any_order_in_a_frame(tmp_path, acclaim_figure):
    path = acclaim_figure().write(tmp_path)
    before = read_acclaim(path).values
    lines = path.read_text().splitlines()
    blocks = [list(block) for _, block in itertools.groupby(lines[2:], key=str.isdigit)]
    for block in blocks[1::2]:
        random.Random(0).shuffle(block)
    path.write_text("\n".join([*lines[:2], *itertools.chain(*blocks)]))
    np.testing.assert_array_equal(read_acclaim(path).values, before)


def test_frames_may_begin_at_any_number(tmp_path, acclaim_figure):
    path = acclaim_figure(frames=3).write(tmp_path)
    before = read_acclaim(path).values
    renamed = {"1": "98", "2": "99", "3": "100"}
    lines = [renamed.get(line, line) for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(read_acclaim(path).values, before)
    assert read_acclaim_header(path).frames == 3


# -- the work ------------------------------------------------------------------------------------


def test_the_work_of_python_does_not_grow_with_the_frames(tmp_path, acclaim_figure):
    """Numbers are converted a column at a time: the same calls for 20 frames and for 2,000."""
    calls = {}
    for frames in (20, 2000):
        path = acclaim_figure(frames=frames).write(tmp_path / str(frames))
        calls[frames] = 0

        def count(*_, frames=frames):
            calls[frames] += 1

        sys.setprofile(count)
        try:
            bvh_to_joints(read_acclaim(path))
        finally:
            sys.setprofile(None)
    assert calls[2000] < 1.1 * calls[20]


def test_headers_are_known_without_the_numbers(tmp_path, monkeypatch, acclaim_figure):
    path = acclaim_figure(frames=400, newline="\r\n", comments=True).write(tmp_path)
    whole = read_acclaim(path)
    monkeypatch.setattr(values_module, "read_plain", lambda *_: pytest.fail("read all of it"))
    header = read_acclaim_header(path)
    assert header.frames == 400
    assert header.hierarchy.names == whole.names
    assert header.hierarchy.channels == whole.channels


# -- which skeleton ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skeletons", "motion", "expected"),
    [
        (["02", "20"], "02_01", "02"),
        (["HDM_bd", "HDM_bk"], "HDM_bd_01-01_01_120", "HDM_bd"),
        (["HDM", "HDM_bd"], "HDM_bd_01", "HDM_bd"),
        (["person"], "02_01", "person"),
        (["1", "13"], "13_29", "13"),
        (["WALK", "RUN"], "walk", "WALK"),
    ],
)
def test_the_skeleton_is_the_one_that_the_name_begins_with(skeletons, motion, expected, tmp_path):
    for name in skeletons:
        (tmp_path / f"{name}.asf").touch()
    assert find_skeleton(tmp_path / f"{motion}.amc").stem == expected


@pytest.mark.parametrize("skeletons", [[], ["1", "3"], ["12", "013"]])
def test_no_skeleton_is_guessed(skeletons, tmp_path):
    for name in skeletons:
        (tmp_path / f"{name}.asf").touch()
    with pytest.raises(RequestError, match=r"13_29\.amc: .*13\.asf"):
        find_skeleton(tmp_path / "13_29.amc")


# -- real trials ---------------------------------------------------------------------------------

ACCLAIM_CHECK = {
    0: "root", 1: "lfemur", 2: "rfemur", 3: "upperback", 4: "ltibia", 5: "rtibia", 6: "thorax",
    7: "lfoot", 8: "rfoot", 9: "lowerneck", 10: "ltoes", 11: "rtoes", 12: "upperneck",
    13: "lclavicle", 14: "rclavicle", 15: "end head", 16: "lhumerus", 17: "rhumerus",
    18: "lradius", 19: "rradius", 20: "lhand", 21: "rhand",
}  # fmt: skip
DAZ_CHECK = {
    0: "hip", 1: "lThigh", 2: "rThigh", 3: "abdomen", 4: "lShin", 5: "rShin", 6: "chest",
    7: "lFoot", 8: "rFoot", 10: "end lFoot", 11: "end rFoot", 12: "neck", 13: "lCollar",
    14: "rCollar", 15: "head", 16: "lShldr", 17: "rShldr", 18: "lForeArm", 19: "rForeArm",
    20: "lHand", 21: "rHand",
}  # fmt: skip


@pytest.mark.parametrize(
    "trial",
    ["02_06", "49_18", "127_12", "16_11", "135_02", "13_30", "06_08", "01_01"],
)
def test_real_trials_agree_with_an_independent_reader(trial, cmu_folder, sample_data):
    """Shapes, up to one scale and one shift upwards per trial."""
    with np.load(sample_data / "cmu" / "joints_check.npz") as file:
        expected = file[trial]
    path = cmu_folder / f"{trial}.amc"
    if path.exists():
        found, names = points(read_acclaim(path), fps=20.0), ACCLAIM_CHECK
    else:
        motion = read_bvh(cmu_folder / f"{trial}.bvh")
        after_t_pose = type(motion)(**(vars(motion) | {"values": motion.values[1:]}))
        found, names = points(after_t_pose, fps=20.0), DAZ_CHECK
    places = np.stack([found[name][: len(expected)] for name in names.values()], axis=1)
    expected = expected[:, list(names)]
    from_root, expected_from_root = places - places[:, :1], expected - expected[:, :1]
    scale = (from_root * expected_from_root).sum() / (from_root**2).sum()
    np.testing.assert_allclose(scale * from_root, expected_from_root, atol=2e-6)
    shift = expected[:, 0] - scale * places[:, 0]
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0] * [0, 1, 0], shift.shape), atol=5e-6)


# -- broken files --------------------------------------------------------------------------------


def line_of(lines: list[str], start: str) -> int:
    """Index of the first line that begins like this."""
    return next(index for index, line in enumerate(lines) if line.strip().startswith(start))


def edit_line(start: str, new: str | None, offset: int = 0):
    """An edit of a file's lines: the one that begins so is replaced, or goes (None)."""

    def edit(lines: list[str]) -> int:
        index = line_of(lines, start) + offset
        lines[index : index + 1] = [] if new is None else [new]
        return index + 1

    return edit


def add_line(start: str, new: str):
    """An edit that puts a line in front of the one that begins so."""

    def edit(lines: list[str]) -> int:
        lines.insert(line_of(lines, start), new)
        return line_of(lines, start)

    return edit


BROKEN_ASF = {
    "unknown unit of angles": (edit_line("angle", "angle turns"), "angle takes deg or rad"),
    "no number": (edit_line("length 0.45", "length wide"), "length takes numbers"),
    "unit of nothing": (edit_line("length 0.45", "length 0"), "unit of length"),
    "infinite": (edit_line("direction", "direction inf 0 0"), "direction takes numbers"),
    "huge": (edit_line("direction", "direction 1e200 0 0"), "direction takes numbers"),
    "NaN": (edit_line("direction", "direction nan 0 0"), "direction takes numbers"),
    "two numbers": (edit_line("direction", "direction 1 0"), "direction takes 3"),
    "order of axes": (edit_line("axis", "axis 0 0 0 XYX", 0), None),
    "order of a bone's axes": (edit_line("direction", "axis 0 0 0 XXZ", 2), "axis takes three"),
    "unknown dof": (edit_line("dof", "dof rx rw"), "found 'rw'"),
    "stretching dof": (edit_line("dof", "dof rx l"), "found 'l'"),
    "same dof twice": (edit_line("dof", "dof rx rx"), "twice"),
    "root's order": (edit_line("order", "order TX TY QZ"), "found 'qz'"),
    "turned root": (edit_line("orientation", "orientation 0 90 0"), "orientation of the root"),
    "second name": (edit_line("name upperback", "name lowerback"), "second bone 'lowerback'"),
    "bone called root": (edit_line("name upperback", "name root"), "second bone 'root'"),
    "keyword twice": (add_line("name upperback", "name x"), None),
    "no begin": (edit_line("begin", "start"), "'begin' of a bone"),
    "section twice": (add_line(":hierarchy", ":root"), "second :root"),
    "unknown child": (edit_line("thorax", "thorax tail"), "'tail' is not in :bonedata"),
    "unknown parent": (edit_line("thorax", "tail lowerneck"), "'tail' is not in :bonedata"),
    "second parent": (add_line("lowerback upperback", "thorax upperback"), None),
    "root below a bone": (edit_line("thorax", "thorax root"), "circle"),
    "not an ASF file": (lambda lines: lines.insert(0, "HIERARCHY") or 1, "no ASF file"),
}


@pytest.mark.parametrize("name", BROKEN_ASF)
def test_a_broken_skeleton_is_told_with_its_line(name, tmp_path, acclaim_figure):
    edit, words = BROKEN_ASF[name]
    path = acclaim_figure(indent="").write(tmp_path)
    skeleton = tmp_path / "01.asf"
    lines = skeleton.read_text().splitlines()
    line = edit(lines)
    skeleton.write_text("\n".join(lines))
    if name == "order of axes":  # of the root, which has its turns in another place
        read_acclaim(path)
        return
    with pytest.raises(RequestError) as caught:
        read_acclaim(path)
    assert words is None or words in str(caught.value)
    assert str(caught.value).startswith(f"{skeleton}:")
    if words is not None:
        assert str(caught.value).startswith(f"{skeleton}:{line}:")
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(
    ("hierarchy", "words"),
    [
        (["root lowerback", "upperback thorax", "thorax upperback"], "hangs on nothing"),
        (["lowerback root"], "circle"),
        (["lowerback upperback", "upperback lowerback"], "hangs on nothing"),
        ([], "hangs on nothing"),
        (["lowerback lowerback"], "hangs on nothing"),
    ],
)
def test_circles_and_lost_bones_are_told(hierarchy, words, tmp_path, acclaim_figure):
    path = acclaim_figure(indent="").write(tmp_path)
    skeleton = tmp_path / "01.asf"
    lines = skeleton.read_text().splitlines()
    lines = lines[: line_of(lines, ":hierarchy") + 1]
    skeleton.write_text("\n".join([*lines, "begin", *hierarchy, "end"]))
    with pytest.raises(RequestError, match=words):
        read_acclaim(path)


@pytest.mark.parametrize("section", [":root", ":bonedata", ":hierarchy"])
def test_a_missing_section_is_told(section, tmp_path, acclaim_figure):
    path = acclaim_figure(indent="").write(tmp_path)
    skeleton = tmp_path / "01.asf"
    lines = skeleton.read_text().splitlines()
    start = line_of(lines, section)
    after = next((n for n in range(start + 1, len(lines)) if lines[n][0] == ":"), len(lines))
    skeleton.write_text("\n".join(lines[:start] + lines[after:]))
    with pytest.raises(RequestError, match=f"{skeleton}.*without {section}"):
        read_acclaim(path)


BROKEN_AMC = {
    "no number": (edit_line("lfemur", "lfemur 1 2 x"), "'lfemur' takes numbers"),
    "NaN": (edit_line("lfemur", "lfemur 1 2 nan"), "'lfemur' takes numbers"),
    "infinite": (edit_line("lfemur", "lfemur 1 2 -inf"), "'lfemur' takes numbers"),
    "beyond floats": (edit_line("lfemur", "lfemur 1 2 1e400"), "'lfemur' takes numbers"),
    "huge": (edit_line("lfemur", "lfemur 1 2 1e30"), "'lfemur' takes numbers"),
    "broken NaN of a compiler": (edit_line("lfemur", "lfemur 1 2 1.#QNAN"), "takes numbers"),
    "grouped digits": (edit_line("lfemur", "lfemur 1 2 1_0"), "'lfemur' takes numbers"),
    "hexadecimal": (edit_line("lfemur", "lfemur 1 2 0x1f"), "'lfemur' takes numbers"),
    "two of three": (edit_line("lfemur", "lfemur 1 2"), "has 2 numbers, the skeleton has 3"),
    "four of three": (edit_line("lfemur", "lfemur 1 2 3 4"), "has 4 numbers, the skeleton has 3"),
    "unknown bone": (edit_line("lfemur", "tail 1 2 3"), "'tail' is not in the skeleton"),
    "bone without dof": (edit_line("lfemur", "lhipjoint 1 2 3"), "'lhipjoint' is not in"),
    "bone twice": (edit_line("lfemur", "root 1 2 3 4 5 6"), "'root' twice in frame 1"),
    "frame left out": (edit_line("3", "4"), "frame 3 expected, found '4'"),
    "frame twice": (edit_line("3", "2"), "frame 3 expected, found '2'"),
    "text in front": (add_line("1", "Frames: 5"), ":KEYWORD or the first frame's number"),
}


@pytest.mark.parametrize("name", BROKEN_AMC)
def test_a_broken_motion_is_told_with_its_line(name, tmp_path, acclaim_figure):
    edit, words = BROKEN_AMC[name]
    path = acclaim_figure().write(tmp_path)
    lines = path.read_text().splitlines()
    line = edit(lines)
    path.write_text("\n".join(lines))
    with pytest.raises(RequestError) as caught:
        read_acclaim(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("keyword", [":FULLY-SPECIFIED", ":SAMPLED"])
def test_a_bone_that_one_frame_lacks_is_told(keyword, tmp_path, acclaim_figure):
    """Only what no frame names is at rest, and that only where the file does not promise all."""
    path = acclaim_figure(keyword=keyword).write(tmp_path)
    lines = path.read_text().splitlines()
    second = line_of(lines, "2")
    index = next(n for n in range(second, len(lines)) if lines[n].startswith("thorax"))
    path.write_text("\n".join(lines[:index] + lines[index + 1 :]))
    with pytest.raises(RequestError, match="frame 2 ends without bone 'thorax'"):
        read_acclaim(path)


def test_a_file_that_promises_all_bones_has_to_have_them(tmp_path, acclaim_figure):
    path = acclaim_figure(missing=("head",)).write(tmp_path)
    with pytest.raises(RequestError, match="frame 1 ends without bone 'head'"):
        read_acclaim(path)


def test_a_motion_of_another_skeleton_is_told(tmp_path, acclaim_figure):
    path = acclaim_figure().write(tmp_path)
    acclaim_figure(dofs=("rx",)).write(tmp_path / "other", skeleton="02")
    with pytest.raises(RequestError, match="has 3 numbers, the skeleton has 1"):
        read_acclaim(path, tmp_path / "other" / "02.asf")


WORDS = [
    *("nan", "inf", "1e309", "-1e20", "0x10", "1_0", "1.#QNAN", "#", "begin", "end", ":root"),
    *(":bonedata", ":hierarchy", "root", "lfemur", "-1", "9" * 500, "9" * 5000, "rx", "tx"),
    *("\u0661", "\x00", "\x85", "\x0c", "()", "a" * 300, "\ufeff", "99999999999"),
]


def mutate(rng: random.Random, data: bytes) -> bytes:
    """One of the ways in which files break."""
    lines = data.split(b"\n")
    here, there = rng.randrange(len(lines)), rng.randrange(len(lines))
    words = lines[here].split() or [b""]
    word = rng.randrange(len(words))
    kind = rng.randrange(8)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        byte = rng.randrange(len(data))
        return data[:byte] + bytes([rng.randrange(256)]) + data[byte + 1 :]
    if kind == 2:
        lines[here], lines[there] = lines[there], lines[here]
    elif kind == 3:
        del lines[here]
    elif kind == 4:
        lines.insert(here, lines[there])
    elif kind == 5:
        words[word] = rng.choice(WORDS).encode()
    elif kind == 6:
        words.insert(word, rng.choice(WORDS).encode())
    else:
        del words[word]
    if kind >= 5:
        lines[here] = b" ".join(words)
    return b"\n".join(lines)


@pytest.mark.parametrize("seed", range(2))
def test_malformed_files_are_read_or_told_in_one_line(seed, tmp_path, acclaim_figure):
    path = acclaim_figure(frames=2).write(tmp_path)
    skeleton = tmp_path / "01.asf"
    asf, amc = skeleton.read_bytes(), path.read_bytes()
    rng = random.Random(seed)
    told = 0
    for _ in range(150):
        broken = [asf, amc]
        for _ in range(rng.choice((1, 1, 2, 4))):
            which = rng.randrange(2)
            broken[which] = mutate(rng, broken[which])
        skeleton.write_bytes(broken[0])
        path.write_bytes(broken[1])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                bvh_to_joints(read_acclaim(path), fps=120.0)
        except RequestError as error:
            told += 1
            assert "\n" not in str(error) and str(error).isprintable()
            assert len(str(error).replace(str(tmp_path), "")) <= 200
    assert told > 75


# -- limits --------------------------------------------------------------------------------------


def test_a_skeleton_of_too_many_bones_is_told_before_it_is_built(
    tmp_path, monkeypatch, acclaim_figure
):
    path = acclaim_figure().write(tmp_path)
    monkeypatch.setattr(skeleton_module, "MAX_BONES", 10)
    with pytest.raises(RequestError, match=r"01\.asf:\d+: more than 10 bones"):
        read_acclaim(path)


def test_too_many_frames_are_told(tmp_path, monkeypatch, acclaim_figure):
    path = acclaim_figure(frames=12).write(tmp_path)
    monkeypatch.setattr(values_module, "MAX_FRAMES", 10)
    with pytest.raises(RequestError, match=r"01_01\.amc:\d+: more than 10 frames"):
        read_acclaim(path)
    with pytest.raises(RequestError, match="12 frames by their numbers, 10 are the most"):
        read_acclaim_header(path)


@pytest.mark.parametrize("limit", ["AMC_BYTES", "ASF_BYTES"])
def test_too_large_files_are_told_unread(limit, tmp_path, monkeypatch, acclaim_figure):
    path = acclaim_figure().write(tmp_path)
    module = values_module if limit == "AMC_BYTES" else skeleton_module
    monkeypatch.setattr(module, limit, 100)
    broken = path if limit == "AMC_BYTES" else tmp_path / "01.asf"
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: pytest.fail("read") if self == broken else read(self)
    )
    with pytest.raises(RequestError, match="100 are the most"):
        read_acclaim(path)


@pytest.mark.parametrize("suffix", ["asf", "amc"])
def test_too_long_lines_are_told(suffix, tmp_path, acclaim_figure):
    path = acclaim_figure().write(tmp_path)
    broken = next(tmp_path.glob(f"*.{suffix}"))
    broken.write_text(broken.read_text() + "9" * (text_module.LINE_BYTES + 1) + "\n")
    with pytest.raises(RequestError, match=rf"{broken.name}:\d+: a line of 4097 bytes"):
        read_acclaim(path)


@pytest.mark.parametrize("suffix", ["asf", "amc"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "nothing", "loop", "empty", "comment"])
def test_only_regular_files_are_read(kind, suffix, tmp_path, acclaim_figure):
    path = acclaim_figure().write(tmp_path)
    skeleton = tmp_path / "01.asf"
    broken = skeleton if suffix == "asf" else path
    broken.unlink()
    if kind == "pipe":
        os.mkfifo(broken)
    elif kind == "folder":
        broken.mkdir()
    elif kind == "loop":
        broken.symlink_to(broken)
    elif kind in ("empty", "comment"):
        broken.write_text("\n# nothing\n" if kind == "comment" else "")
    with pytest.raises(RequestError, match=broken.name):
        read_acclaim(path, skeleton)


def test_a_skeleton_knows_its_bones(tmp_path, acclaim_figure):
    acclaim_figure().write(tmp_path)
    bones = {bone.name: bone for bone in read_skeleton(tmp_path / "01.asf").bones}
    assert bones["root"].parent == -1
    assert bones["lfemur"].dof == ("rx", "ry", "rz")
    assert bones["lhipjoint"].dof == ()
