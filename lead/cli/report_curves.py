"""lead report curves RUN ... [key=value ...] : training curves from the logs of runs.

RUN ...          run directories, finished or still training; also runs=[A,B]
quantities=[Q]   what to draw, such as loss or align; default: all that was logged
output=FILE.png  default outputs/curves-RUN.png, of the first run

Thin lines are training batches, thick ones with dots the validation split.
"""

from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose
from lead.core.errors import RequestError
from lead.core.files import claimed


def run(overrides: Sequence[str]) -> int:
    """Draw the curves."""
    words = [word for word in overrides if "=" not in word]
    config = compose("report_curves", [word for word in overrides if "=" in word])
    folders = [*config["runs"], *words]
    if not folders:
        raise RequestError("name the runs whose curves to draw: `lead report curves RUN`")
    name = Path(folders[0]).resolve().name
    output = Path(config["output"] or f"outputs/curves-{name}.png")
    if output.suffix.lower() != ".png":
        raise RequestError(f"output={output} is drawn as PNG: name it FILE.png")
    with claimed(output):
        from lead.evaluation.report.curves import choose_quantities, read_curves, write_curves

        curves = {name: read_curves(folder) for name, folder in _named(folders).items()}
        write_curves(output, curves, choose_quantities(curves, config["quantities"]))
    print(f"written: {output}")
    return 0


def _named(folders: Sequence[str]) -> dict[str, str]:
    """Each folder under its last name, or under its whole path where that is not enough."""
    short = [Path(folder).resolve().name for folder in folders]
    return {
        name if short.count(name) == 1 else folder: folder
        for name, folder in zip(short, folders, strict=True)
    }
