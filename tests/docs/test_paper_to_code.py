"""The page from paper to code: complete for what is numbered, and every name on it exists.

Commands on it are checked with those of all documents, by test_document_commands.py.
"""

import importlib
import inspect
import re
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs/reference/paper_to_code.md"
PAPERS = ("LEAD", "MoTe", "MLA-Gen")
NOT_YET = "not yet"


class Row(NamedTuple):
    paper: str
    place: str  # in the paper
    where: str  # in lead

    @property
    def spans(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.where)

    @property
    def objects(self) -> list[str]:
        return [span for span in self.spans if re.fullmatch(r"lead(\.\w+)+", span)]


def rows() -> list[Row]:
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        lines = [line for line in section.splitlines() if line.startswith("|")][2:]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        found += [Row(section.splitlines()[0], *(place, where)) for place, _, where in cells]
    return found


def find(name: str):
    """The module, or what a module has under a dotted name."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if not name.startswith(error.name):
                raise
            continue
        return reduce(getattr, parts[end:], module)
    raise AssertionError(name)


ROWS = rows()
NAMES = sorted({name for row in ROWS for name in row.objects})


def test_there_is_a_table_for_each_paper():
    assert [*dict.fromkeys(row.paper for row in ROWS)] == list(PAPERS)
    assert len(NAMES) > 30


def test_all_that_lead_numbers_is_there_once_and_in_order():
    places = [row.place for row in ROWS if row.paper == "LEAD"]
    for kind, last in (("eq.", 14), ("table", 6)):
        numbered = [place for place in places if place.startswith(kind)]
        assert numbered == [f"{kind} {number}" for number in range(1, last + 1)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.paper} {row.place}")
def test_a_row_names_something_of_the_repository_or_says_not_yet(row):
    assert row.spans or NOT_YET in row.where
    for span in row.spans:
        if span.startswith("configs/"):
            assert (REPOSITORY / span).is_file(), span
        else:
            assert span in row.objects or span.startswith("lead "), span


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_that_python_finds(name):
    assert find(name) is not None


@pytest.mark.parametrize("name", ["lead.nothing", "lead.evaluation.metrics.fid", "lead.x.y"])
def test_a_name_that_is_none_is_noticed(name):
    with pytest.raises(AttributeError):
        find(name)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.place.startswith("eq.")], ids=lambda row: row.place
)
def test_a_function_that_is_an_equation_says_so(row):
    functions = [found for found in map(find, row.objects) if inspect.isfunction(found)]
    said = [inspect.getdoc(function) for function in functions]
    number = row.place.removeprefix("eq. ")
    assert not said or any(re.search(rf"LEAD eq\. {number}\b", text) for text in said), row.place
