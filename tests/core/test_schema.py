"""A schema turns what comes from outside into an object, or into one line."""

import math

import pytest

from lead.core.errors import LINE_MOST, RequestError, WorkError, one_line
from lead.core.schema import ClosedSchema, Count, Finite, Positive, Schema, check, read_file


class Sample(Schema):
    fps: Positive
    frames: Count = 0
    names: list[str] = []
    inner: dict[str, dict[str, Finite]] = {}


class Written(ClosedSchema):
    pair: list[str] = []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "it has no 'fps'"),
        ([], "an object of keys and values expected"),
        (None, "an object of keys and values expected"),
        ({"fps": 0}, "'fps' takes a number greater than 0, got 0"),
        ({"fps": math.nan}, "'fps' takes a finite number, got nan"),
        ({"fps": "fast"}, "'fps' takes a number, got 'fast'"),
        ({"fps": True}, "'fps' takes a number, got true"),
        ({"fps": None}, "'fps' takes a number, got null"),
        ({"fps": 20, "frames": 1.0}, "'frames' takes a whole number, got 1.0"),
        ({"fps": 20, "frames": "3"}, "'frames' takes a whole number, got '3'"),
        ({"fps": 20, "frames": 10**300}, "got a number of many digits"),
        ({"fps": 20, "names": "a"}, "'names' takes a list, got 'a'"),
        ({"fps": 20, "names": ["a", 3]}, "'names.1' takes a text, got 3"),
        ({"fps": 20, "inner": {"a": {"b": "c"}}}, "'inner.a.b' takes a number, got 'c'"),
        ({"fps": 20, "inner": {"a\n" * 500: 1}}, "takes an object of keys and values, got 1"),
        ({"fps": [1] * 9}, "'fps' takes a number, got a list of 9"),
    ],
)
def test_mistakes_name_the_key_and_what_it_takes(value, message):
    with pytest.raises(WorkError) as error:
        check(Sample, value, "FILE", "make it again")
    text = one_line(error.value)
    assert message in text
    assert text.startswith("FILE: ")
    assert text.endswith(": make it again")
    assert len(text) <= LINE_MOST


def test_unknown_keys_are_told_where_people_write_them():
    assert check(Sample, {"fps": 20, "new": 1}, "FILE", "").fps == 20
    with pytest.raises(RequestError, match=r"unknown key 'pear', did you mean 'pair'\?"):
        check(Written, {"pear": []}, "FILE", "correct it", error=RequestError)


def test_a_file_becomes_an_object(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"fps": 20, "names": ["é"]}')
    assert read_file(Sample, path, "remake it") == Sample(fps=20, names=["é"])
    path.write_text('{"fps": -1}')
    with pytest.raises(WorkError, match=rf"{path}: 'fps' takes .*: remake it"):
        read_file(Sample, path, "remake it")


@pytest.mark.parametrize("length", [10, 299, 301, 5000])
@pytest.mark.parametrize("make", ["x".__mul__, "ab ".__mul__, "é\n\t\x07".__mul__])
def test_messages_are_one_line_of_at_most_300_characters(make, length):
    text = one_line(f"{make(length)} cannot be read: say text=WORDS")
    assert len(text) <= LINE_MOST
    assert text.isprintable()
    assert text.endswith("say text=WORDS")
