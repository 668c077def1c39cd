"""What may stand in one table: numbers of one judge on one set of data, nothing else."""

from lead.evaluation.reality_gate import FITS, UNCHECKED
from lead.evaluation.report.content import Table, find_columns
from lead.evaluation.report.measured import Measured
from lead.evaluation.report.paper import PaperTable


def why_apart(paper: PaperTable, measured: Measured) -> str | None:
    """Why measured rows cannot stand in a published table, in a few words; None where they can.

    They can where the published judge looked at the published data and saw the row of real
    motions as published; the headline of the evaluation says whether it did, or that no such row
    was published.
    """
    if (measured.dataset, measured.judge) != (paper.dataset, paper.judge):
        return (
            f"{paper.called} is {paper.dataset} judged by {paper.judge}, the runs are "
            f"{measured.dataset} judged by {measured.judge} {measured.fingerprint[:12]}"
        )
    if paper.subset:
        return f"{paper.called} is over {paper.subset}"
    judge = f"judge {measured.judge} ({measured.fingerprint[:12]})"
    passed = [f"{judge}: {said}" for said in (FITS.format(measured.dataset), UNCHECKED)]
    doubtful = [headline for headline in measured.headlines if headline not in passed]
    return f"the evaluation says: {doubtful[0]}" if doubtful else None


def arrange(
    paper: PaperTable | None, measured: Measured | None, keys: tuple[str, ...] = ()
) -> list[Table]:
    """One table of both where they compare, else the published one and then the measured one.

    ``keys`` choose columns; by default those of the published table, or of the protocol.
    """
    columns = find_columns(keys or (paper.keys if paper else ()))
    tables = []
    if paper:
        tables.append(Table(paper.table.title, paper.table.rows, columns, paper.table.notes))
    if measured:
        title = (
            f"{measured.dataset} {measured.split}, {measured.clips} clips, "
            f"protocol {measured.protocol}"
        )
        tables.append(
            Table(title, measured.rows, columns, tuple(dict.fromkeys(measured.headlines)))
        )
    if paper and measured and why_apart(paper, measured) is None:
        above, below = tables
        title = f"{above.title}, and measured: {below.title}"
        return [Table(title, above.rows + below.rows, columns, above.notes + below.notes)]
    return tables
