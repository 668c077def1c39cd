"""What the finished jobs of a sweep brought, as tables on the screen and in a file."""

from collections.abc import Sequence

from lead.core.files import atomic_path
from lead.core.runs import Run
from lead.core.schema import read_file
from lead.evaluation import physical
from lead.evaluation.estimate import Estimate
from lead.evaluation.report.content import Row
from lead.evaluation.report.curves import read_curves
from lead.evaluation.report.layout import markdown
from lead.evaluation.report.measured import Measures
from lead.evaluation.report.sweep import Labelled, labelled, sweep_tables, with_means
from lead.evaluation.table import Column
from lead.sweeps.job import FINISHED, Planned

LOSS = "val/loss"


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
    rows = [
        labelled(name, row, physical.COLUMNS, one.job.labels, one.place.name)
        for one in done
        if one.place.metrics.is_file() and _measures(one).protocol is None
        for name, row in _measures(one).estimates().items()
    ]
    return _tables("physical measures", rows, physical.COLUMNS)


def _trained(done: Sequence[Planned]) -> list[str]:
    """The best validation loss of each training, with its terms.

    A loss is left out where jobs weigh its terms differently: it is smaller for smaller weights.
    """
    trained = [one for one in done if one.job.verb == "train"]
    found = {one.place.name: _losses(Run(one.place.run)) for one in trained}
    weighed = _swept_weights(trained)
    keys = dict.fromkeys(key for losses in found.values() for key in losses)
    columns = tuple(
        Column(key, f"best {key}" if key == LOSS else key, digits=0 if key == "step" else 5)
        for key in keys
        if key != LOSS or not weighed
    )
    rows = [
        labelled(
            Run(one.place.run).stage,
            {key: Estimate(value, None, 1) for key, value in found[one.place.name].items()},
            *(columns, one.job.labels, one.place.name),
        )
        for one in trained
    ]
    note = f"{LOSS} is left out: it contains {', '.join(weighed)}, which differs between jobs"
    return _tables("best by validation", rows, columns, (note,) if weighed else ())


def _losses(run: Run) -> dict[str, float]:
    """The best loss and its step, and beside it what else was validated then."""
    best = run.record.best
    if not (run.folder / "metrics.csv").is_file():
        return best
    steps = (best.get("step", 0) - 1, best.get("step", 0))  # a log counts from 0
    terms = {
        name: dict(curve)[step]
        for name, curve in read_curves(run.folder).items()
        for step in steps
        if name.startswith("val/") and step in dict(curve)
    }
    return best | {name: value for name, value in terms.items() if name not in best}


def _swept_weights(trained: Sequence[Planned]) -> list[str]:
    """Options of a loss that are called weights and are not the same in all jobs."""
    given = [dict(word.split("=", 1) for word in one.job.words if "=" in word) for one in trained]
    keys = dict.fromkeys(key for words in given for key in words if key.endswith("_weight"))
    return [key for key in keys if len({words.get(key) for words in given}) > 1]


def _tables(
    title: str, rows: Sequence[Row], columns: tuple[Column, ...], notes: tuple[str, ...] = ()
) -> list[str]:
    if not any(row.values for row in rows):
        return []
    return [markdown(table) for table in with_means(title, rows, columns, notes)]
