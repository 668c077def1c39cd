"""Estimates as a table: Markdown for people, rows for a CSV file."""

from collections.abc import Mapping, Sequence
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
    columns = _present(rows, columns)
    lines = [["", *(column.heading for column in columns)]]
    for name, row in rows.items():
        lines.append(
            [name.replace("|", r"\|"), *(column.show(row.get(column.key)) for column in columns)]
        )
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (lines[0], rule, *lines[1:])) + "\n"


def _present(rows: Rows, columns: Sequence[Column]) -> list[Column]:
    present = [column for column in columns if any(column.key in row for row in rows.values())]
    if not present:
        raise RequestError("the table is empty: no row has a value for any of its columns")
    return present


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *values = cells
    aligned = [name.ljust(widths[0])]
    aligned += [value.rjust(width) for value, width in zip(values, widths[1:], strict=True)]
    return f"| {' | '.join(aligned)} |"
