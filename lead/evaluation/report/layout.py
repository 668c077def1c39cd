"""A table of a report as Markdown, CSV and LaTeX. Every row says who judged it."""

import csv
import io
import re

from lead.evaluation.report.content import Row, Table
from lead.evaluation.table import ABSENT, ARROWS, Column, aligned, shown_columns

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"✓": r"$\checkmark$", "±": r"$\pm$", "²": "$^2$", "³": "$^3$"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}
LATEX_ARROWS = {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "→": r"$\rightarrow$", "": ""}


def markdown(table: Table) -> str:
    """Title, table and notes; the columns also line up as plain text."""
    columns = _shown(table)
    judged = any(row.judged_by for row in table.rows)
    headings = [*table.labels, *(column.heading for column in columns), "source"]
    lines = [["", *headings, *["judge"] * judged]]
    for row in table.rows:
        words = [row.labels.get(label, "") for label in table.labels]
        values = [_text(row, column) for column in columns]
        lines.append([row.name, *words, *values, row.source, *[row.judged_by] * judged])
    numbers = range(1 + len(table.labels), 1 + len(table.labels) + len(columns))
    written = aligned(lines, numbers)
    notes = ["", *(f"- {note}" for note in table.notes)] if table.notes else []
    return "\n".join([f"**{table.title}**", "", *written, *notes]) + "\n"


def comma_separated(table: Table) -> str:
    """A header and a line for each row, measured numbers in full precision.

    Each measure is two columns, the mean and ``_ci95``, the margin; empty where there is none.
    """
    columns = _shown(table)
    measures = [name for column in columns for name in (column.key, f"{column.key}_ci95")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *table.labels, *measures, "origin", "source", "judge", "fingerprint"])
    for row in table.rows:
        words = [row.labels.get(label, "") for label in table.labels]
        numbers = [cell for column in columns for cell in _exact(row, column)]
        whence = [row.origin, row.source, row.judge, row.fingerprint]
        writer.writerow([row.name, *words, *numbers, *whence])
    return text.getvalue()


def latex(table: Table) -> str:
    """A ``table`` for the packages booktabs and amssymb; the best of each column is bold.

    Rows of real motions and of reconstructions do not take part in that. Notes are comments.
    """
    columns = _shown(table)
    headings = [*map(_escaped, table.labels), *map(_heading, columns), "source", "judge"]
    layout = "l" + "c" * len(table.labels) + "r" * len(columns) + "ll"
    best = {column.key: table.best(column) for column in columns}
    body = []
    for place, row in enumerate(table.rows):
        before = table.rows[place - 1]
        if place and (before.is_real > row.is_real or before.origin != row.origin):
            body.append(r"\midrule")
        words = [_escaped(row.labels.get(label, "")) for label in table.labels]
        values = [_number(row, column.key, best[column.key]) for column in columns]
        cells = [_escaped(row.name), *words, *values, _escaped(row.source), _escaped(row.judged_by)]
        body.append(" & ".join(cells) + r" \\")
    lines = [
        "% needs \\usepackage{booktabs,amssymb}",
        *(f"% {' '.join(note.split())}" for note in table.notes),
        *(r"\begin{table}", r"\centering", rf"\caption{{{_escaped(table.title)}}}"),
        rf"\begin{{tabular}}{{{layout}}}",
        *(r"\toprule", " & ".join(["", *headings]) + r" \\", r"\midrule"),
        *body,
        *(r"\bottomrule", r"\end{tabular}", r"\end{table}"),
    ]
    return "\n".join(lines) + "\n"


def _shown(table: Table) -> list[Column]:
    return shown_columns([row.values for row in table.rows], table.columns)


def _text(row: Row, column: Column) -> str:
    return row.values[column.key].text if column.key in row.values else ABSENT


def _exact(row: Row, column: Column) -> tuple[str, str]:
    value = row.values.get(column.key)
    if value is None:
        return "", ""
    return repr(value.mean), "" if value.margin is None else repr(value.margin)


def _heading(column: Column) -> str:
    unit = f"({_escaped(column.unit)})" if column.unit else ""
    arrow = LATEX_ARROWS[ARROWS[column.better]]
    return " ".join(filter(None, (_escaped(column.title), arrow, unit)))


def _number(row: Row, key: str, best: float | None) -> str:
    value = row.values.get(key)
    if value is None:
        return "--"
    is_best = row.competes and value.mean == best
    mean = rf"\mathbf{{{value.mean_text}}}" if is_best else value.mean_text
    margin = rf"^{{\pm {value.margin_text}}}" if value.margin_text else ""
    return f"${mean}{margin}$"


def _escaped(text: str) -> str:
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda match: SPECIAL[match.group()], text)
