"""From descriptions to objects of the table, and nothing else from a description."""

import importlib
import inspect
import sys
import types
from collections.abc import Sequence
from typing import Annotated

import pytest
from pydantic import Field
from torch import nn

from lead.core.building import (
    CLASSES,
    NETWORKS,
    build,
    full_options,
    known_name,
)
from lead.core.errors import LeadError, RequestError, WorkError, did_you_mean
from lead.core.sizes import NUMBERS_MOST, check_numbers


class Part:
    """A part of a model, as run directories describe them."""

    def __init__(
        self,
        width: Annotated[int, Field(ge=1, le=64)],
        inner: dict | None = None,
        layers: Sequence[str] = (),
        dropout: float = 0.1,
    ):
        self.width, self.inner, self.layers, self.dropout = width, inner, layers, dropout


def make_part(width: int) -> Part:
    return Part(width, dropout=0.0)


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    """A module of the package that holds the classes above, listed for the time of a test."""
    module = types.ModuleType("lead.fake_parts")
    module.Part, module.make_part = Part, make_part
    monkeypatch.setitem(sys.modules, "lead.fake_parts", module)
    listed = {"part": "lead.fake_parts.Part", "made_part": "lead.fake_parts.make_part"}
    monkeypatch.setitem(CLASSES, "fake", listed)


def test_a_description_becomes_an_object_of_the_named_class():
    part = build("fake", {"_target_": "part", "width": 8, "layers": ["a"]})
    assert (part.width, part.layers, part.dropout) == (8, ["a"], 0.1)
    assert build("fake", {"_target_": "made_part", "width": 4}).dropout == 0.0


def test_nothing_inside_a_description_is_built():
    inner = {"_target_": "part", "width": 4, "deep": [{"_target_": "os.system"}]}
    description = {"_target_": "part", "width": 8, "inner": inner}
    copy = {**description}
    assert build("fake", description).inner == inner
    assert description == copy


def test_extra_arguments_win():
    assert build("fake", {"_target_": "part", "width": 8}, width=9).width == 9
    assert build("fake", {"_target_": "part"}, width=9).width == 9


def test_all_options_with_their_defaults():
    options = full_options("fake", {"_target_": "part", "width": 8, "dropout": 0.5})
    assert options == {"width": 8, "inner": None, "layers": (), "dropout": 0.5}


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"_target_": "part", "widht": 8}, ("widht", "did you mean 'width'?")),
        ({"_target_": "part", "width": 8, "colour": 1}, ("colour", "known: dropout, inner")),
        ({"_target_": "part", "width": 8, 1: 2}, ("here",)),
        ({"_target_": "part"}, ("it has no 'width'",)),
        ({"_target_": "part", "width": "8"}, ("'width' takes a whole number, got '8'",)),
        ({"_target_": "part", "width": 8.5}, ("'width' takes a whole number",)),
        ({"_target_": "part", "width": True}, ("'width' takes a whole number, got true",)),
        ({"_target_": "part", "width": [8]}, ("'width' takes a whole number, got a list of 1",)),
        ({"_target_": "part", "width": None}, ("'width' takes a whole number, got null",)),
        ({"_target_": "part", "width": 0}, ("greater than or equal to 1, got 0",)),
        ({"_target_": "part", "width": 65}, ("less than or equal to 64, got 65",)),
        ({"_target_": "part", "width": 10**4000}, ("a number of many digits",)),
        ({"_target_": "part", "width": 8, "layers": "abc"}, ("layers",)),
        ({"_target_": "part", "width": 8, "dropout": "0.1"}, ("a number, got '0.1'",)),
        ({"_target_": "prat", "width": 8}, ("no fake is called 'prat'", "did you mean 'part'?")),
        ({"_target_": "os.system", "command": "true"}, ("no fake is called 'os.system'",)),
        ({"_target_": "lead.core.files.make_folder", "path": "x"}, ("no fake is called",)),
        ({"_target_": "lead.cli.demo.make_server"}, ("no fake is called",)),
        ({"_target_": "lead.fake_parts.Part", "width": 8}, ("no fake is called",)),
        ({"_target_": "motion_vae"}, ("no fake is called 'motion_vae'",)),
        ({"_target_": None}, ("no fake is called null",)),
        ({"_target_": ["part"]}, ("no fake is called a list of 1",)),
        ({"_target_": {"part": 1}}, ("no fake is called an object of 1",)),
        ({"_target_": ""}, ("no fake is called ''",)),
        ({"_target_": "x" * 100_000}, ("no fake is called 'xxx",)),
        ({"width": 8}, ("no fake is called null",)),
        ({}, ("no fake is called null",)),
        ([1], ("takes an object of keys and values",)),
        ("part", ("takes an object of keys and values",)),
        (None, ("takes an object of keys and values",)),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_wrong_description_is_refused_in_one_line(description, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib, "import_module", lambda name: sys.modules[name])
    with pytest.raises(RequestError) as error:
        build("fake", description, "here")
    line = str(error.value)
    assert "\n" not in line and len(line) <= 300 and line.startswith("here")
    for word in words:
        assert word in line
    assert not list(tmp_path.iterdir())


def test_what_the_constructor_refuses_reaches_the_caller():
    with pytest.raises(RequestError, match="3 heads"):
        build("vae", {"_target_": "motion_vae", "width": 8, "heads": 3})


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in CLASSES.items() for name in names]
)
def test_every_entry_of_the_table_is_a_class_that_says_what_it_takes(kind, name):
    module, _, attribute = CLASSES[kind][name].rpartition(".")
    made = getattr(importlib.import_module(module), attribute)
    assert inspect.isclass(made) or attribute.startswith("make_")
    source = made.__init__ if inspect.isclass(made) else made
    parameters = inspect.signature(made).parameters
    assert set(parameters) - set(source.__annotations__) == set(), "each parameter has a type"


@pytest.mark.parametrize(
    ("kind", "short"), [(kind, short) for kind, names in CLASSES.items() for short in names]
)
def test_a_name_is_known_in_its_kind_alone(kind, short):
    assert known_name(kind, short) == short
    for other in CLASSES:
        if short not in CLASSES[other]:
            with pytest.raises(ValueError, match=f"no {other} is called"):
                known_name(other, short)


def test_a_short_name_stands_for_one_class():
    short = [name for names in CLASSES.values() for name in names]
    assert len(short) == len(set(short))


# Sizes


SMALL = {"layers": 1, "width": 8, "heads": 2, "feed_forward": 8, "latent_dim": 8}
OF = {
    "vae": {"_target_": "motion_vae", "features": 7, **SMALL},
    "denoiser": {"_target_": "mld_denoiser", "text_dim": 6, **SMALL},
    "autoencoder": {"_target_": "joint_autoencoder", "width": 8},
    "flow": {
        "_target_": "flow_transformer",
        **{"text_dim": 6, "width": 8, "layers": 2, "heads": 2, "memory_slots": 3},
        "local_every": 2,
    },
    "projector": {"_target_": "projector", "text_dim": 6, **SMALL},
    "text_autoencoder": {"_target_": "text_autoencoder", "text_dim": 6, "width": 8, "heads": 2},
    "joint_denoiser": {"_target_": "joint_denoiser", "text_dim": 6, "width": 8, "heads": 2},
    "extractor": {"_target_": "t2m_extractor", "features": 7, "dim": 4},
    "words": {"_target_": "word_vectors", "words": 5},
    "network": {"_target_": "clip_network", "features": 23, "classes": {"style": ["a", "b"]}},
}
WIDER = {
    "vae": ("width", "feed_forward", "latent_tokens", "latent_dim", "features", "layers"),
    "denoiser": ("width", "feed_forward", "latent_dim", "text_dim", "layers", "guidance_dim"),
    "autoencoder": ("width", "coordinates", "channels", "depth"),
    "flow": ("width", "layers", "text_dim", "memory_slots", "channels", "joints"),
    "projector": ("width", "feed_forward", "latent_dim", "text_dim", "layers"),
    "text_autoencoder": ("width", "text_dim", "latent_tokens", "latent_dim"),
    "joint_denoiser": ("width", "text_dim", "channels", "layers"),
    "extractor": ("features", "word_dim", "text_width", "movement_width", "motion_width", "dim"),
    "words": ("words", "dim"),
    "network": ("features", "width", "layers"),
}


@pytest.fixture
def no_memory(monkeypatch):
    """Any layer that takes memory for its weights fails the test."""
    made = nn.Parameter.__new__

    def checked(cls, data=None, requires_grad=True):
        assert data is None or data.device.type == "meta" or data.numel() < 10_000_000
        return made(cls, data, requires_grad)

    monkeypatch.setattr(nn.Parameter, "__new__", staticmethod(checked))


@pytest.mark.parametrize("size", [10**6, 10**9, 10**12, 10**4000], ids=["6", "9", "12", "4000"])
@pytest.mark.parametrize(("kind", "option"), [(k, option) for k in OF for option in WIDER[k]])
def test_no_size_is_built_that_no_memory_holds(no_memory, kind, option, size):
    if kind == "words" and option == "words":
        size *= 10**6
    with pytest.raises(RequestError) as error:
        build(kind, {**OF[kind], option: size}, "here")
    assert option in str(error.value) or str(NUMBERS_MOST) in str(error.value)
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("vae", {"width": 16_384, "heads": 2}),
        ("vae", {"width": 1024, "feed_forward": 16_384, "layers": 99}),
        ("denoiser", {"text_dim": 16_384, "width": 16_384}),
        ("autoencoder", {"width": 16_384}),
        ("flow", {"width": 16_384}),
        ("projector", {"kind": "mlp", "width": 1024, "feed_forward": 16_384, "layers": 99}),
        ("text_autoencoder", {"width": 16_384}),
        ("joint_denoiser", {"width": 16_384}),
        ("extractor", {"motion_width": 16_384}),
        ("words", {"words": 10_000_000}),
        ("network", {"width": 16_384}),
    ],
    ids=str,
)
def test_sizes_that_are_too_large_together_name_the_limit(no_memory, kind, options):
    with pytest.raises(RequestError, match=f"here would have .* numbers, {NUMBERS_MOST} are"):
        build(kind, {**OF[kind], **options}, "here")


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_judged_number_is_the_real_one_and_draws_nothing(kind, monkeypatch):
    import torch

    before = torch.random.get_rng_state()
    monkeypatch.setattr("lead.core.sizes.check_count", lambda count, where: judged.append(count))
    judged = []
    check_numbers(lambda: build(kind, OF[kind]), "here")  # without memory inside, as outside
    assert torch.equal(torch.random.get_rng_state(), before)
    network = build(kind, OF[kind])
    real = sum(x.numel() for x in [*network.parameters(), *network.buffers()])
    assert set(judged) == {real}
    assert all(x.device.type == "cpu" and x.isfinite().all() for x in network.parameters())


def test_a_judged_network_starts_with_the_weights_of_one_that_was_not(monkeypatch):
    import torch

    torch.manual_seed(3)
    judged = build("vae", OF["vae"]).state_dict()
    monkeypatch.setattr("lead.core.sizes.check_numbers", lambda make, where: None)
    torch.manual_seed(3)
    plain = build("vae", OF["vae"]).state_dict()
    assert all(torch.equal(tensor, judged[name]) for name, tensor in plain.items())


# Errors


def test_the_closest_word_is_named_else_all_of_them():
    assert did_you_mean("humanml", ("kit", "humanml3d")) == "did you mean 'humanml3d'?"
    assert did_you_mean("xyz", {"b": 1, "a": 2}) == "known: a, b"
    assert did_you_mean("xyz", [2, 1]) == "known: 1, 2"


def test_the_two_failures_have_the_documented_exit_codes():
    assert (RequestError("x").exit_code, WorkError("x").exit_code) == (2, 1)
    assert issubclass(RequestError, LeadError)
    assert issubclass(WorkError, LeadError)
    assert not issubclass(WorkError, RequestError)
