"""lead report TABLE [RUN ...] [key=value ...] : measured rows beside the paper's.

TABLE            1 | 2 | 3 | 4 | 5 | 6 of the LEAD paper, mote_humanml3d | mote_kitml |
                 mote_captions_humanml3d | mote_captions_kitml | mla_main | mla_ablations,
                 or none; also table=TABLE
RUN ...          runs or metrics.json files of `lead evaluate protocol=P`; also runs=[A,B]
columns=[K,...]  measures by their key, such as fid or jitter; default: those of the table
format=F         markdown | csv | latex; default: by the ending of output, else markdown
output=FILE      default: print it
plot=FILE.png    FID against R-precision (top 3) with intervals

Pictures and studies have options of their own (--help):
lead report latents run=RUN      real clips before and after the projector (t-SNE)
lead report curves RUN ...       training curves
lead report attention run=RUN    where motions look among the words of their sentences
lead report study runs=[A,B]     a page for a user study; answers=[DIR] key=FILE reads the answers

Rows of different judges or data never share a table: measured rows stand in the paper's table
where its judge measured its data and saw Real as published, else in a table of their own below.
"""

from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose_with_words
from lead.core.errors import RequestError
from lead.core.files import atomic_path, check_png, claimed

ENDINGS = {".md": "markdown", ".csv": "csv", ".tex": "latex"}
HOW_TO = (
    "a table is needed: `lead report TABLE`, 1 to 6 of LEAD's paper, mote_..., mla_..., or none"
)


def run(overrides: Sequence[str]) -> int:
    """Print or write the table, and draw the plot."""
    config, words = compose_with_words("report", overrides)
    if config["table"] is None:
        if not words:
            raise RequestError(HOW_TO)
        config["table"], *words = words
    table, runs = config["table"], [*config["runs"], *words]
    ending = Path(config["output"] or "").suffix.lower()
    format = config["format"] or ENDINGS.get(ending, "markdown")
    with claimed(*_files(config)):
        return _report(table, runs, format, config)


def _report(table: str, runs: list[str], format: str, config: dict) -> int:
    if table == "none" and not runs:
        raise RequestError("table none has measured rows alone: name runs, `lead report none RUN`")

    from lead.evaluation.report.beside import arrange, why_apart
    from lead.evaluation.report.measured import read_runs
    from lead.evaluation.report.paper import load_table

    paper = None if table == "none" else load_table(table)
    measured = read_runs(runs) if runs else None
    reason = why_apart(paper, measured) if paper and measured else None
    if reason and (format != "markdown" or config["plot"]):
        what = "a plot" if config["plot"] else f"format {format}"
        raise RequestError(
            f"{what} holds one table, and these rows cannot share one: {reason}; ask for "
            f"`lead report {table}` and `lead report none RUN` one after the other"
        )
    tables = arrange(paper, measured, tuple(config["columns"]))
    _write(tables, format, reason, config)
    return 0


def _write(tables: list, format: str, reason: str | None, config: dict) -> None:
    from lead.evaluation.report import layout

    lay_out = {
        "markdown": layout.markdown,
        "csv": layout.comma_separated,
        "latex": layout.latex,
    }[format]
    between = f"\nNot in one table: {reason}\n\n" if reason else "\n"
    text = between.join(lay_out(table) for table in tables)
    if config["plot"]:
        from lead.evaluation.report.plot import write_plot

        write_plot(config["plot"], tables[0])
    if config["output"] is None:
        print(text, end="")
    else:
        with atomic_path(config["output"]) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        print(f"written: {config['output']}")
    if config["plot"] and config["output"]:
        print(f"written: {config['plot']}")


def _files(config: dict) -> list[Path]:
    """What is written."""
    if config["plot"]:
        check_png("plot", config["plot"])
    return [Path(config[key]) for key in ("output", "plot") if config[key] is not None]
