"""BVH parser: what is written comes back, and broken files are named with their line."""

import math
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead.core.errors import RequestError
from lead.data.bvh.parser import frame_rate, read_bvh, read_bvh_header

POSITIONS = ["Xposition", "Yposition", "Zposition"]
ROTATIONS = ["Xrotation", "Yrotation", "Zrotation"]

GOOD = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Head
  {
    OFFSET 0 10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 5 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.05
1 2 3 4 5 6 7 8 9
10 11 12 13 14 15 16 17 18
"""


@dataclass
class Written:
    names: list[str]
    parents: list[int]
    offsets: list[list[float]]
    sites: dict[int, list[list[float]]]
    channels: list[list[str]]
    values: list[list[float]]
    frame_time: float


@dataclass
class Spelling:
    newline: str
    indent: str
    separator: str
    keyword: object  # how keywords are cased
    number: object  # how numbers are written
    trailing_newline: bool
    blank_lines: bool
    frames_colon: str
    row_width: int | None  # numbers per line; None: one row per frame
    brace_on_line: bool


numbers = st.floats(-1e6, 1e6, allow_nan=False, width=32)
names = st.text("abcXYZ019_:- .", min_size=1, max_size=9).filter(
    lambda name: name.strip() and "  " not in name and name == name.strip()
)


@st.composite
def motions(draw) -> Written:
    joints = draw(st.integers(1, 7))
    parents = [-1] + [draw(st.integers(0, joint - 1)) for joint in range(1, joints)]
    order = depth_first(parents)
    parents = [-1 if parents[old] < 0 else order.index(parents[old]) for old in order]
    channels = []
    for joint in range(joints):
        pool = draw(st.permutations(POSITIONS + ROTATIONS))
        channels.append(pool[: draw(st.integers(1 if joint == 0 else 0, 6))])
    width = sum(map(len, channels))
    frames = draw(st.integers(1, 4))
    triple = st.lists(numbers, min_size=3, max_size=3)
    return Written(
        names=[draw(names) for _ in range(joints)],
        parents=parents,
        offsets=[draw(triple) for _ in range(joints)],
        sites={
            joint: draw(st.lists(triple, min_size=1, max_size=3))
            for joint in range(joints)
            if draw(st.booleans())
        },
        channels=channels,
        values=[draw(st.lists(numbers, min_size=width, max_size=width)) for _ in range(frames)],
        frame_time=draw(st.floats(1e-4, 2.0)),
    )


def depth_first(parents: list[int]) -> list[int]:
    """The order in which a BVH file lists the joints of a tree."""
    found: list[int] = []

    def visit(joint: int) -> None:
        found.append(joint)
        for child, parent in enumerate(parents):
            if parent == joint:
                visit(child)

    visit(0)
    return found


spellings = st.builds(
    Spelling,
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    indent=st.sampled_from(["", "  ", "\t"]),
    separator=st.sampled_from([" ", "\t", "   "]),
    keyword=st.sampled_from([str, str.upper, str.lower, str.title]),
    number=st.sampled_from([repr, "{:.17e}".format, "{:+.17E}".format]),
    trailing_newline=st.booleans(),
    blank_lines=st.booleans(),
    frames_colon=st.sampled_from([": ", ":\t", ":", " : "]),
    row_width=st.sampled_from([None, None, 1, 2, 5]),
    brace_on_line=st.booleans(),
)


class Writer:
    """Writes one motion in one spelling."""

    def __init__(self, motion: Written, how: Spelling):
        self.motion, self.how = motion, how
        self.lines = [how.keyword("HIERARCHY")]

    def add(self, depth, text):
        self.lines.append(self.how.indent * depth + text)
        if self.how.blank_lines:
            self.lines.append(self.how.indent)

    def open_brace(self, depth, text):
        if self.how.brace_on_line:
            self.add(depth, f"{text} {{")
        else:
            self.add(depth, text)
            self.add(depth, "{")

    def numbers(self, depth, keyword, values):
        words = [self.how.keyword(keyword)] if keyword else []
        self.add(depth, self.how.separator.join([*words, *map(self.how.number, values)]))

    def joint(self, index, depth):
        motion, keyword = self.motion, self.how.keyword
        kind = keyword("ROOT" if index == 0 else "JOINT")
        self.open_brace(depth, f"{kind}{self.how.separator}{motion.names[index]}")
        self.numbers(depth + 1, "OFFSET", motion.offsets[index])
        channels = [keyword(name) for name in motion.channels[index]]
        words = [keyword("CHANNELS"), str(len(channels)), *channels]
        self.add(depth + 1, self.how.separator.join(words))
        for site in motion.sites.get(index, []):
            self.open_brace(depth + 1, keyword("End Site"))
            self.numbers(depth + 2, "OFFSET", site)
            self.add(depth + 1, "}")
        for child, parent in enumerate(motion.parents):
            if parent == index:
                self.joint(child, depth + 1)
        self.add(depth, "}")

    def rows(self):
        rows, width = self.motion.values, self.how.row_width
        flat = [value for row in rows for value in row]
        if width is None or -(-len(flat) // width) == len(rows):
            return rows  # as many lines as frames, but cut elsewhere, would be an uneven file
        return [flat[at : at + width] for at in range(0, len(flat), width)]

    def write(self) -> bytes:
        self.joint(0, 0)
        how, frames = self.how, len(self.motion.values)
        self.add(0, how.keyword("MOTION"))
        self.add(0, f"{how.keyword('Frames')}{how.frames_colon}{frames}")
        time = how.number(self.motion.frame_time)
        self.add(0, f"{how.keyword('Frame Time')}{how.frames_colon}{time}")
        for row in self.rows():
            self.numbers(0, "", row)
        text = how.newline.join(self.lines)
        return (text + (how.newline if how.trailing_newline else "")).encode()


@given(motions(), spellings)
def test_what_is_written_comes_back(tmp_path_factory, motion, how):
    path = tmp_path_factory.mktemp("bvh") / "any.bvh"
    path.write_bytes(Writer(motion, how).write())
    read = read_bvh(path)
    assert list(read.names) == [" ".join(name.split()) for name in motion.names]
    assert list(read.parents) == motion.parents
    np.testing.assert_array_equal(read.offsets, motion.offsets)
    assert {joint: [list(site) for site in sites] for joint, sites in read.end_sites.items()} == (
        motion.sites
    )
    assert [list(channels) for channels in read.channels] == motion.channels
    np.testing.assert_array_equal(read.values, motion.values)
    assert read.frame_time == motion.frame_time

    header = read_bvh_header(path)
    assert header.hierarchy.names == read.names
    assert header.hierarchy.channels == read.channels
    assert (header.frames, header.frame_time) == (len(motion.values), motion.frame_time)


def test_byte_order_mark_and_names_in_other_scripts(tmp_path):
    path = tmp_path / "names.bvh"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("Head", "頭").encode())
    assert read_bvh(path).names == ("Hips", "頭")


def test_header_is_read_from_long_files_without_their_numbers(tmp_path):
    joint = "JOINT J{0}\n{{\nOFFSET 0 1 0\nCHANNELS 1 Xrotation\n"
    many = 2000  # a header longer than the first read
    text = "HIERARCHY\nROOT R\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n"
    text += "".join(joint.format(n) for n in range(many)) + "}\n" * (many + 1)
    path = tmp_path / "long.bvh"
    path.write_text(text + "MOTION\nFrames: 70000\nFrame Time: 0.01\nnot a number\n" * 1)
    header = read_bvh_header(path)
    assert (len(header.hierarchy.names), header.frames) == (many + 1, 70000)


@pytest.mark.parametrize(
    ("printed", "rate"),
    [
        *((0.0333333, 30), (0.033333, 30), (0.0333, 30), (1 / 30, 30), (0.0083333, 120)),
        *((0.00833333, 120), (0.016666, 60), (0.01667, 60), (0.05, 20), (0.041667, 24), (1.0, 1)),
    ],
)
def test_frame_times_printed_with_few_digits_mean_whole_rates(printed, rate):
    assert frame_rate(printed) == rate


@pytest.mark.parametrize("printed", [0.033367, 0.04004004, 0.0301])
def test_rates_that_are_not_whole_stay(printed):
    assert frame_rate(printed) == pytest.approx(1 / printed)


MALFORMED = {
    "empty": ("", 1, "empty"),
    "only blanks": (" \n\n\t\n", 1, "empty"),
    "not a BVH": ("solid cube\nfacet\n", 1, "HIERARCHY"),
    "no ROOT": (GOOD.replace("ROOT", "JOINT"), 2, "ROOT expected"),
    "truncated hierarchy": (GOOD[: GOOD.index("End Site")], 9, "ends where"),
    "no MOTION": (GOOD[: GOOD.index("MOTION")], 15, "truncated"),
    "no Frames": (GOOD[: GOOD.index("Frames")], 16, "'Frames:' expected"),
    "Frames misspelt": (GOOD.replace("Frames:", "Frame count:"), 17, "'Frames:' expected"),
    "no Frame Time": (GOOD.replace("Frame Time: 0.05\n", ""), 18, "'Frame Time:' expected"),
    "no rows": (GOOD[: GOOD.index("1 2 3 4")], 19, "truncated"),
    "ends inside a row": (GOOD[: GOOD.index("16 17")], 20, "6 of 9"),
    "missing row": (GOOD[: GOOD.index("10 11")], 19, "1 rows follow"),
    "extra row": (GOOD + "1 2 3 4 5 6 7 8 9\n", 21, "more rows follow"),
    "short row": (GOOD.replace("7 8 9\n", "7 8\n"), 19, "row of 8 values"),
    "long row": (GOOD.replace("7 8 9\n", "7 8 9 9\n"), 19, "row of 10 values"),
    "uneven rows, right total": (
        GOOD.replace("7 8 9\n10", "7 8 9 10\n"),
        19,
        "row of 10 values",
    ),
    "a word among numbers": (GOOD.replace("13 14", "13 x14"), 20, "'x14'"),
    "NaN": (GOOD.replace("13 14", "13 nan"), 20, "'nan'"),
    "infinity": (GOOD.replace("13 14", "13 -inf"), 20, "'-inf'"),
    "overflow": (GOOD.replace("13 14", "13 1e999"), 20, "'1e999'"),
    "comma decimals": (GOOD.replace("4 5 6", "4 5,5 6"), 19, "'5,5'"),
    "zero frames": (GOOD.replace("Frames: 2", "Frames: 0"), 17, "Frames takes"),
    "negative frames": (GOOD.replace("Frames: 2", "Frames: -2"), 17, "Frames takes"),
    "absurd frames": (GOOD.replace("Frames: 2", "Frames: " + "9" * 5000), 17, "Frames takes"),
    "many frames": (GOOD.replace("Frames: 2", "Frames: 999999999"), 20, "2 rows follow"),
    "frame time zero": (GOOD.replace("0.05", "0"), 18, "Frame Time takes"),
    "frame time negative": (GOOD.replace("0.05", "-0.05"), 18, "Frame Time takes"),
    "frame time NaN": (GOOD.replace("0.05", "nan"), 18, "Frame Time takes"),
    **{
        f"frame time {time}": (GOOD.replace("0.05", time), 18, "Frame Time takes seconds from")
        for time in (
            "5e-324",
            "1e-300",
            "9e-6",
            "10.1",
            "900",
            "10001",
            "1e308",
            "inf",
            "0x1",
            "1_0",
        )
    },
    **{
        f"the number {number}": (GOOD.replace("13 14", f"13 {number}"), 20, f"'{number[:40]}'")
        for number in ("1e10", "-1e38", "1e200", "1" * 5000, "1_000", "0x1F", "\x00", "½")
    },
    **{
        f"the offset {number}": (GOOD.replace("0 10 0", f"0 {number} 0"), 8, f"'{number[:40]}")
        for number in ("1e10", "-1e38", "1e200", "inf", "\x00")
    },
    "a name of a million letters": (
        GOOD.replace("JOINT Head\n  {", "JOINT " + "H" * 10**6),
        7,
        "'{'",
    ),
    "no MOTION in a million characters": (GOOD.replace("MOTION", "\n" * 2**20), 1, "1048576"),
    "a keyword of a million letters": (GOOD.replace("JOINT Head", "B" * 10**6), 6, "found 'BBB"),
    "a line of a million numbers": (GOOD.replace("10 11", "0 " * 2**19 + "11"), 20, "1048576"),
    "frame time missing": (GOOD.replace("0.05", ""), 18, "Frame Time takes"),
    "unknown channel": (GOOD.replace("3 Zrotation", "3 Zrotatoin"), 9, "did you mean 'Zrotation'"),
    "channel count too high": (GOOD.replace("CHANNELS 3", "CHANNELS 4"), 10, "unknown channel"),
    "channel count too low": (GOOD.replace("CHANNELS 3", "CHANNELS 2"), 9, "'Yrotation'"),
    "absurd channel count": (GOOD.replace("CHANNELS 3", "CHANNELS 99999"), 9, "from 0 to 6"),
    "channel count not a number": (GOOD.replace("CHANNELS 3", "CHANNELS x"), 9, "from 0 to 6"),
    "position twice": (GOOD.replace("Yposition", "Xposition"), 5, "position twice"),
    "offset with a word": (GOOD.replace("0 10 0", "0 ten 0"), 8, "'ten'"),
    "offset NaN": (GOOD.replace("0 10 0", "0 nan 0"), 8, "'nan'"),
    "offset of two numbers": (GOOD.replace("0 10 0", "0 10"), 9, "three finite numbers"),
    "no offset": (GOOD.replace("    OFFSET 0 10 0\n", ""), 13, "no OFFSET"),
    "two offsets": (GOOD.replace("OFFSET 0 10 0", "OFFSET 0 1 0 OFFSET 0 1 0"), 8, "second OFFSET"),
    "no closing brace": (GOOD.replace("}\nMOTION", "MOTION"), 14, "'}' is expected"),
    "brace too many": (GOOD.replace("}\nMOTION", "}\n}\nMOTION"), 16, "MOTION expected, found '}'"),
    "no opening brace": (GOOD.replace("Head\n  {", "Head\n"), 8, "'{' expected"),
    "joint without a name": (GOOD.replace("JOINT Head", "JOINT"), 6, "without a name"),
    "two roots": (GOOD.replace("}\nMOTION", "}\nROOT Other\nMOTION"), 16, "second ROOT"),
    "unknown keyword": (GOOD.replace("JOINT Head", "BONE Head"), 6, "found 'BONE'"),
    "no channels at all": (re.sub(r"CHANNELS.*", "CHANNELS 0", GOOD), 17, "no joint has CHANNELS"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_named_with_their_line(tmp_path, case):
    text, line, words = MALFORMED[case]
    path = tmp_path / "broken.bvh"
    path.write_text(text)
    with pytest.raises(RequestError) as caught:
        read_bvh(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: "), message
    assert words in message.replace("found ' '", "found '\x00'").replace("is ' '", "is '\x00'")
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_lines_are_counted_with_any_line_ending(tmp_path, newline):
    path = tmp_path / "broken.bvh"
    path.write_bytes(GOOD.replace("13 14", "13 nan").replace("\n", newline).encode())
    with pytest.raises(RequestError, match=r"broken\.bvh:20: value 5 is 'nan'"):
        read_bvh(path)


def test_binary_files_are_no_bvh(tmp_path):
    path = tmp_path / "image.bvh"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    with pytest.raises(RequestError, match=r"image\.bvh:1: not a BVH text file: byte 0x89"):
        read_bvh(path)
    path.write_bytes(GOOD.encode().replace(b"13 14", b"13 \xff\xfe"))
    with pytest.raises(RequestError, match=r"image\.bvh:20: "):
        read_bvh(path)
    path.write_bytes(bytes(4096))
    with pytest.raises(RequestError, match=r"image\.bvh:1: "):
        read_bvh(path)


def test_a_deep_hierarchy_is_read(tmp_path):
    """A joint in a joint in a joint: nothing here calls itself."""
    path = tmp_path / "deep.bvh"
    joints = "JOINT J {OFFSET 0 1 0 CHANNELS 1 Xrotation " * 3000
    path.write_text(
        "HIERARCHY ROOT R {OFFSET 0 0 0 CHANNELS 1 Xrotation " + joints + "}" * 3001 + "\nMOTION\n"
        "Frames: 1\nFrame Time: 0.1\n" + "0 " * 3001 + "\n"
    )
    motion = read_bvh(path)
    assert motion.parents == tuple(range(-1, 3000))


BLANK = {  # text in which a pattern that tries every start would try for hours
    "lines before MOTION": GOOD.replace("MOTION", "\n" * 10**6 + "MOTION"),
    "lines after MOTION": GOOD.replace("MOTION", "MOTION" + "\n" * 10**6),
    "blanks before MOTION": GOOD.replace("MOTION", " " * 10**6 + "MOTION"),
    "blanks behind MOTION": GOOD.replace("MOTION", "MOTION" + " " * 10**6),
    "blanks behind the count": GOOD.replace("Frames: 2", "Frames: 2" + " " * 10**6),
    "blanks before the count": GOOD.replace("Frames: 2", "Frames:" + " " * 10**6 + "2"),
    "blanks within the time": GOOD.replace("Frame Time", "Frame" + " " * 10**6 + "Time"),
    "blanks within a row": GOOD.replace("13 14", "13" + " " * 10**6 + "14"),
}


@pytest.mark.parametrize("case", BLANK)
def test_blanks_without_end_cost_what_they_take_to_read(tmp_path, case):
    path = tmp_path / "blank.bvh"
    path.write_text(BLANK[case])
    assert read_bvh(path).values.shape == (2, 9)
    assert read_bvh_header(path).frames == 2


@pytest.mark.parametrize("width", [9, 1])
def test_there_is_a_limit_of_values(tmp_path, monkeypatch, width):
    monkeypatch.setattr("lead.data.bvh.parser.VALUES_MOST", 8 * 9)
    rows = ["1 2 3 4 5 6 7 8 9"] * 9 if width == 9 else ["1"] * 81
    path = tmp_path / "long.bvh"
    path.write_text(
        GOOD[: GOOD.index("1 2 3 4")].replace("Frames: 2", "Frames: 9") + "\n".join(rows)
    )
    with pytest.raises(RequestError, match="more than 72 values, which are the most"):
        read_bvh(path)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_long_header_is_found_with_any_line_ending(tmp_path, newline):
    path = tmp_path / "long.bvh"
    text = GOOD.replace("JOINT Head", f"JOINT Head {'x' * 2**17}") + "1 2 3 4 5 6 7 8 9\n" * 5000
    path.write_bytes(text.replace("\n", newline).encode())
    assert read_bvh_header(path).frames == 2


def fifo(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def socket_file(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def circle(path):
    path.symlink_to(path)


def huge(path):
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("read", [read_bvh, read_bvh_header])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "is missing"),
        (lambda path: path.mkdir(), "is a folder"),
        (fifo, "is no regular file"),
        (endless, "is no regular file"),
        (socket_file, "is no regular file"),
        (circle, "cannot be read"),
        (huge, "1099511627776 bytes, 268435456 are the most"),
    ],
)
def test_only_regular_files_of_a_judged_size_are_opened(tmp_path, monkeypatch, read, make, words):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path("x.bvh")
    make(path)
    with pytest.raises(RequestError, match=words):
        read(path)


@given(st.binary(max_size=200), st.integers(0, len(GOOD)))
def test_no_damage_ends_in_anything_but_a_request_error(tmp_path_factory, damage, position):
    path = tmp_path_factory.mktemp("bvh") / "damaged.bvh"
    data = GOOD.encode()
    path.write_bytes(data[:position] + damage + data[position + len(damage) :])
    try:
        motion = read_bvh(path)
    except RequestError as error:
        assert str(error).startswith(f"{path}:")
    else:
        assert np.isfinite(motion.values).all()
        assert math.isfinite(motion.fps)
