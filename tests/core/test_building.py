"""From descriptions to objects, and nothing else from a description."""

import types

import pytest
import torch

from lead.core.building import build
from lead.core.errors import LeadError, RequestError, WorkError, did_you_mean
from lead.representation.normalizer import Normalizer


class Part:
    """A part of a model, as run directories describe them."""

    def __init__(self, width: int, inner=None, layers=(), dropout: float = 0.1):
        self.width, self.inner, self.layers, self.dropout = width, inner, layers, dropout


def make_part(width: int) -> Part:
    return Part(width, dropout=0.0)


def erase(path: str) -> str:
    raise AssertionError(f"executed with {path}")


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    """A module of the package that holds the classes above, for the time of a test."""
    module = types.ModuleType("lead.fake_parts")
    for thing in (Part, make_part, erase):
        monkeypatch.setattr(thing, "__module__", "lead.fake_parts")
        setattr(module, thing.__name__, thing)
    module.make_tensor = torch.zeros  # imported from elsewhere
    module.Linear = torch.nn.Linear
    module.torch = torch
    module.make_nothing = 3
    monkeypatch.setitem(__import__("sys").modules, "lead.fake_parts", module)


PART = "lead.fake_parts.Part"


def test_plain_values_stay_as_they_are():
    value = {"a": [1, {"b": None}], "c": "lead.fake_parts.Part"}
    assert build(value) == value
    assert build(3) == 3
    assert build(("x", 2.5)) == ["x", 2.5]
    assert build(None) is None


def test_a_description_becomes_an_object_of_the_named_class():
    normalizer = build(
        {"_target_": "lead.representation.normalizer.Normalizer", "mean": [1.0], "std": [2.0]}
    )
    assert isinstance(normalizer, Normalizer)
    assert normalizer.std.tolist() == [2.0]
    assert build({"_target_": "lead.fake_parts.make_part", "width": 4}).dropout == 0.0


def test_nested_descriptions_are_built_first_and_the_description_is_left_alone():
    description = {
        "_target_": PART,
        "width": 8,
        "inner": {"_target_": PART, "width": 4, "inner": {"note": {"_target_": PART, "width": 1}}},
        "layers": [{"_target_": PART, "width": 2}, 7],
    }
    copy = {**description}
    outer = build(description)
    assert description == copy
    assert (outer.width, outer.inner.width, outer.inner.inner["note"].width) == (8, 4, 1)
    assert (outer.layers[0].width, outer.layers[1]) == (2, 7)
    assert outer.dropout == 0.1


def test_extra_arguments_go_to_the_outermost_object_and_win():
    ready = Part(1)
    outer = build({"_target_": PART, "width": 8, "inner": {"_target_": PART, "width": 4}}, width=9)
    assert (outer.width, outer.inner.width) == (9, 4)
    assert build({"_target_": PART, "width": 8}, inner=ready).inner is ready


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"_target_": PART, "widht": 8}, ("widht", "did you mean 'width'?")),
        ({"_target_": PART, "width": 8, "colour": 1}, ("colour", "known: dropout, inner")),
        ({"_target_": PART, "width": 8, 1: 2}, ("option '1'",)),
        ({"_target_": PART}, ("needs the option 'width'",)),
        ({"_target_": "os.system", "command": "true"}, ("os.system", "not part of lead")),
        ({"_target_": "leading.Class"}, ("leading.Class",)),
        ({"_target_": "Part"}, ("Part",)),
        ({"_target_": None}, ("None",)),
        ({"_target_": ""}, ("not part of lead",)),
        ({"_target_": "lead.fake_parts.Prat"}, ("lead.fake_parts.Prat", "cannot be loaded")),
        ({"_target_": "lead.no_such_room.Part"}, ("lead.no_such_room.Part", "cannot be loaded")),
        ({"_target_": "lead.fake_parts.torch.load"}, ("lead.fake_parts.torch.load",)),
        ({"_target_": "lead.fake_parts.torch"}, ("neither a class",)),
        ({"_target_": "lead.fake_parts.Linear"}, ("neither a class",)),
        ({"_target_": "lead.fake_parts.make_tensor"}, ("neither a class",)),
        ({"_target_": "lead.fake_parts.make_nothing"}, ("neither a class",)),
        ({"_target_": "lead.fake_parts.erase", "path": "x"}, ("neither a class",)),
        ({"_target_": "lead.core.files.write_json", "path": "x", "value": 1}, ("neither a class",)),
        ({"_target_": "lead.core.files.shutil.rmtree", "path": "x"}, ("cannot be loaded",)),
    ],
    ids=lambda value: str(value.get("_target_")) if isinstance(value, dict) else "",
)
def test_a_wrong_description_is_refused_in_one_line(description, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in (description, {"_target_": PART, "width": 1, "inner": [description]}):
        with pytest.raises(RequestError) as error:
            build(wrong)
        assert "\n" not in str(error.value)
        for word in words:
            assert word in str(error.value)
    assert not list(tmp_path.iterdir())


def test_what_the_constructor_refuses_reaches_the_caller():
    description = {
        "_target_": "lead.representation.normalizer.Normalizer",
        "mean": [0.0],
        "std": [0.0],
    }
    with pytest.raises(RequestError, match="positive"):
        build(description)


def test_the_closest_word_is_named_else_all_of_them():
    assert did_you_mean("humanml", ("kit", "humanml3d")) == "did you mean 'humanml3d'?"
    assert did_you_mean("xyz", {"b": 1, "a": 2}) == "known: a, b"
    assert did_you_mean("xyz", [2, 1]) == "known: 1, 2"


def test_the_two_failures_have_the_documented_exit_codes():
    assert (RequestError("x").exit_code, WorkError("x").exit_code) == (2, 1)
    assert issubclass(RequestError, LeadError)
    assert issubclass(WorkError, LeadError)
    assert not issubclass(WorkError, RequestError)
