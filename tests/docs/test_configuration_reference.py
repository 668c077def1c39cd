"""The configuration reference names every option that the commands take, with its default."""

import re
from pathlib import Path

import pytest
import yaml

from lead.cli.config import _walk, compose
from lead.cli.main import KINDS, MODULES, VERBS

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
VERB_FILES = (*VERBS, *(f"{verb}_{kind}" for verb, kinds in KINDS.items() for kind in kinds))


@pytest.fixture(scope="module")
def page(pages) -> str:
    return pages.configuration_page(CONFIGS)


def rows(page: str) -> dict[str, str]:
    """Option -> the rest of its row, for every table of the page."""
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", page, re.MULTILINE))


@pytest.mark.parametrize(
    "name", [name for name in VERB_FILES if (CONFIGS / f"{name}.yaml").exists()]
)
def test_every_option_of_a_verb_is_there(page, name):
    listed = rows(page)
    for key, value in _walk(compose(name, [])):
        if not (isinstance(value, dict) and value):
            assert key in listed, f"{key} of `lead {name}`"


def test_every_value_of_every_file_is_there(page):
    """Keys and plain values as YAML reads them, from an independent walk over the files."""
    for path in CONFIGS.rglob("*.yaml"):
        if path.parent.name == "experiment":
            assert path.read_text().strip() in page
            continue
        content = yaml.safe_load(path.read_text()) or {}
        content.pop("defaults", None)
        anywhere = "@package _global_" in path.read_text()
        group = path.relative_to(CONFIGS).parent.as_posix().replace("/", ".")
        prefix = "" if anywhere or group == "." else f"{group}."
        for key, value in _walk(content):
            if isinstance(value, dict) and value:
                continue
            found = re.findall(rf"^\| `{re.escape(prefix + key)}` \| (.*) \|$", page, re.MULTILINE)
            assert found, f"{path.name}: {prefix}{key}"
            if isinstance(value, (bool, int)) or value is None:
                written = "null" if value is None else str(value).lower()
                assert any(f"`{written}`" in row for row in found), f"{path.name}: {key}={value}"


def test_comments_become_remarks(page):
    assert rows(page)["plot"] == "`null` | a PNG: FID against R-precision"
    assert "**`sampling=lcm1`** MotionLCM: 1 of the 50 steps" in page


def test_every_command_stands_with_its_help(page):
    for verb in VERBS:
        assert f"### lead {verb}\n" in page
    assert "run=RUN          a diffusion run (MLD), a projector run (LEAD) or a flow" in page


def test_the_modules_of_verbs_are_those_of_the_command_line(pages):
    assert pages.MODULES == MODULES
