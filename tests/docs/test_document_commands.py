"""Every command in the documents is one that exists, with options that exist.

Those of the tutorials are also run, by test_tutorials.py. Here each `lead` command goes through
its own verb up to the strict composition of its options; placeholders of sentences (`size=SIZE`)
are checked by their key alone.
"""

import importlib
import pkgutil
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import lead.cli
from lead.cli import config
from lead.cli.main import KINDS, VERBS, main
from lead.cli.sweep import FLAGS

COMPOSE = config.compose
PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*|\.\.\.")
TAKEN_AS_THEY_ARE = ("sbatch", "srun", "git", "cd", "curl", "ssh", "export", "echo")
"""Commands of other people's systems: nothing here can say whether they are right."""


class Composed(BaseException):
    """The verb got as far as its options, and these are fine."""


@pytest.fixture
def only_compose(monkeypatch, tmp_path) -> None:
    """Every verb stops where it has composed its options, before it looks at any file."""

    def stop(name: str, overrides) -> None:
        COMPOSE(name, list(overrides))
        raise Composed

    def stop_before_the_jobs(folder) -> None:
        raise Composed

    monkeypatch.chdir(tmp_path)
    names = [module.name for module in pkgutil.iter_modules(lead.cli.__path__, "lead.cli.")]
    # All before the first patch: a later import would take the patch for the real function.
    for loaded in [importlib.import_module(name) for name in names]:
        if loaded.__name__ == "lead.cli.sweep":  # composes the options of every job, then begins
            monkeypatch.setattr(loaded, "check_writable", stop_before_the_jobs)
        elif hasattr(loaded, "compose"):
            monkeypatch.setattr(loaded, "compose", stop)


def test_a_lead_command_has_options_that_exist(lead_command, only_compose, capfd):
    words = [word for word in lead_command.words[1:] if word != "..."]
    assert words, f"{lead_command.place}: no verb"
    if words[0] == "VERB":  # of a sentence about all of them
        assert lead_command.inline
        words[0] = "train"
    if words[0].startswith("-") or "--help" in words:
        assert main(words) == 0
        return
    assert words[0] in VERBS, lead_command.place
    for choice in _alternatives(words):
        _check(
            lead_command, _without_placeholders(choice) if lead_command.inline else choice, capfd
        )


def _check(command, words: list[str], capfd) -> None:
    if all(word in (*VERBS, *FLAGS) for word in words):  # no option to check
        return
    try:
        code = main(words)
    except Composed:
        return
    pytest.fail(f"{command.place}: {' '.join(words)}: exit {code}: {capfd.readouterr().err}")


def _alternatives(words: list[str]) -> list[list[str]]:
    """`source=mld|t2m x=1` as one command for each of mld and t2m."""
    for place, word in enumerate(words):
        key, equals, value = word.partition("=")
        if equals and re.fullmatch(r"\w+(\|\w+)+", value):
            return [
                [*words[:place], f"{key}={one}", *rest]
                for one in value.split("|")
                for rest in _alternatives(words[place + 1 :])
            ]
    return [words]


def _without_placeholders(words: list[str]) -> list[str]:
    """Options with a placeholder for a value become options that leave the default, if known."""
    verb, *options = words
    kind = next(iter(options), "")
    name = f"{verb}_{kind}" if kind in KINDS.get(verb, ()) else verb
    verbs = [name, "sweep"] if set(FLAGS) & set(options) else [name]
    known = {key for one in verbs for key, _ in config._walk(COMPOSE(one, []))}
    kept = [verb]
    for option in options:
        key, equals, value = option.partition("=")
        if equals and key.rpartition(".")[2] in ("key", "KEY", "key2"):
            continue
        if not equals or not PLACEHOLDER.fullmatch(value):
            kept.append(option)
        else:
            there = key in known or config._is_group(key)
            assert there, f"{option} is no option of `lead {verb}`"
    return kept


def test_any_other_command_is_one_of_the_repository(other_command, repository):
    program, *rest = other_command.words
    place = f"{other_command.place}: {' '.join(other_command.words)}"
    while "=" in program and rest:  # X=1 command
        program, *rest = rest
    if program == "bash":
        program, *rest = rest
    if program == "make":
        targets = [word for word in rest if "=" not in word]
        listed = subprocess.run(
            ["make", "-n", *targets], cwd=repository, capture_output=True, text=True
        )
        assert listed.returncode == 0, f"{place}: {listed.stderr}"
    elif program == "pip" or rest[:2] == ["-m", "pip"]:
        extras = tomllib.loads((repository / "pyproject.toml").read_text())
        extras = extras["project"]["optional-dependencies"]
        named = re.findall(r"\.\[([\w,-]+)\]", " ".join(rest))
        assert {extra for names in named for extra in names.split(",")} <= set(extras), place
    elif program.startswith("scripts/"):
        assert (repository / program).is_file(), place
        if program.endswith(".sh"):
            subprocess.run(["bash", "-n", repository / program], check=True)
    elif Path(program).name.startswith("python"):
        files = [word for word in rest if word.endswith(".py") or word.startswith("tests/")]
        assert files or "-m" in rest, place
        assert all((repository / word).exists() for word in files), place
    else:
        assert program in TAKEN_AS_THEY_ARE, f"{place}: not a command of this repository"
