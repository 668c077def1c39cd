"""Estimates as a table: Markdown for people, rows for a CSV file."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lead.core.errors import RequestError
from lead.evaluation.estimate import Estimate

ARROWS = {"lower": "↓", "higher": "↑", "real": "→", None: ""}
ABSENT = "-"

Rows = Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class Column:
    """One measure in a table: its key in a row, title, unit, better direction and decimals.

    ``better="real"`` means: the closer to the row of real motions, the better.
    """

    key: str
    title: str
    unit: str = ""
    better: Literal["lower", "higher", "real"] | None = None
    digits: int = 3

    @property
    def heading(self) -> str:
        """Title, arrow and unit, e.g. ``MPJPE ↓ (mm)``."""
        unit = f"({self.unit})" if self.unit else ""
        return " ".join(filter(None, (self.title, ARROWS[self.better], unit)))

    def show(self, estimate: Estimate | None) -> str:
        """``mean ± margin`` with this column's decimals; ``-`` for a measure that a row lacks."""
        if estimate is None:
            return ABSENT
        mean = f"{estimate.mean:.{self.digits}f}"
        return mean if estimate.margin is None else f"{mean} ± {estimate.margin:.{self.digits}f}"


def format_table(rows: Rows, columns: Sequence[Column]) -> str:
    """Markdown table of named rows; its columns also line up as plain text.

    Columns that no row has are left out. Raises RequestError where nothing is left to show.
    """
    columns = shown_columns(rows.values(), columns)
    lines = [["", *(column.heading for column in columns)]]
    lines += [
        [name, *(column.show(row.get(column.key)) for column in columns)]
        for name, row in rows.items()
    ]
    return "\n".join(aligned(lines, range(1, 1 + len(columns)))) + "\n"


def shown_columns(rows: Collection[Collection[str]], columns: Sequence[Column]) -> list[Column]:
    """The columns that a row has a value for; RequestError where none is left."""
    found = [column for column in columns if any(column.key in row for row in rows)]
    if not found:
        keys = ", ".join(column.key for column in columns)
        raise RequestError(f"the table is empty: no row has a value for any of {keys}")
    return found


def aligned(lines: Sequence[Sequence[str]], numbers: Container[int]) -> list[str]:
    """Lines of a Markdown table, the heading first, that line up; ``numbers`` to the right."""
    lines = [[cell.replace("|", r"\|") for cell in cells] for cells in lines]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = ["-" * (w - 1) + ":" if at in numbers else "-" * w for at, w in enumerate(widths)]
    return [
        "| "
        + " | ".join(
            cell.rjust(width) if at in numbers else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        + " |"
        for cells in (lines[0], rule, *lines[1:])
    ]
