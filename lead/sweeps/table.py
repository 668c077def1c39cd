"""What the finished jobs of a sweep brought, as tables on the screen and in a file."""

from collections.abc import Sequence

from lead.core.files import atomic_path
from lead.core.runs import Run
from lead.core.schema import read_file
from lead.evaluation import tally
from lead.evaluation.estimate import Estimate
from lead.evaluation.report.layout import markdown
from lead.evaluation.report.measured import Measures
from lead.evaluation.report.sweep import Labelled, sweep_tables
from lead.evaluation.table import Column, format_table
from lead.sweeps.job import FINISHED, Planned


def report(planned: Sequence[Planned], joint: Planned | None) -> str:
    """Write the tables to table.md, and give them to be said; empty where no job has a result.

    ``joint`` is the job that measured all others.
    """
    done = [one for one in planned if one.place.state == FINISHED]
    tables = [*_protocols(done, joint), *_physical(done), *_trained(done)]
    if not tables:
        return ""
    text, file = "\n".join(tables), planned[0].sweep / "table.md"
    with atomic_path(file) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return f"\n{text}\nwritten: {file}"


def _protocols(done: Sequence[Planned], joint: Planned | None) -> list[str]:
    """Measures of a protocol, with the labels of the jobs."""
    measured = [
        Labelled(one.place.metrics, one.job.labels)
        for one in done
        if one.place.metrics.is_file() and _measures(one).protocol is not None
    ]
    if joint is not None and done:
        others = {one.place.run.name: one.job.labels for one in done[1:]}
        measured = [Labelled(joint.place.metrics, done[0].job.labels, others)]
    return [markdown(table) for table in sweep_tables(measured)] if measured else []


def _measures(one: Planned) -> Measures:
    return read_file(Measures, one.place.metrics, "remove the job's folder and sweep again")


def _physical(done: Sequence[Planned]) -> list[str]:
    """Physical measures alone, where no protocol was named."""
    rows = {
        f"{one.place.name}: {name}": row
        for one in done
        if one.place.metrics.is_file() and _measures(one).protocol is None
        for name, row in _measures(one).estimates().items()
    }
    return [format_table(rows, tally.COLUMNS)] if rows else []


def _trained(done: Sequence[Planned]) -> list[str]:
    """The best validation loss of each training."""
    rows = {}
    for one in done:
        if one.job.verb == "train":
            best = Run(one.place.run).record.best
            rows[one.place.name] = {key: Estimate(value, None, 1) for key, value in best.items()}
    keys = dict.fromkeys(key for row in rows.values() for key in row)
    columns = [Column(key, f"best {key}", digits=0 if key == "step" else 5) for key in keys]
    return [format_table(rows, columns)] if columns else []
