"""What a benchmark measured: rows, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lead.bench.machine import Machine
from lead.bench.setting import Setting
from lead.core.files import write_json

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Row:
    """One figure: seconds of our code for ``items`` items, beside its floor and plain code.

    ``floor`` is None where no operations or bytes can be counted, ``plain`` where nothing plain
    does the same. ``difference`` says how far the two results are apart.
    """

    name: str
    items: int
    unit: str
    ours: float  # median seconds
    plain: float | None
    floor: float | None
    ours_all: Sequence[float] = ()
    plain_all: Sequence[float] = ()
    difference: str = ""
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster than plain code."""
        return None if self.plain is None else self.plain / self.ours

    @property
    def of_floor(self) -> float | None:
        """How many times its floor it takes."""
        return None if not self.floor else self.ours / self.floor


def format_rows(rows: Sequence[Row]) -> str:
    """The table, one line a row."""
    head = ("", "seconds", "rate", "floor", "plain", "ratio", "difference")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(width) if column in (0, 6) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*text, *(f"{row.name}: {row.remark}" for row in rows if row.remark)])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.ours:.4g}",
        f"{row.items / row.ours:.4g} {row.unit}/s",
        "" if row.of_floor is None else f"{row.of_floor:.1f}x",
        "" if row.plain is None else f"{row.plain:.4g}",
        "" if row.ratio is None else f"{row.ratio:.1f}x",
        row.difference,
    )


def write_record(
    path: Path, subject: str, setting: Setting, machine: Machine, rows: Sequence[Row]
) -> None:
    """Write everything that was measured as JSON, atomically."""
    write_json(
        path,
        {
            "schema": SCHEMA_VERSION,
            "subject": subject,
            "setting": {**asdict(setting), "device": str(setting.device)},
            "machine": asdict(machine),
            "rows": [{**asdict(row), "ratio": row.ratio, "of_floor": row.of_floor} for row in rows],
        },
    )
