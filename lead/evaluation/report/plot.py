"""FID against R-precision, one point a row."""

from pathlib import Path
from textwrap import fill

from lead.core.errors import RequestError
from lead.core.files import atomic_path
from lead.evaluation.report.content import MEASURED, Row, Table

X, Y = "fid", "r_precision_3"
WIDE = 20  # from this ratio of the largest FID to the smallest, the axis is logarithmic
TITLE_LETTERS = 80  # in a line
MARKERS = "osD^vP*X<>"


def write_plot(path: Path | str, table: Table) -> None:
    """A PNG with FID to the right and R-precision (top 3) upwards, with their intervals.

    Published rows are hollow, measured ones filled; the R-precision of real motions is a line.
    Rows that lack either measure are left out. Raises RequestError where none is left.
    """
    rows = [row for row in table.rows if X in row.values and Y in row.values and not row.is_real]
    if not rows:
        raise RequestError(f"nothing to plot: no row but Real has both {X} and {Y}")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    _draw_real(axes, table)
    for place, row in enumerate(rows):
        _draw_row(axes, row, place)
    distances = [row.values[X].mean for row in rows]
    if max(distances) >= WIDE * min(distances) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(f"FID (lower is better), judge {rows[-1].judged_by}")
    axes.set_ylabel("R-precision, top 3 (higher is better)")
    axes.set_title(fill(table.title, TITLE_LETTERS), fontsize=9)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_real(axes, table: Table) -> None:
    """A line for each row of real motions, with its interval as a band."""
    dashes = {MEASURED: "--"}
    for row in table.rows:
        if not row.is_real or Y not in row.values:
            continue
        value = row.values[Y]
        style = dashes.get(row.origin, ":")
        axes.axhline(value.mean, color="black", linewidth=1, linestyle=style, label=_name(row))
        if value.margin:
            low, high = value.mean - value.margin, value.mean + value.margin
            axes.axhspan(low, high, color="black", alpha=0.08, linewidth=0)


def _draw_row(axes, row: Row, place: int) -> None:
    from matplotlib import colormaps

    x, y = row.values[X], row.values[Y]
    color = colormaps["tab10"](place % 10)
    axes.errorbar(
        x.mean,
        y.mean,
        xerr=x.margin,
        yerr=y.margin,
        fmt=MARKERS[(place + place // 10) % len(MARKERS)],
        color=color,
        markerfacecolor=color if row.origin == MEASURED else "white",
        markersize=7,
        capsize=2,
        elinewidth=1,
        label=_name(row),
    )


def _name(row: Row) -> str:
    return f"{row.full_name} ({row.source})" if row.origin == MEASURED else row.full_name
