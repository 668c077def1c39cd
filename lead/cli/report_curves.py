"""lead report curves RUN ... [key=value ...] : training curves from the logs of runs.

RUN ...          run directories, finished or still training; also runs=[A,B]
quantities=[Q]   what to draw, such as loss or align; default: all that was logged
output=FILE.png  default outputs/curves-RUN.png, of the first run

Thin lines are training batches, thick ones with dots the validation split.
"""

from collections.abc import Sequence

from lead.cli.config import compose_with_words
from lead.core.errors import RequestError
from lead.core.files import check_png, claimed, last_name


def run(overrides: Sequence[str]) -> int:
    """Draw the curves."""
    config, words = compose_with_words("report_curves", overrides)
    folders = [*config["runs"], *words]
    if not folders:
        raise RequestError("name the runs whose curves to draw: `lead report curves RUN`")
    default = f"outputs/curves-{last_name(folders[0])}.png"
    output = check_png("output", config["output"] or default)
    with claimed(output):
        from lead.evaluation.report.curves import choose_quantities, read_curves, write_curves

        curves = {name: read_curves(folder) for name, folder in _named(folders).items()}
        write_curves(output, curves, choose_quantities(curves, config["quantities"]))
    print(f"written: {output}")
    return 0


def _named(folders: Sequence[str]) -> dict[str, str]:
    """Each folder under its last name, or under its whole path where that is not enough."""
    short = [last_name(folder) for folder in folders]
    return {
        name if short.count(name) == 1 else folder: folder
        for name, folder in zip(short, folders, strict=True)
    }
