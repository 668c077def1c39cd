"""What is read without Hydra is what Hydra reads."""

import pytest
from omegaconf import OmegaConf

from lead.cli.config import _hydra, compose, entries_of, parse
from lead.cli.paths import config_folder
from lead.cli.plain_config import compose_plainly, plain_value

NAMES = sorted(path.stem for path in config_folder().glob("*.yaml"))
GROUPS = ("sampling", "protocol", "inversion", "launcher", "templates", "data", "text_encoder")


@pytest.mark.parametrize("name", NAMES)
def test_the_values_of_each_verb_and_entry(name):
    whole = compose_plainly(name, ())
    assert (whole is None) == (name == "train"), "of packages and references only Hydra knows"
    if whole is None:
        return
    chosen = [f"{group}={entry}" for group in GROUPS for entry in entries_of(group)]
    defaults = {key for entry in raw(name) if isinstance(entry, dict) for key in entry}
    for words in [(), *((word,) for word in chosen if word.partition("=")[0] in defaults)]:
        found = compose_plainly(name, words)
        assert found == OmegaConf.to_container(_hydra(name, words), resolve=True), words


def raw(name: str) -> list:
    return OmegaConf.load(config_folder() / f"{name}.yaml").get("defaults", [])


def test_what_it_does_not_know_it_leaves_to_hydra():
    assert compose_plainly("train", ()) is None
    assert compose_plainly("generate", ("stage=vae",)) is None


SIMPLE = ["4", "-3", "0", "-0", "4.5", "-0.25", "true", "False", "TRUE", "null", "Null", "cpu"]
SIMPLE += ["bf16", "_a", "yes", "[npz,gif]", "[]", "[1,2.5,true,null]", "[A]", "999999999999999999"]


@pytest.mark.parametrize("text", SIMPLE)
def test_simple_values(text):
    known, found = plain_value(text)
    wanted = parse("key", text).value()
    assert known and found == wanted and type(found) is type(wanted)
    if isinstance(found, list):
        assert [type(of) for of in found] == [type(of) for of in wanted]


OTHERS = ["1e-3", "nan", "-inf", "inf", "1_000", "012", "a b", "'a'", '"4"', "a,b", "range(1,3)"]
OTHERS += [
    "{a: 1}",
    "[a, b]",
    "[[1]]",
    "[a,]",
    "${x}",
    "a/b",
    "cuda:1",
    "",
    "[",
    "walk-2",
    "ä",
    "١",
]


@pytest.mark.parametrize("text", OTHERS)
def test_all_others_are_hydras(text):
    assert not plain_value(text)[0]


def test_options_are_changed_in_their_places():
    words = ["sampling=euler16", "sampling.steps=4", "seconds=2.5", "formats=[npz]", "project=true"]
    found = compose("generate", words)
    assert found["sampling"]["steps"] == 4 and found["sampling"]["sampler"] == "euler"
    assert (found["seconds"], found["formats"], found["project"]) == (2.5, ["npz"], True)
    assert compose("generate", [])["sampling"]["steps"] == 50
