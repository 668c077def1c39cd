"""The documents of the repository, and the commands that stand in their fenced blocks and spans."""

import importlib.util
import re
import shlex
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHELL = ("bash", "sh", "shell", "console", "")
"""Languages of a fenced block that may hold commands; an unnamed block may also be plain text."""

STARTS = ("lead", ".venv/bin/lead", "make", "pip", "bash", "python", "sbatch")
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`((?:\.venv/bin/)?lead [^`]+)`(?!`)")


@dataclass(frozen=True)
class Command:
    """One command of a document, its words as a shell reads them."""

    document: str
    line: int
    words: tuple[str, ...]
    inline: bool = False  # in a sentence, where placeholders and alternatives are usual

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """Every page that a reader may take a command from."""
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    pages += [REPOSITORY / "datasets/README.md", *(REPOSITORY / "checkpoints").rglob("README.md")]
    made = (REPOSITORY / "docs/generated", REPOSITORY / "docs/_build")
    return sorted(page for page in pages if not any(page.is_relative_to(one) for one in made))


@cache
def commands() -> tuple[Command, ...]:
    """Every command of every document, in their order."""
    return tuple(command for page in documents() for command in commands_of(page))


def commands_of(page: Path) -> list[Command]:
    name, text = page.relative_to(REPOSITORY).as_posix(), page.read_text(encoding="utf-8")
    found = [
        Command(name, text.count("\n", 0, match.start(4)) + 1 + offset, words)
        for match in _FENCE.finditer(text)
        for offset, words in _block(match[3].strip(), match[4])
    ]
    prose = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    found += [
        Command(name, prose.count("\n", 0, match.start()) + 1, split(match[1]), inline=True)
        for match in _SPAN.finditer(prose)
    ]
    return sorted(found, key=lambda command: command.line)


def _block(language: str, content: str) -> list[tuple[int, tuple[str, ...]]]:
    """Offset and words of each command of a block; none where the block is text or other code."""
    if language not in SHELL:
        return []
    found, joined, start = [], "", 0
    for offset, line in enumerate(content.splitlines()):
        start = start if joined else offset
        joined += line.strip().removeprefix("$ ")
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        words = split(joined)
        joined = ""
        if words:
            found.append((start, words))
    shell = language != "" or any(starts_command(words) for _, words in found)
    return found if shell else []


def split(line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(" ".join(line.split()), comments=True))
    except ValueError:  # a quote that is not closed: no command
        return ()


def starts_command(words: tuple[str, ...]) -> bool:
    return words[0] in STARTS or words[0].startswith("scripts/")


def is_lead(command: Command) -> bool:
    return command.words[0] in ("lead", ".venv/bin/lead")


@pytest.fixture(scope="session")
def pages():
    """The module that makes pages for the site."""
    path = REPOSITORY / "docs/generated_pages.py"
    spec = importlib.util.spec_from_file_location("generated_pages", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["generated_pages"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="commands_of")
def commands_of_page():
    """The commands of a page by its path in the repository."""
    return lambda name: commands_of(REPOSITORY / name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``lead_command``, ``other_command`` and ``document``: one test for each in the documents."""
    kinds = {
        "lead_command": [command for command in commands() if is_lead(command)],
        "other_command": [command for command in commands() if not is_lead(command)],
    }
    for name, found in kinds.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, found, ids=[f"{c.place} {c.words[1:2]}" for c in found])
    if "document" in metafunc.fixturenames:
        pages = documents()
        names = [page.relative_to(REPOSITORY).as_posix() for page in pages]
        metafunc.parametrize("document", pages, ids=names)
